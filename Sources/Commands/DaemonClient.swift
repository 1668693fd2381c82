import AsyncHTTPClient
import FoundationEssentials
import Gateway
import Host
import Metering

/// Asks the daemon, over its Unix socket or over TCP.
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

    /// Times that a request is put again when the daemon wants it slower.
    static let patience = 20

    let address: DaemonAddress
    private let http: HTTPClient

    /// Lends a client and closes it afterwards.
    static func with<Result>(socket address: DaemonAddress, _ body: (DaemonClient) async throws -> Result) async throws -> Result {
        var configuration = HTTPClient.Configuration()
        // A daemon that refuses now is told now, not after ten seconds of tries.
        configuration.timeout.read = .seconds(DaemonClient.streamSilenceSeconds)
        configuration.connectionPool.retryConnectionEstablishment = false
        let http = HTTPClient(eventLoopGroup: HTTPClient.defaultEventLoopGroup, configuration: configuration)
        do {
            let result = try await body(DaemonClient(address: address, http: http))
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
        try await ask(request(path, query), path, timeLimitSeconds)
    }

    /// Has the daemon do something.
    /// - Throws: as `get`; bad data when the daemon calls what it was to work on invalid.
    func post(_ path: String, query: [(key: String, value: String)] = []) async throws -> [UInt8] {
        var request = request(path, query)
        request.method = .POST
        return try await ask(request, path)
    }

    private func ask(
        _ request: HTTPClientRequest, _ path: String, _ timeLimitSeconds: Int64 = DaemonClient.timeLimitSeconds
    ) async throws -> [UInt8] {
        if let text = address.unreachable() { throw Failure.unreachable(text) }
        var (status, body) = try await exchange(request, timeLimitSeconds)
        for _ in 0..<DaemonClient.patience where status == 429 {
            let time = SystemTime()
            try await time.sleep(until: time.uptime() + .seconds(1))
            (status, body) = try await exchange(request, timeLimitSeconds)
        }
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
        if let text = address.unreachable() { throw Failure.unreachable(text) }
        do {
            let response = try await http.execute(
                request(path, query), timeout: .seconds(DaemonClient.streamLimitSeconds))
            guard response.status.code == 200 else {
                let body = try await response.body.collect(upTo: DaemonClient.answerBytesLimit)
                throw refusal(response.status.code, Array(body.readableBytesView), path)
            }
            do {
                for try await piece in response.body { try take(Array(piece.readableBytesView)) }
            } catch let error where !(error is HTTPClientError || error is Failure) {
                // The parser's words for an answer without its last chunk mean nothing to a person.
                throw Failure.failed(
                    "the answer broke off: meterd ended or failed while it gave it; run it again, or see sudo journalctl -u meterd")
            }
        } catch let error as HTTPClientError {
            throw Failure.failed("the daemon broke the answer off: \(error.shortDescription); see sudo journalctl -u meterd")
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
            throw Failure.unreachable(address.unreachable(reason))
        } catch {
            let reason = (error as? HTTPClientError)?.shortDescription ?? "\(error)"
            throw Failure.unreachable(address.unreachable(reason))
        }
    }

    private func request(_ path: String, _ query: [(key: String, value: String)]) -> HTTPClientRequest {
        let pairs = query.map { "\($0.key)=\(DaemonClient.percentEncoded($0.value))" }
        var request = HTTPClientRequest(url: address.base + path + (pairs.isEmpty ? "" : "?\(pairs.joined(separator: "&"))"))
        if let token = address.token { request.headers.add(name: "Authorization", value: "Bearer \(token)") }
        return request
    }

    /// Everything but letters, digits and `-_~` as %XX, also the dot: some parsers fold `..` in a host.
    static func percentEncoded(_ text: String) -> String {
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
