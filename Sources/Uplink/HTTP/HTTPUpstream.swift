import AsyncHTTPClient
import FoundationEssentials
import Host
import Metering
import NIOCore
import NIOHTTP1

/// Posts batches to one URL, as JSON (docs/http-output.md) or as line protocol (docs/outputs.md). It follows no redirect and keeps no
/// answer.
package actor HTTPUpstream: Upstream {
    package struct Settings: Hashable, Sendable {
        package var url: String
        package var format: Format
        package var credentials: Credentials?
        package var compression: Compression
        /// Header fields beside our own.
        package var headers: [Header]
        /// Nil: the shared client's way.
        package var link: HTTPLink?
        /// From the first byte out to the last byte in, connection included.
        package var timeout: Duration
        /// The program's version, for `User-Agent: meterd/<version>`.
        package var version: String

        package init(
            url: String, format: Format = .json, credentials: Credentials? = nil, compression: Compression = .gzip,
            headers: [Header] = [], link: HTTPLink? = nil, timeout: Duration = .seconds(30), version: String
        ) {
            self.url = url
            self.format = format
            self.credentials = credentials
            self.compression = compression
            self.headers = headers
            self.link = link
            self.timeout = timeout
            self.version = version
        }
    }

    package enum Format: Hashable, Sendable {
        case json
        case lineProtocol(LineProtocol)
    }

    package struct Header: Hashable, Sendable {
        package var name: String
        package var value: String

        package init(name: String, value: String) {
            self.name = name
            self.value = value
        }
    }

    package enum Compression: String, Hashable, Sendable, CaseIterable { case gzip, zstd, none }

    /// What the `Authorization` header says. The secrets are read from their files for each request.
    package enum Credentials: Hashable, Sendable {
        /// `Bearer <token>`; the scheme is another word for some receivers.
        case token(TokenFile, scheme: String = "Bearer")
        case password(TokenFile, user: String)

        func header() throws(TokenFile.Failure) -> String {
            switch self {
            case .token(let file, let scheme): return "\(scheme) \(try file.read())"
            case .password(let file, let user):
                return "Basic " + Credentials.login(user, password: try file.read(spaces: true))
            }
        }

        /// What stands behind `Basic`.
        package static func login(_ user: String, password: String) -> String {
            Data("\(user):\(password)".utf8).base64EncodedString()
        }
    }

    private let settings: Settings
    private let client: HTTPClient
    /// A client of our own, when the settings want another link; made at need, and made anew after a failure, with the files as they are then.
    private var own: HTTPClient?
    private let time: any TimeSource
    private var dialect: any HTTPDialect
    /// The records last measured, so that sending them does not encode them again.
    private var measured: (journalID: String, first: Int64, last: Int64, count: Int, bytes: [UInt8])?
    /// The batch over which the receiver hung up last.
    private var hangUps = HangUps()

    /// - Parameter client: shared by all outputs and closed by its owner; made with `clientConfiguration`.
    package init(_ settings: Settings, client: HTTPClient, time: any TimeSource) {
        self.settings = settings
        self.client = client
        self.time = time
        switch settings.format {
        case .json: dialect = JSONDialect()
        case .lineProtocol(let format): dialect = LineProtocolDialect(format)
        }
    }

    /// How the shared client must be set up: no redirects, and a connection that cannot be made is known at once, as the plan does the
    /// retrying.
    package static var clientConfiguration: HTTPClient.Configuration {
        var configuration = HTTPClient.Configuration(redirectConfiguration: .disallow)
        configuration.timeout.connect = .seconds(10)
        configuration.connectionPool.retryConnectionEstablishment = false
        configuration.connectionPool.idleTimeout = .seconds(30)
        configuration.httpVersion = .http1Only
        return configuration
    }

    package func fitting(_ batch: Batch, bytes: Int) -> Int {
        let (records, count) = dialect.records(of: batch, limit: bytes)
        if count > 0 { measured = (batch.journalID, batch.records[0].seq, batch.records[count - 1].seq, count, records) }
        return count
    }

    package func size(of batch: Batch) -> Int { records(of: batch).count }

    package func send(_ batch: Batch) async -> Settlement {
        do throws(Failure) {
            let client = try linked()
            if hangUps.suspects(batch) {
                // A dead receiver behind a live proxy hangs up over everything. Only one that answers just before is put off by the batch.
                do { _ = try await exchange(try bare(.HEAD), client) } catch { return await unanswered(error) }
            }
            var request = try bare(.POST)
            for (name, value) in dialect.headers(for: batch) where !request.headers.contains(name: name) {
                request.headers.add(name: name, value: value)
            }
            var body = dialect.frame(records(of: batch), of: batch)
            switch settings.compression {
            case .gzip: body = Deflate.compress(body, format: .gzip)
            case .zstd: body = Zstandard.compress(body)
            case .none: break
            }
            if settings.compression != .none { request.headers.add(name: "Content-Encoding", value: settings.compression.rawValue) }
            request.body = .bytes(ByteBuffer(bytes: body))
            var answer: HTTPAnswer
            do { answer = try await exchange(request, client) } catch {
                let settlement = await unanswered(error)
                guard TransportFault.isHangUp(error), hangUps.note(batch) else { return settlement }
                return .tooLarge(reason: "the receiver hangs up each time this is sent, and answers what is asked in between")
            }
            hangUps.clear()
            answer.secrets = RequestSecrets(fields: request.headers["Authorization"] + settings.headers.map(\.value), url: request.url)
            return dialect.settlement(of: answer, to: batch, now: time.wall())
        } catch {
            return .unauthorized(reason: error.reason)
        }
    }

    /// What is wrong on our side, before anything is sent.
    private struct Failure: Error { var reason: String }

    /// A request to the output's URL, as whom we are, with nothing in it.
    private func bare(_ method: HTTPMethod) throws(Failure) -> HTTPClientRequest {
        var request = HTTPClientRequest(url: settings.url)
        request.method = method
        request.headers.add(name: "User-Agent", value: "meterd/\(settings.version)")
        for header in settings.headers { request.headers.replaceOrAdd(name: header.name, value: header.value) }
        guard let credentials = settings.credentials else { return request }
        do throws(TokenFile.Failure) {
            request.headers.add(name: "Authorization", value: try credentials.header())
        } catch {
            throw Failure(reason: "\(error)")
        }
        return request
    }

    private func unanswered(_ error: any Error) async -> Settlement {
        if let failure = error as? Failure { return .unauthorized(reason: failure.reason) }
        await dropOwn()
        var sentence = TransportFault.sentence(error, timeout: settings.timeout)
        if let proxy = settings.link?.proxy { sentence += " (through the proxy \(proxy.host), port \(proxy.port))" }
        if TransportFault.isConfigurationFault(error) { return .unauthorized(reason: sentence) }
        return .unavailable(reason: sentence, retryAfter: nil)
    }

    package func close() async { await dropOwn() }

    private func linked() throws(Failure) -> HTTPClient {
        guard let link = settings.link else { return client }
        if let own { return own }
        do throws(HTTPLink.Failure) {
            let new = try link.client(like: HTTPUpstream.clientConfiguration, on: client.eventLoopGroup)
            own = new
            return new
        } catch {
            throw Failure(reason: "\(error)")
        }
    }

    private func dropOwn() async {
        guard let own else { return }
        self.own = nil
        try? await own.shutdown()
    }

    private func records(of batch: Batch) -> [UInt8] {
        if let measured, measured.count == batch.records.count, measured.first == batch.records.first?.seq,
            measured.last == batch.records.last?.seq, measured.journalID == batch.journalID
        {
            return measured.bytes
        }
        return dialect.records(of: batch, limit: .max).bytes
    }

    /// The client's own deadline ends with the answer's head; this one bounds the body too.
    private nonisolated func exchange(_ request: HTTPClientRequest, _ client: HTTPClient) async throws -> HTTPAnswer {
        let (time, timeout) = (time, settings.timeout)
        let deadline = time.uptime() + timeout
        return try await withThrowingTaskGroup(of: HTTPAnswer?.self) { group in
            group.addTask { try await HTTPUpstream.answer(to: request, client, timeout) }
            group.addTask {
                try await time.sleep(until: deadline)
                return nil
            }
            defer { group.cancelAll() }
            guard let first = try await group.next(), let answer = first else { throw HTTPClientError.deadlineExceeded }
            return answer
        }
    }

    private static func answer(to request: HTTPClientRequest, _ client: HTTPClient, _ timeout: Duration) async throws -> HTTPAnswer {
        let response = try await client.execute(request, timeout: .nanoseconds(timeout.nanoseconds))
        var answer = HTTPAnswer(
            status: Int(response.status.code), contentType: response.headers.first(name: "Content-Type")?.lowercased(),
            retryAfter: response.headers.first(name: "Retry-After"), date: response.headers.first(name: "Date"), body: [], truncated: false)
        for try await chunk in response.body {
            let room = HTTPAnswer.bodyLimit - answer.body.count
            answer.body.append(contentsOf: chunk.readableBytesView.prefix(room))
            if chunk.readableBytes > room {
                answer.truncated = true
                break
            }
        }
        return answer
    }
}
