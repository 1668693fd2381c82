import Glibc
import Host
import Metering

/// Reads the devices behind one Modbus TCP endpoint over one connection. It cannot write.
///
/// It never blocks, so all readers share one thread: a request is sent, and the answer is waited for with all the others. Connecting, and
/// the name server, are waited for elsewhere. After a timeout or a reply that is none the connection is closed, so nothing late can reach
/// the next request.
///
/// Its one user is a bus, which asks one thing after the other, so it needs no actor: each request would go through two jobs more.
///
/// - Source: Modbus Messaging on TCP/IP Implementation Guide V1.0b, 3.1.3 for the header.
package final class TCPReader: RegisterReader, FaultExplaining, OnThread, ResponseMeasuring, DelayKeeping, @unchecked Sendable {
    /// Replies to earlier requests that one request may step over.
    static let staleReplyLimit = 8

    // Safe to share: of its methods one runs at a time, as `RegisterReader` asks; what others may look at meanwhile is locked.
    package let thread: ThreadExecutor

    private let host: String
    private let port: UInt16
    private let timeout: Duration
    private let resolver: NameResolver
    private let time: any TimeSource
    private let ownsThread: Bool
    /// -1 when there is no connection.
    private var socket: Int32 = -1
    private var frames = TCPFrames()
    private var transaction: UInt16 = 0
    let timeouts: Lock<ResponseTimeouts>
    private var requests = 0
    private var connectDelay = Duration.zero
    private var failedConnect: BusError?
    /// The device may be asked from then on.
    private var quietUntil = Uptime(nanoseconds: 0)
    private let error = Lock<BusError?>(nil)

    /// - Parameters:
    ///   - name: names the thread, if it is its own.
    ///   - thread: to share with others; it must watch sockets. Without one the reader has its own.
    ///   - timeout: for connecting, and the ceiling for an answer.
    package init(
        name: String, host: String, port: UInt16, thread: ThreadExecutor? = nil, timeout: Duration, resolver: NameResolver = .shared,
        time: any TimeSource
    ) {
        self.thread = thread ?? ThreadExecutor(name: name, watchesSockets: true)
        ownsThread = thread == nil
        self.host = host
        self.port = port
        self.timeout = timeout
        self.time = time
        self.resolver = resolver
        timeouts = Lock(ResponseTimeouts(ceiling: timeout))
    }

    deinit {
        if socket >= 0 { Glibc.close(socket) }
        if ownsThread { thread.stop() }
    }

    package var lastError: BusError? { error.withLock { $0 } }

    package func read(_ blocks: [Block], unit: UInt8) async -> Visit {
        var failure: BusError?
        let before = requests
        var answers = VisitAnswers(blocks)
        while let block = answers.next {
            let request = ReadRequest(unit: unit, block: block)
            guard request.isLegal else {
                // What a device would say, without troubling it.
                answers.add(.fault(.exception(2)))
                continue
            }
            do throws(BusError) { answers.add(try await ask(request)) } catch {
                failure = error
                answers.add(.fault(error.fault))
            }
        }
        error.withLock { $0 = failure }
        return Visit(answers: answers.all, time: time.wall(), uptime: time.uptime(), requests: requests - before)
    }

    package func close() async { disconnect() }

    package func keep(connectDelay: Duration) async { self.connectDelay = connectDelay }

    package func connect() async -> Uptime? {
        guard connectDelay > .zero else { return nil }
        do throws(BusError) { _ = try await connection() } catch {
            // A connection refused once is not asked for twice in a visit.
            failedConnect = error
            return nil
        }
        return quietUntil
    }

    private var subject: String { "\(host):\(port)" }

    private func ask(_ request: ReadRequest) async throws(BusError) -> BlockAnswer.Outcome {
        if let error = failedConnect {
            failedConnect = nil
            throw error
        }
        let reused = try await connection()
        guard connectDelay == .zero || time.uptime() >= quietUntil else {
            throw BusError(.settling, "\(subject): connected; the device wants silence before it is asked")
        }
        do throws(BusError) { return try await exchange(request) } catch {
            disconnect()
            // A peer may have closed an idle connection, and asking again does no harm.
            guard reused, error.code == .connectionLost, connectDelay == .zero else { throw error }
        }
        requests -= 1
        _ = try await connection()
        do throws(BusError) { return try await exchange(request) } catch {
            disconnect()
            throw error
        }
    }

    /// True when the connection stood already.
    private func connection() async throws(BusError) -> Bool {
        // Where a new connection wants silence, a request cannot be repeated at once: a peer that has closed is looked for before.
        if socket >= 0, connectDelay > .zero, peerHasClosed { disconnect() }
        guard socket < 0 else { return true }
        let (host, port, timeout, resolver) = (host, port, timeout, resolver)
        let made = await DetachedThread.value(name: "connect") {
            Result { () throws(BusError) in try Connection.open(host: host, port: port, timeout: timeout, resolver: resolver) }
        }
        guard let made else { throw BusError(.portFailed, "\(subject): the process can have no more threads") }
        socket = try made.get()
        frames.reset()
        quietUntil = time.uptime() + connectDelay
        return false
    }

    private func disconnect() {
        guard socket >= 0 else { return }
        Glibc.close(socket)
        socket = -1
    }

    private var peerHasClosed: Bool {
        var byte: UInt8 = 0
        let peeked = recv(socket, &byte, 1, Int32(MSG_PEEK) | Int32(MSG_DONTWAIT))
        return !(peeked > 0 || (peeked < 0 && (errno == EAGAIN || errno == EINTR)))
    }

    private func exchange(_ request: ReadRequest) async throws(BusError) -> BlockAnswer.Outcome {
        transaction &+= 1
        requests += 1
        let start = time.uptime()
        try send(request)
        let deadline = start + timeouts.withLock { $0.value(unit: request.unit) }
        var left = deadline - start
        var stale = 0
        while left > .zero, stale <= TCPReader.staleReplyLimit {
            guard await thread.ready(socket, for: .toRead, within: left) else { break }
            reading: while true {
                switch frames.next(from: socket) {
                case .success(.frame):
                    if let outcome = try check(request) {
                        let latency = time.uptime().nanoseconds - start.nanoseconds
                        timeouts.withLock { $0.answered(unit: request.unit, afterNanoseconds: latency) }
                        return outcome
                    }
                    stale += 1
                    guard stale <= TCPReader.staleReplyLimit else { break reading }
                case .success(.part): break reading
                case .success(.garbled(let what)): throw BusError(.garbled, "\(subject): unit \(request.unit): \(what)")
                case .failure(let failure): throw BusError.system(failure.number, on: subject)
                }
            }
            left = deadline - time.uptime()
        }
        timeouts.withLock { $0.missed(unit: request.unit) }
        guard stale == 0 else { throw BusError(.timeout, "\(subject): unit \(request.unit) sent only answers to earlier requests") }
        throw BusError(.timeout, "\(subject): unit \(request.unit) did not answer in time", cause: ETIMEDOUT)
    }

    /// The request with its header. A stream whose send buffer has no room for twelve bytes is dead.
    private func send(_ request: ReadRequest) throws(BusError) {
        let frame = [UInt8(transaction >> 8), UInt8(transaction & 0xFF), 0, 0, 0, 6] + request.bytes
        while true {
            let sent = Glibc.send(socket, frame, frame.count, Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT))
            if sent == frame.count { return }
            if sent < 0, errno == EINTR { continue }
            throw BusError.system(sent < 0 && errno != EAGAIN ? errno : ECONNRESET, on: subject)
        }
    }

    /// The outcome that the frame brings, nil for a reply to an earlier request, or what is wrong with it.
    private func check(_ request: ReadRequest) throws(BusError) -> BlockAnswer.Outcome? {
        func garbled(_ what: String) -> BusError { BusError(.garbled, "\(subject): unit \(request.unit): \(what)") }
        if frames.transaction != transaction {
            // Half the circle back is earlier, half ahead was never sent.
            guard transaction &- frames.transaction < 0x8000 else {
                throw garbled("transaction id \(frames.transaction) instead of \(transaction)")
            }
            return nil
        }
        guard frames.unit == request.unit else { throw garbled("reply of unit \(frames.unit)") }
        return try frames.withReply { (reply) throws(BusError) in
            switch reply {
            case .exception(request.shape.function, let code): return .fault(.exception(code))
            case .data(request.shape, let data): return .words(request.words(from: data))
            case .exception(let function, _): throw garbled("exception to function \(function)")
            case .data(let shape, _): throw garbled("function \(shape.function) with \(shape.dataBytes) bytes")
            case nil: throw garbled("reply of the wrong length")
            }
        }
    }
}
