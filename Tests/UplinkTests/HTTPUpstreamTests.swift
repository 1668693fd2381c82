import AsyncHTTPClient
import FoundationEssentials
import Glibc
import Host
import Metering
import NIOCore
import Testing

@testable import Uplink

/// An upstream over a client of its own, closed at the end.
func withUpstream<Result: Sendable>(
    _ url: String, token: TokenFile? = nil, format: HTTPUpstream.Format = .json, credentials: HTTPUpstream.Credentials? = nil,
    compression: HTTPUpstream.Compression = .gzip, headers: [HTTPUpstream.Header] = [], timeout: Duration = .seconds(20),
    _ body: (HTTPUpstream) async throws -> Result
) async throws -> Result {
    let client = HTTPClient(configuration: HTTPUpstream.clientConfiguration)
    let settings = HTTPUpstream.Settings(
        url: url, format: format, credentials: credentials ?? token.map { .token($0) }, compression: compression, headers: headers,
        timeout: timeout, version: "1.2.3")
    do {
        let result = try await body(HTTPUpstream(settings, client: client, time: SystemTime()))
        try await client.shutdown()
        return result
    } catch {
        try await client.shutdown()
        throw error
    }
}

@Suite struct HTTPUpstreamTests {
    private func settlement(of reply: WireServer.Reply, timeout: Duration = .seconds(20)) async throws -> Settlement {
        try await WireServer.serve(reply) { server in
            try await withUpstream(server.url, timeout: timeout) { await $0.send(Plant.batch(1041...1043)) }
        }
    }

    private func isUnavailable(_ settlement: Settlement, _ words: String...) -> Bool {
        guard case .unavailable(let reason, _) = settlement else { return false }
        return words.allSatisfy { reason.contains($0) }
    }

    @Test func theRequestIsTheContract() async throws {
        let path = temporaryPath()
        defer { unlink(path) }
        try Data("  s3cret\n".utf8).write(to: URL(filePath: path))
        try await WireServer.serve(.status("200 OK")) { server in
            try await withUpstream(server.url, token: TokenFile(path: path)) { upstream in
                #expect(await upstream.send(Plant.batch(1041...1043)) == .accepted(rejected: []))
                try Data("changed".utf8).write(to: URL(filePath: path))
                #expect(await upstream.send(Plant.batch(1041...1043)) == .accepted(rejected: []))
            }
            let request = server.requests[0]
            #expect(request.line == "POST /v1/batches HTTP/1.1")
            #expect(request.headers["content-type"] == "application/json")
            #expect(request.headers["content-encoding"] == "gzip")
            #expect(request.headers["idempotency-key"] == "gw-017/2f6e/1041-1043")
            #expect(request.headers["user-agent"] == "meterd/1.2.3")
            #expect(request.headers["authorization"] == "Bearer s3cret")
            var encoder = JSONBatchEncoder()
            let body = try Deflate.expand(request.body, format: .gzip, limit: 1 << 20)
            #expect(body == encoder.encode(Plant.batch(1041...1043)))
            // The same range sent again: the same id, the same bytes; the token as it is now.
            #expect(server.requests[1].headers["idempotency-key"] == "gw-017/2f6e/1041-1043")
            #expect(server.requests[1].body == request.body)
            #expect(server.requests[1].headers["authorization"] == "Bearer changed")
        }
    }

    @Test func measuredRecordsAreSentAsTheyWereMeasured() async throws {
        try await WireServer.serve(.status("200 OK")) { server in
            try await withUpstream(server.url) { upstream in
                let all = Plant.batch(1...50)
                let count = await upstream.fitting(all, bytes: 2000)
                #expect(count > 1 && count < 50)
                let part = Plant.batch(1...Int64(count))
                _ = await upstream.send(part)
                _ = await upstream.send(Plant.batch(2...3))
                var encoder = JSONBatchEncoder()
                let bodies = try server.requests.map { try Deflate.expand($0.body, format: .gzip, limit: 1 << 20) }
                #expect(bodies == [encoder.encode(part), encoder.encode(Plant.batch(2...3))])
                #expect(bodies[0].count <= 2000)
            }
        }
    }

