import Host
import Metering
import Testing

@testable import Uplink

@Suite struct LineProtocolTests {
    private func lines(_ batch: Batch, texts: Bool = false, measurement: String = "meterd") -> [String] {
        var encoder = LineProtocolEncoder(measurement: measurement, texts: texts)
        return String(decoding: encoder.encode(batch), as: UTF8.self).split(separator: "\n").map(String.init)
    }

    @Test func aPollIsALine() {
        #expect(
            lines(Plant.batch(1041...1042)) == [
                "meterd,device=main,gateway=gw-017,role=grid,site=park-2/factory-12 seq=1041,voltage_l1=230.4,energy_active_import=1041 1795459201041",
                "meterd,device=main,gateway=gw-017,role=grid,site=park-2/factory-12 seq=1042,voltage_l1=230.4,energy_active_import=1042 1795459201042",
            ])
    }

    @Test func whatIsMissingIsAQualityAndNoNumber() {
        var batch = Plant.batch(7...7)
        batch.site = nil
        batch.records[0].clock = .informative
        batch.records[0].readings = [
            Reading(point: 0, value: nil, quality: .noCommunication), Reading(point: 1, value: .text("A \"7\"\\")),
        ]
        let tags = "meterd,device=main,gateway=gw-017,role=grid"
        #expect(lines(batch) == ["\(tags) seq=7,quality_voltage_l1=1,quality_time=16384 1795459200007"])
        let text = #"energy_active_import="A \"7\"\\""#
        #expect(lines(batch, texts: true) == ["\(tags) seq=7,\(text),quality_voltage_l1=1,quality_time=16384 1795459200007"])
    }

    @Test func specialCharactersAreEscaped() {
        var batch = Plant.batch(1...1)
        batch.site = "hall 2, x=y\\\nend\\"
        batch.records[0].readings = []
        #expect(
            lines(batch, measurement: "my, me=ters") == [
                #"my\,\ me=ters,device=main,gateway=gw-017,role=grid,site=hall\ 2\,\ x\=y/\ end/ seq=1 1795459200001"#
            ])
    }

    @Test func noNumberIsEverAnInteger() throws {
        var batch = Plant.batch(1...1)
        for text in ["12345600", "-5", "0", "9223372036854775807", "1e30", "0.0000001"] {
            batch.records[0].readings = [Reading(point: 0, value: .number(try #require(ExactDecimal(text))))]
            let line = try #require(lines(batch).first)
            #expect(!line.split(separator: " ")[1].contains("i,") && !line.split(separator: " ")[1].hasSuffix("i"), "\(line)")
        }
    }

    @Test func theAddressNamesThePrecision() {
        #expect(LineProtocol.address("http://h:8086/write?db=m") == "http://h:8086/write?db=m&precision=ms")
        #expect(LineProtocol.address("http://h:9000/write") == "http://h:9000/write?precision=ms")
        #expect(LineProtocol.address("http://h/api/v3/write_lp?db=m") == "http://h/api/v3/write_lp?db=m&precision=millisecond")
    }
}

/// What servers answer, in their own words.
@Suite struct LineProtocolAnswerTests {
    private func settlement(_ status: String, _ body: String, headers: [String] = [], batch: Batch = Plant.batch(1041...1043)) async throws
        -> Settlement
    {
        try await WireServer.serve(.status(status, headers: headers, body: body)) { server in
            try await withUpstream(server.url, format: .lineProtocol(LineProtocol())) { await $0.send(batch) }
        }
    }

    private func accepted(_ rejected: Int64...) -> (Settlement) -> Bool {
        { settlement in
            guard case .accepted(let list) = settlement else { return false }
            return list.map(\.seq) == rejected && list.allSatisfy { !$0.reason.isEmpty }
        }
    }

    @Test func theRequestIsGzippedLinesWithTheToken() async throws {
        let path = "/tmp/meterd-token-\(UInt64.random(in: 0 ... .max))"
        try writeText("s3cret\n", to: path)
        defer { removeFile(path) }
        try await WireServer.serve(.status("204 No Content")) { server in
            let credentials = HTTPUpstream.Credentials.token(TokenFile(path: path), scheme: "Token")
            try await withUpstream(server.url, format: .lineProtocol(LineProtocol()), credentials: credentials) {
                #expect(await $0.send(Plant.batch(1...3)) == .accepted(rejected: []))
            }
            try await withUpstream(
                server.url, format: .lineProtocol(LineProtocol()), credentials: .password(TokenFile(path: path), user: "me"),
                compression: .none
            ) {
                #expect(await $0.send(Plant.batch(1...3)) == .accepted(rejected: []))
            }
            let requests = server.requests
            #expect(requests.map { $0.headers["authorization"] } == ["Token s3cret", "Basic bWU6czNjcmV0"])
            #expect(requests.map { $0.headers["content-encoding"] } == ["gzip", nil])
            #expect(requests.allSatisfy { $0.headers["content-type"] == "text/plain; charset=utf-8" })
            var encoder = LineProtocolEncoder(measurement: "meterd", texts: false)
            let lines = encoder.encode(Plant.batch(1...3))
            #expect(try Deflate.expand(requests[0].body, format: .gzip, limit: 1 << 20) == lines)
            #expect(requests[1].body == lines)
        }
    }

    @Test(arguments: [
        "204 No Content", "200 OK", "201 Created",
    ])
    func aYesAcceptsAll(status: String) async throws {
        #expect(try await settlement(status, "") == .accepted(rejected: []))
    }

    @Test func theLinesThatInfluxDB3NamesAreRejectedAndNoOthers() async throws {
        let body = """
            {"error": "partial write of line protocol occurred", "data": [
              {"original_line": "meterd,dev", "line_number": 2, "error_message": "invalid column type for column 'voltage_l1'"},
              {"original_line": "meterd,dev", "line_number": 2, "error_message": "again"}]}
            """
        let expected = RejectedRecord(seq: 1042, reason: "invalid column type for column 'voltage_l1'")
        #expect(try await settlement("400 Bad Request", body) == .accepted(rejected: [expected]))
        // A line that is not in the batch: the answer is about something else.
        let other = body.replacing("\"line_number\": 2", with: "\"line_number\": 9")
        guard case .refused = try await settlement("400 Bad Request", other) else {
            Issue.record("settled by an answer about another request")
            return
        }
    }

    @Test func aLineQuotedAsUnparsableIsRejected() async throws {
        var encoder = LineProtocolEncoder(measurement: "meterd", texts: false)
        let line = String(decoding: encoder.encode(Plant.batch(1042...1042)), as: UTF8.self)
        let answer = try await settlement(
            "400 Bad Request", #"{"error":"partial write: unable to parse '\#(line)': invalid number dropped=0"}"#)
        #expect(accepted(1042)(answer), "\(answer)")
    }

    @Test(arguments: [
        ("400 Bad Request", #"{"error":"partial write: points beyond retention policy dropped=2"}"#),
        (
            "422 Unprocessable",
            #"{"code":"unprocessable entity","message":"failure: partial write: points beyond retention policy dropped=2"}"#
        ),
        ("500 Oops", #"{"code":"internal error","message":"unexpected error: partial write: points beyond retention policy dropped=2"}"#),
    ])
    func whatIsBeyondTheRetentionAreTheOldest(status: String, body: String) async throws {
        let answer = try await settlement(status, body)
        #expect(accepted(1041, 1042)(answer), "\(answer)")
    }

    @Test func aPartThatWasNotTakenAtAllIsRejectedAtOnce() async throws {
        let answer = try await settlement("400 Bad Request", #"{"error":"partial write: points beyond retention policy dropped=3"}"#)
        #expect(accepted(1041, 1042, 1043)(answer), "\(answer)")
    }

    @Test(arguments: [
        // Only counted, so that the batch must be halved: InfluxDB 1 and 2.
        (
            "400 Bad Request",
            #"{"error":"partial write: field type conflict: input field \"seq\" on measurement \"meterd\" is type float, already exists as type string dropped=1"}"#
        ),
        // Nothing was taken: InfluxDB 3 with accept_partial=false, QuestDB, InfluxDB 2.
        (
            "400 Bad Request",
            #"{"error":"parsing failed for write_lp endpoint","data":{"original_line":"x","line_number":2,"error_message":"no"}}"#
        ),
        (
            "400 Bad Request",
            #"{"code":"invalid","message":"failed to parse line protocol: errors encountered on line(s): error in line 2","line":2}"#
        ),
        ("400 Bad Request", "gibberish"), ("422 Unprocessable Content", ""),
    ])
    func aBatchOfWhichNobodySaysWhatIsBadIsHalved(status: String, body: String) async throws {
        guard case .refused(let reason) = try await settlement(status, body) else {
            Issue.record("\(status) \(body)")
            return
        }
        #expect(reason.contains(status.prefix(3)))
    }

    @Test(arguments: [
        ("400 Bad Request", #"{"error":"database is required"}"#), ("404 Not Found", #"{"error":"database not found: \"m\""}"#),
        ("404 Not Found", #"{"code":"not found","message":"bucket \"m\" not found"}"#), ("401 Unauthorized", #"{"code":"unauthorized"}"#),
        ("400 Bad Request", #"{"error":"invalid precision \"x\" (use n, u, ms, s, m or h)"}"#),
    ])
    func aWrongURLPausesAndNeverMakesDeadLetters(status: String, body: String) async throws {
        guard case .unauthorized = try await settlement(status, body) else {
            Issue.record("\(status) \(body)")
            return
        }
    }

    @Test func largeBusyAndBrokenServersAreUnderstood() async throws {
        guard case .tooLarge = try await settlement("413 Too Large", #"{"error":"Request Entity Too Large"}"#) else {
            Issue.record("413 is not too large")
            return
        }
        for (status, wait) in [("429 Slow down", Duration.seconds(9)), ("503 Busy", .seconds(9))] {
            guard case .unavailable(_, let retryAfter) = try await settlement(status, "", headers: ["Retry-After: 9"]) else {
                Issue.record("\(status)")
                return
            }
            #expect(retryAfter == wait)
        }
        for body in [#"{"error":"timeout"}"#, #"{"error":"engine: cache-max-memory-size exceeded"}"#, "x"] {
            guard case .unavailable = try await settlement("500 Oops", body) else {
                Issue.record("\(body)")
                return
            }
        }
    }
}
