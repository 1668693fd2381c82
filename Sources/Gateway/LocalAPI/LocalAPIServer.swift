import HTTPTypes
import Host
import Hummingbird
import HummingbirdCore
import Logging
import Metering
import NIOCore
import ServiceLifecycle

/// Answers the local API: on a Unix socket, mode 0660, that is gone when the server has stopped, or on a TCP port.
///
/// `run` returns after a graceful shutdown: requests in flight have `stopGrace` to end, then their connections are closed.
package struct LocalAPIServer: Service {
    /// All header fields of a request.
    static let headerBytesLimit = 16 * 1024
    /// An answer goes out in pieces of this size, so that a slow caller shows that it takes some.
    static let pieceBytes = 64 * 1024
    static let stopGrace = Duration.milliseconds(200)
    /// Answers that end their connection: a body of any length is not read, and who is refused keeps no place that others wait for.
    static let closingStatuses: Set = [401, 403, 413, 429]

    let api: LocalAPI
    private var door: LocalAPIDoor
    private var limits: LocalAPILimits
    private var allowance: Lock<RequestAllowance>
    private let refusals: RefusalLog
    private let eventLoopGroup: any EventLoopGroup
    private let time: any TimeSource
    private let logger: Logger
    private var onListening: @Sendable () async -> Void
    private var onBound: @Sendable (Int) -> Void = { _ in }

    /// - Parameters:
    ///   - outputs: what callers may do to the outputs; nil when they may only look.
    ///   - socket: path of the socket file, at most 107 bytes; one that is left over is replaced.
    ///   - group: who may connect beside the owner, if the group exists.
    ///   - onListening: called once, when clients can connect.
    package init(
        view: any GatewayView, control: (any GatewayControl)? = nil, outputs: (any OutputControl)? = nil,
        commissioning: (any CommissioningView)? = nil, field: (any FieldView)? = nil, intervals: (any IntervalView)? = nil,
        configuration: (any ConfigurationView)? = nil,
        logLevel: LogLevelControl? = nil, socket: String = SocketFile.defaultPath, group: String? = "meterd",
        limits: LocalAPILimits = .socket, eventLoopGroup: any EventLoopGroup,
        time: any TimeSource, logger: Logger, onListening: @escaping @Sendable () async -> Void = {}
    ) {
        api = LocalAPI(
            view: view, control: control, outputs: outputs, commissioning: commissioning, configuration: configuration,
            logLevel: logLevel, field: field, intervals: intervals)
        door = .unix(path: socket, group: group)
        self.limits = limits
        allowance = Lock(RequestAllowance(burst: limits.burst, perSecond: limits.perSecond))
        refusals = RefusalLog(logger: logger)
        self.eventLoopGroup = eventLoopGroup
        self.time = time
        self.logger = logger
        self.onListening = onListening
    }

    /// Of its door.
    var name: String { door.name }

    /// The same API at another door.
    ///
    /// - Parameter onBound: called with the port, once clients can connect.
    package func also(
        on door: LocalAPIDoor, limits: LocalAPILimits, onBound: @escaping @Sendable (Int) -> Void = { _ in }
    ) -> LocalAPIServer {
        var other = self
        other.door = door
        other.limits = limits
        other.allowance = Lock(RequestAllowance(burst: limits.burst, perSecond: limits.perSecond))
        other.onListening = {}
        other.onBound = onBound
        return other
    }

    /// - Throws: `LocalAPIError` when it cannot listen; `CancellationError`.
    package func run() async throws {
        if case .unix(let path, _) = door { try SocketFile.check(path) }
        let refusal = Lock<LocalAPIError?>(nil)
        let isStopping = Lock(false)
        let application = application(refusal, isStopping)
        // NIO removes the file as it closes the socket; this is for the ways out on which it does not come to that.
        defer { if case .unix(let path, _) = door { SocketFile.removeUnlessInUse(path) } }
        do {
            try await withStopGrace {
                // Told before the server is, so that a place that becomes free by its stop goes to nobody.
                try await withGracefulShutdownHandler {
                    try await application.run()
                } onGracefulShutdown: {
                    isStopping.withLock { $0 = true }
                }
            }
        } catch let error as IOError {
            throw LocalAPIError.refusal(error.errnoCode, at: door)
        } catch {
            if let refusal = refusal.withLock({ $0 }) { throw refusal }
            throw error
        }
    }

    /// Runs the body until it ends; from `stopGrace` after a graceful shutdown on it is cancelled.
    private func withStopGrace(_ body: @escaping @Sendable () async throws -> Void) async throws {
        try await withThrowingTaskGroup(of: Bool.self) { tasks in
            tasks.addTask {
                try await body()
                return true
            }
            tasks.addTask {
                try await gracefulShutdown()
                try await time.sleep(until: time.uptime() + LocalAPIServer.stopGrace)
                return false
            }
            let ended = try await tasks.next() ?? true
            tasks.cancelAll()
            if ended { return }
            logger.warning("local API closes connections that did not end in time")
            do {
                while try await tasks.next() != nil {}
            } catch is CancellationError {
                // Our own cancel, after a graceful shutdown: the stop is done.
            }
        }
    }

    private func application(_ refusal: Lock<LocalAPIError?>, _ isStopping: Lock<Bool>) -> some ApplicationProtocol {
        // Hummingbird announces each server and each request id; what matters of that is logged here.
        var quiet = logger
        quiet.logLevel = max(logger.logLevel, .warning)
        return Application(
            responder: CallbackResponder(callback: respond),
            server: .http1(
                configuration: .init(
                    additionalChannelHandlers: [
                        ConnectionGuardPlacer(
                            headTime: .nanoseconds(limits.headTime.nanoseconds), stallTime: .nanoseconds(limits.stallTime.nanoseconds))
                    ],
                    idleTimeout: .nanoseconds(limits.idleTime.nanoseconds),
                    httpDecoderConfiguration: .init(
                        maxHeaderFieldSize: LocalAPIServer.headerBytesLimit, maxHeaderListSize: LocalAPIServer.headerBytesLimit,
                        maxHeaderFieldCount: 100))),
            configuration: .init(
                address: address, serverName: "meterd",
                availableConnectionsDelegate: Places(limit: limits.connections, isStopping: isStopping)),
            onServerRunning: { channel in
                do throws(LocalAPIError) {
                    switch door {
                    case .unix(let path, let group):
                        try SocketFile.open(path, toGroup: group)
                        logger.info("local API listens", metadata: ["api.socket": "\(path)"])
                    case .tcp(let address, let token):
                        let access = token == nil ? "looking only" : "by token"
                        logger.info("local API listens on TCP", metadata: ["api.address": "\(address.text)", "api.access": "\(access)"])
                        onBound(channel.localAddress?.port ?? 0)
                    }
                    await onListening()
                } catch {
                    refusal.withLock { $0 = error }
                    channel.close(promise: nil)
                }
            },
            eventLoopGroupProvider: .shared(eventLoopGroup),
            logger: quiet)
    }

    private var address: BindAddress {
        switch door {
        case .unix(let path, _): .unixDomainSocket(path: path)
        case .tcp(let address, _): .hostname(address.host, port: address.port)
        }
    }

    private func respond(to request: Request, context: LocalAPIContext) async throws -> Response {
        let answer = await answer(request, on: context.channel)
        return request.method == .head ? LocalAPIServer.withoutBody(answer, on: context.channel) : answer
    }

    private func answer(_ request: Request, on channel: any Channel) async -> Response {
        let caller = channel.remoteAddress?.ipAddress ?? ""
        if let wait = allowance.withLock({ $0.take(caller, at: time.uptime()) }) {
            let seconds = Int(wait.seconds.rounded(.up))
            var answer = LocalAPI.Answer.failure(429, "too_many_requests", "too many requests; go on in \(seconds) s")
            answer.retryAfterSeconds = max(1, seconds)
            return response(answer, on: channel)
        }
        guard !hasBody(request) else { return response(.failure(413, "body_not_allowed", "requests have no body here"), on: channel) }
        if let refusal = door.refusal(request) {
            if refusal.status == 401 { refusals.note(caller: caller, on: channel.eventLoop) }
            return response(refusal, on: channel)
        }
        guard request.uri.string.utf8.count <= LocalAPI.targetBytesLimit else {
            return response(.failure(414, "target_too_long", "a path and query may have \(LocalAPI.targetBytesLimit) bytes"), on: channel)
        }
        let parameters = request.uri.queryParameters.map { (key: String($0.key), value: String($0.value)) }
        let (path, method) = (request.uri.path, LocalAPI.method(of: request))
        if path == LocalAPI.exportRoute, method == "GET" {
            switch await api.export(parameters) {
            case .success(let text): return stream(text)
            case .failure(let refusal): return response(refusal.answer, on: channel)
            }
        }
        if path == LocalAPI.intervalsRoute, method == "GET" {
            switch await api.intervals(parameters) {
            case .success(let intervals): return stream(intervals)
            case .failure(let refusal): return response(refusal.answer, on: channel)
            }
        }
        return response(await api.answer(method: method, path: path, parameters: parameters), on: channel)
    }

    private func hasBody(_ request: Request) -> Bool {
        if request.headers[.transferEncoding] != nil { return true }
        guard let length = request.headers[.contentLength] else { return false }
        return length != "0"
    }

    private func response(_ answer: LocalAPI.Answer, on channel: any Channel) -> Response {
        let closes = LocalAPIServer.closingStatuses.contains(answer.status)
        var headers: HTTPFields = [.contentType: answer.contentType, .cacheControl: "no-store"]
        if answer.status == 405 { headers[.allow] = answer.allows }
        if answer.status == 401 { headers[.wwwAuthenticate] = "Bearer" }
        if let seconds = answer.retryAfterSeconds { headers[.retryAfter] = String(seconds) }
        if closes { headers[.connection] = "close" }
        let body = ResponseBody(contentLength: answer.body.count) { writer in
            var rest = answer.body[...]
            while !rest.isEmpty {
                try await writer.write(ByteBuffer(bytes: rest.prefix(LocalAPIServer.pieceBytes)))
                rest = rest.dropFirst(LocalAPIServer.pieceBytes)
            }
            try await writer.finish(nil)
            if closes { channel.close(promise: nil) }
        }
        return Response(status: .init(code: answer.status), headers: headers, body: body)
    }

    /// What HEAD is answered.
    private static func withoutBody(_ response: Response, on channel: any Channel) -> Response {
        let hasLength = response.body.contentLength != nil
        var headers = response.headers
        // The end of a text of unknown length would be written as its last chunk, so there the connection ends instead.
        if !hasLength { headers[.connection] = "close" }
        let closes = headers[.connection] == "close"
        let body = ResponseBody(contentLength: response.body.contentLength) { writer in
            if hasLength { try await writer.finish(nil) }
            if closes { channel.close(promise: nil) }
        }
        return Response(status: response.status, headers: headers, body: body)
    }
}

/// Lets in so many connections at a time, and nobody once the stop has begun: the process would end over a connection that the
/// server took and does not serve any more (docs/decisions/0037).
private struct Places: AvailableConnectionsDelegate {
    let limit: Int
    let isStopping: Lock<Bool>
    var taken = 0

    init(limit: Int, isStopping: Lock<Bool>) {
        self.limit = limit
        self.isStopping = isStopping
    }

    mutating func connectionOpened() { taken += 1 }
    mutating func connectionClosed() { taken -= 1 }
    func isAcceptingNewConnections() -> Bool { taken < limit && !isStopping.withLock { $0 } }
}

/// Carries the connection to the responder.
private struct LocalAPIContext: RequestContext {
    var coreContext: CoreRequestContextStorage
    let channel: any Channel

    init(source: ApplicationRequestContextSource) {
        coreContext = .init(source: source)
        channel = source.channel
    }
}
