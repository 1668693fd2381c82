import AsyncHTTPClient
import FoundationEssentials
import Gateway

/// Asks the daemon over its Unix socket.
struct DaemonClient {
    /// From the request to the end of the answer.
    static let timeLimitSeconds: Int64 = 10
    /// From the request to the end of an answer that is streamed: gigabytes through a slow pipe.
    static let streamLimitSeconds: Int64 = 24 * 3600
    /// Nothing came of it for so long: the daemon hangs.
    static let streamSilenceSeconds: Int64 = 60
    /// For answers that take many requests of a slow bus.
    static let searchTimeLimitSeconds: Int64 = 300
    static let answerBytesLimit = 32 * 1024 * 1024

    let socket: String
    private let http: HTTPClient

    /// Lends a client and closes it afterwards.
    static func with<Result>(socket: String, _ body: (DaemonClient) async throws -> Result) async throws -> Result {
        var configuration = HTTPClient.Configuration()
        // A daemon that refuses now is told now, not after ten seconds of tries.
        configuration.timeout.read = .seconds(DaemonClient.streamSilenceSeconds)
        configuration.connectionPool.retryConnectionEstablishment = false
        let http = HTTPClient(eventLoopGroup: HTTPClient.defaultEventLoopGroup, configuration: configuration)
        do {
            let result = try await body(DaemonClient(socket: socket, http: http))
            try await http.shutdown()
            return result
        } catch {
            try? await http.shutdown()
            throw error
        }
    }

    /// The body of a 200 answer, as it came.
    /// - Throws: `Failure`: unreachable, or failed with the daemon's own words.
    func get(
        _ path: String, query: [(key: String, value: String)] = [], timeLimitSeconds: Int64 = DaemonClient.timeLimitSeconds
    ) async throws -> [UInt8] {
        try await ask(HTTPClientRequest(url: url(path, query)), path, timeLimitSeconds)
    }

    /// Has the daemon do something.
    /// - Throws: as `get`; bad data when the daemon calls what it was to work on invalid.
    func post(_ path: String, query: [(key: String, value: String)] = []) async throws -> [UInt8] {
        var request = HTTPClientRequest(url: url(path, query))
        request.method = .POST
        return try await ask(request, path)
    }

    private func ask(
        _ request: HTTPClientRequest, _ path: String, _ timeLimitSeconds: Int64 = DaemonClient.timeLimitSeconds
    ) async throws -> [UInt8] {
        let number = SocketFile.probe(socket)
        guard number == 0 else { throw Failure.unreachable(UnreachableDaemon.text(socket: socket, error: number)) }
        let (status, body) = try await exchange(request, timeLimitSeconds)
        if status == 200 { return body }
        throw refusal(status, body, path)
    }

    private func refusal(_ status: UInt, _ body: [UInt8], _ path: String) -> Failure {
        guard let report = try? JSONDecoder().decode(APIErrorReport.self, from: Data(body)) else {
            return Failure.failed("the daemon answered \(status) to \(path)")
        }
        return status == 422 ? Failure.badData(report.text) : Failure.failed(report.text)
    }

    /// An answer of any length, piece by piece, however long it takes as long as something comes.
    /// - Throws: `Failure`, also when the daemon breaks the answer off; what `take` throws.
    func stream(_ path: String, query: [(key: String, value: String)], _ take: ([UInt8]) throws -> Void) async throws {
        let number = SocketFile.probe(socket)
        guard number == 0 else { throw Failure.unreachable(UnreachableDaemon.text(socket: socket, error: number)) }
        do {
            let response = try await http.execute(
                HTTPClientRequest(url: url(path, query)), timeout: .seconds(DaemonClient.streamLimitSeconds))
            guard response.status.code == 200 else {
                let body = try await response.body.collect(upTo: DaemonClient.answerBytesLimit)
                throw refusal(response.status.code, Array(body.readableBytesView), path)
            }
            for try await piece in response.body { try take(Array(piece.readableBytesView)) }
        } catch let error as HTTPClientError {
            throw Failure.failed("the daemon broke the answer off: \(error.shortDescription); see journalctl -u meterd")
        }
    }

    func get<Report: Decodable>(_ type: Report.Type, _ path: String) async throws -> Report {
        try DaemonClient.decode(type, try await get(path))
    }

    static func decode<Report: Decodable>(_ type: Report.Type, _ body: [UInt8]) throws -> Report {
        do {
            return try JSONDecoder().decode(type, from: Data(body))
        } catch {
            throw Failure.failed("this meterctl does not understand the daemon's answer; install meterctl and meterd of one version")
        }
    }

    private func exchange(_ request: HTTPClientRequest, _ timeLimitSeconds: Int64) async throws -> (status: UInt, body: [UInt8]) {
        do {
            let response = try await http.execute(request, timeout: .seconds(timeLimitSeconds))
            let body = try await response.body.collect(upTo: DaemonClient.answerBytesLimit)
            return (response.status.code, Array(body.readableBytesView))
        } catch let error as HTTPClientError where error == .deadlineExceeded {
            let reason = "nothing came in \(timeLimitSeconds) s"
            throw Failure.unreachable(UnreachableDaemon.text(socket: socket, reason: reason))
        } catch {
            let reason = (error as? HTTPClientError)?.shortDescription ?? "\(error)"
            throw Failure.unreachable(UnreachableDaemon.text(socket: socket, reason: reason))
        }
    }

    private func url(_ path: String, _ query: [(key: String, value: String)]) -> String {
        let pairs = query.map { "\($0.key)=\(DaemonClient.percentEncoded($0.value))" }
        return "http+unix://\(DaemonClient.percentEncoded(absolute(socket)))\(path)"
            + (pairs.isEmpty ? "" : "?\(pairs.joined(separator: "&"))")
    }

    /// A host of a URL cannot start with a dot; an absolute path never does.
    private func absolute(_ path: String) -> String {
        path.hasPrefix("/") ? path : "\(FileManager.default.currentDirectoryPath)/\(path)"
    }

    /// Everything but letters, digits and `-_~` as %XX, also the dot: some parsers fold `..` in a host.
    private static func percentEncoded(_ text: String) -> String {
        var encoded = ""
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"),
                UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "~"):
                encoded.unicodeScalars.append(Unicode.Scalar(byte))
            default:
                let hex = String(byte, radix: 16, uppercase: true)
                encoded += hex.utf8.count < 2 ? "%0\(hex)" : "%\(hex)"
            }
        }
        return encoded
    }
}