    @Test(arguments: [
        WireServer.Reply.status("200 OK"), .status("204 No Content"), .status("202 Accepted", body: "thanks"),
        .status("200 OK", headers: ["Content-Type: text/html"], body: "ok"),
        .status("200 OK", headers: ["Content-Type: application/json"], body: #"{"accepted": 1043}"#),
        .status("200 OK", headers: ["Content-Type: application/json"], body: #"{"rejected": []}"#),
        .status("200 OK", headers: ["Content-Type: application/json"], body: #"{"rejected": null}"#),
        .status("200 OK", headers: ["Content-Type: application/json"], body: "[]"),
        .status("200 OK", headers: ["Content-Type: application/json"]),
    ])
    func aPlainYesAcceptsAll(reply: WireServer.Reply) async throws {
        #expect(try await settlement(of: reply) == .accepted(rejected: []))
    }

    @Test func rejectedRecordsComeBackWithTheirReasons() async throws {
        let body = #"{"rejected": [{"seq": 1042, "reason": "energy\nfell"}, {"seq": 1043}, {"seq": 1042, "reason": "again"}]}"#
        let expected = [
            RejectedRecord(seq: 1042, reason: "energy fell"), RejectedRecord(seq: 1043, reason: "rejected without a reason"),
        ]
        #expect(try await settlement(of: .status("200 OK", body: body)) == .accepted(rejected: expected))
    }

    @Test(arguments: [
        #"{"rejected": "all"}"#, #"{"rejected": [1042]}"#, #"{"rejected": [{"reason": "no seq"}]}"#, #"{"rejected": [{"seq": "1042"}]}"#,
        #"{"rejected": [{"seq": 1.5}]}"#, #"{"rejected": [{"seq": 1042}"#, #"{"rejected": [{"seq": 999}]}"#, "{",
        "<!DOCTYPE html><html>log in</html>", "\n<HTML>",
    ])
    func aYesThatCannotBeUnderstoodKeepsTheData(body: String) async throws {
        let answer = try await settlement(of: .status("200 OK", body: body))
        #expect(isUnavailable(answer, "200, but"))
    }

    @Test func anEndlessAnswerIsNotReadToItsEnd() async throws {
        let long = String(repeating: " ", count: 200_000) + "x"
        let answer = try await settlement(of: .status("200 OK", body: "{" + long))
        #expect(isUnavailable(answer, "longer than 65536"))
        // A plain receiver may talk as it likes.
        #expect(try await settlement(of: .status("200 OK", body: "x" + long)) == .accepted(rejected: []))
    }

    @Test(arguments: ["400 Bad Request", "415 Unsupported Media Type", "422 Unprocessable Content"])
    func contentThatIsRefusedSaysWhatTheReceiverSaid(status: String) async throws {
        let expected = "the receiver answered \(status.prefix(3)): no such device"
        #expect(try await settlement(of: .status(status, body: "no such\r\ndevice")) == .refused(reason: expected))
    }

    @Test(arguments: HTTPUpstream.Compression.allCases) func theBodyIsPackedAsConfigured(_ compression: HTTPUpstream.Compression)
        async throws
    {
        try await WireServer.serve(.status("200 OK")) { server in
            try await withUpstream(server.url, compression: compression) { upstream in
                #expect(await upstream.send(Plant.batch(1...50)) == .accepted(rejected: []))
            }
            let request = server.requests[0]
            #expect(request.headers["content-encoding"] == (compression == .none ? nil : compression.rawValue))
            let body =
                switch compression {
                case .gzip: try Deflate.expand(request.body, format: .gzip, limit: 1 << 20)
                case .zstd: try Zstandard.expand(request.body, limit: 1 << 20)
                case .none: request.body
                }
            var encoder = JSONBatchEncoder()
            #expect(body == encoder.encode(Plant.batch(1...50)))
        }
    }

    /// A proxy takes connections for a receiver that is dead: no record is to blame, however long it lasts.
    @Test func aReceiverThatHangsUpOverEverythingKeepsTheData() async throws {
        try await WireServer.serve(.hangUp) { server in
            try await withUpstream(server.url) { upstream in
                for _ in 0..<3 * HangUps.perBatch {
                    let answer = await upstream.send(Plant.batch(1...1))
                    #expect(isUnavailable(answer, "closed before the whole answer"), "\(answer)")
                }
            }
        }
    }

    /// It answers before and after, but never to this: the batch is cut, and the others have nothing to do with it.
    @Test func aReceiverThatDiesOfABatchGetsItSmaller() async throws {
        let rule = WireServer.Reply.rule { request in
            if request.line.hasPrefix("HEAD ") { return .status("404 Not Found") }
            return request.headers["idempotency-key"]?.hasSuffix("/1-3") == true ? .hangUp : .status("200 OK")
        }
        try await WireServer.serve(rule) { server in
            try await withUpstream(server.url) { upstream in
                for attempt in 1...2 * HangUps.perBatch {
                    let answer = await upstream.send(Plant.batch(1...3))
                    if attempt % HangUps.perBatch == 0 {
                        guard case .tooLarge = answer else {
                            Issue.record("\(answer)")
                            return
                        }
                    } else {
                        #expect(isUnavailable(answer, "closed before the whole answer"), "\(answer)")
                    }
                }
                #expect(await upstream.send(Plant.batch(1...2)) == .accepted(rejected: []))
            }
            let heads = server.requests.filter { $0.line.hasPrefix("HEAD /v1/batches ") }
            #expect(heads.count == 2 * (HangUps.perBatch - 1) && heads.allSatisfy { $0.body.isEmpty })
        }
    }

    @Test func tooLargeIsToldApart() async throws {
        #expect(try await settlement(of: .status("413 Content Too Large")) == .tooLarge(reason: "the receiver answered 413"))
    }

    @Test(arguments: ["401", "403", "404", "405", "407", "410", "418"])
    func wrongTokenOrURLPausesAndDeadLettersNothing(status: String) async throws {
        guard case .unauthorized(let reason) = try await settlement(of: .status("\(status) No")) else {
            Issue.record("not paused")
            return
        }
        #expect(reason.contains(status) && reason.contains("check the output's"))
    }

    @Test(arguments: ["408", "409", "425", "429", "500", "502", "503", "504", "599"])
    func aReceiverInTroubleIsTriedAgain(status: String) async throws {
        let answer = try await settlement(of: .status("\(status) Later"))
        #expect(isUnavailable(answer, status))
    }

    @Test func retryAfterIsReadInBothForms() async throws {
        let seconds = try await settlement(of: .status("429 Slow", headers: ["Retry-After: 17"]))
        #expect(seconds == .unavailable(reason: "the receiver answered 429", retryAfter: .seconds(17)))
        let headers = ["Date: Sun, 06 Nov 1994 08:49:37 GMT", "Retry-After: Sun, 06 Nov 1994 08:51:37 GMT"]
        let date = try await settlement(of: .status("503 Busy", headers: headers))
        #expect(date == .unavailable(reason: "the receiver answered 503", retryAfter: .seconds(120)))
    }

    @Test(arguments: ["301", "302", "303", "307", "308"])
    func aRedirectIsNotFollowedAndNoAcknowledgement(status: String) async throws {
        try await WireServer.serve(.status("200 OK")) { other in
            let reply = WireServer.Reply.status("\(status) Elsewhere", headers: ["Location: \(other.url)"])
            let answer = try await settlement(of: reply)
            #expect(isUnavailable(answer, status, "redirect"))
            #expect(other.requests.isEmpty)
        }
    }

    @Test func garbageInPlaceOfHTTPKeepsTheData() async throws {
        let answer = try await settlement(of: .bytes(Array("SSH-2.0-OpenSSH_9.2\r\n\r\n".utf8)))
        #expect(isUnavailable(answer, "not HTTP"))
    }

    @Test(arguments: ["", "HTTP/1.1 200 OK\r\nContent-Le", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"rejected\": [{\"seq\""])
    func aConnectionCutAnywhereInTheAnswerKeepsTheData(sent: String) async throws {
        let answer = try await settlement(of: .bytes(Array(sent.utf8)))
        #expect(isUnavailable(answer, "connection"))
    }

    @Test func aReceiverThatHangsIsGivenUpAfterTheTimeout() async throws {
        #expect(
            try await settlement(of: .hang, timeout: .milliseconds(200)) == .unavailable(reason: "no answer within 0.2 s", retryAfter: nil))
    }

    @Test func cancellingEndsARequestInFlight() async throws {
        try await WireServer.serve(.hang) { server in
            try await withUpstream(server.url) { upstream in
                let request = Task { await upstream.send(Plant.batch(1...1)) }
                while server.requests.isEmpty { await Task.yield() }
                request.cancel()
                #expect(isUnavailable(await request.value, "stopped"))
            }
        }
    }

    @Test func faultsOfTheWayAreSentences() async throws {
        let batch = Plant.batch(1...1)
        let refused = try await withUpstream("http://127.0.0.1:1/") { await $0.send(batch) }
        #expect(refused == .unavailable(reason: "connection refused: nothing listens at that port", retryAfter: nil))
        // A label of more than 63 characters: the resolver refuses it without asking a server.
        let longLabel = String(repeating: "x", count: 64)
        let nameless = try await withUpstream("http://\(longLabel).invalid/") { await $0.send(batch) }
        #expect(nameless == .unavailable(reason: "the host name cannot be resolved", retryAfter: nil))
        let plain = try await WireServer.serve(.status("200 OK")) { server in
            try await withUpstream("https://127.0.0.1:\(server.port)/") { await $0.send(batch) }
        }
        #expect(isUnavailable(plain, "does not speak TLS"))
        for url in ["", "ftp://127.0.0.1/", "nonsense", "http://"] {
            guard case .unauthorized(let reason) = try await withUpstream(url, { await $0.send(batch) }) else {
                Issue.record("\(url) was taken for a URL")
                continue
            }
            #expect(reason.contains("url"))
        }
    }

    @Test func aTokenThatCannotBeReadPausesAndIsNeverShown() async throws {
        let path = temporaryPath()
        defer { unlink(path) }
        let file = TokenFile(path: path)
        let missing = try await withUpstream("http://127.0.0.1:1/", token: file) { await $0.send(Plant.batch(1...1)) }
        #expect(missing == .unauthorized(reason: "the token file \(path) cannot be read: No such file or directory"))
        for content in ["", " \n", "two words", "line\nline", "caf\u{e9}"] {
            try Data(content.utf8).write(to: URL(filePath: path))
            #expect(throws: TokenFile.Failure.unusable(path: path)) { try file.read() }
        }
        try Data(repeating: 0x41, count: TokenFile.sizeLimit + 1).write(to: URL(filePath: path))
        #expect(throws: TokenFile.Failure.tooLong(path: path)) { try file.read() }
    }

    private func temporaryPath() -> String { "/tmp/meterd-uplink-\(getpid())-\(UInt64.random(in: 0 ... .max))" }
}

@Suite struct RetryAfterTests {
    @Test func secondsAndDatesAreReadAndAllElseIsNot() {
        let now = Timestamp(milliseconds: 784_111_777_000)  // Sun, 06 Nov 1994 08:49:37 GMT, RFC 9110's example
        #expect(RetryAfter.httpDate("Sun, 06 Nov 1994 08:49:37 GMT") == now)
        #expect(RetryAfter.httpDate("Thu, 29 Feb 2024 00:00:00 GMT") == Timestamp(milliseconds: 1_709_164_800_000))
        #expect(RetryAfter.parse("120", date: nil, now: now) == .seconds(120))
        #expect(RetryAfter.parse("Sun, 06 Nov 1994 08:50:07 GMT", date: nil, now: now) == .seconds(30))
        #expect(RetryAfter.parse("Sun, 06 Nov 1994 08:49:07 GMT", date: nil, now: now) == .zero)
        for text in ["", "-1", "soon", "1.5", "Sun, 06 Nov 1994 08:49:37", "Sun, 32 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 8 GMT"] {
            #expect(RetryAfter.parse(text, date: nil, now: now) == nil)
        }
        #expect(RetryAfter.parse("99999999999999999999", date: nil, now: now) == nil)
        #expect(RetryAfter.parse("999999999999999999", date: nil, now: now) == .seconds(1_000_000))
    }
}
