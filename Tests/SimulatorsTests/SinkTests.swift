import FoundationEssentials
import Glibc
import Host
import Metering
import TestSupport
import Testing

@testable import Simulators

/// Batches as text, and one way to hand them to a sink.
enum BatchText {
    static func body(_ seqs: [Int64], first: Int64? = nil, last: Int64? = nil, journal: String = "j1", gateway: String = "gw") -> String {
        let (first, last) = (first ?? seqs.first ?? 1, last ?? seqs.last ?? 1)
        let records = seqs.map {
            #"{"seq":\#($0),"device":"main","time":1795459200123,"clock":"S","values":{"voltage_l1":230.4,"power_active":-398.1},"#
                + #""quality":{"voltage_l2":1,"voltage_l1":2}}"#
        }
        return #"{"version":1,"gateway":"\#(gateway)","site":"s","batch":{"id":"\#(gateway)/\#(journal)/\#(first)-\#(last)","#
            + #""output":"park","first":\#(first),"last":\#(last),"historical":false},"#
            + "\n \"readings\": [" + records.joined(separator: ",\n") + "]}"
    }

    /// Sends a request on a connection of its own and returns the whole answer; empty when the connection ends without one.
    static func exchange(_ port: UInt16, _ method: String, _ path: String, headers: [String] = [], body: [UInt8] = []) -> String {
        let client = RawClient(port: port)
        let head = ["\(method) \(path) HTTP/1.1", "Host: sink", "Connection: close", "Content-Length: \(body.count)"] + headers
        client.send(Array((head.joined(separator: "\r\n") + "\r\n\r\n").utf8) + body)
        return String(decoding: client.receiveToEnd(), as: UTF8.self)
    }

    static func post(
        _ port: UInt16, _ seqs: [Int64], first: Int64? = nil, last: Int64? = nil, journal: String = "j1", gzip: Bool = true
    ) -> String {
        let text = Array(body(seqs, first: first, last: last, journal: journal).utf8)
        let id = "gw/\(journal)/\(first ?? seqs.first ?? 1)-\(last ?? seqs.last ?? 1)"
        let headers = ["Content-Type: application/json", "Idempotency-Key: \(id)"] + (gzip ? ["Content-Encoding: gzip"] : [])
        return exchange(port, "POST", "/v1/batches", headers: headers, body: gzip ? Deflate.compress(text, format: .gzip) : text)
    }
}

extension String {
    /// The status code of an HTTP answer; nil when it is none.
    var status: Int? { hasPrefix("HTTP/1.1 ") ? Int(dropFirst(9).prefix(3)) : nil }
}

@Suite struct SinkTests {
    let folder: ScratchFolder
    var file: String { folder.file("received.jsonl") }

    init() throws { folder = try ScratchFolder() }

    /// Runs `body` with a sink and stops it, whatever comes.
    private func withSink(port: UInt16 = 0, mode: SinkMode = .ok, control: UInt16? = nil, _ body: (Sink) async throws -> Void) async throws
    {
        let sink = try await Sink(file: file, port: port, controlPort: control, mode: mode)
        do {
            try await body(sink)
        } catch {
            await sink.stop()
            throw error
        }
        await sink.stop()
    }

    @Test func aBatchPackedWithZstdIsTakenToo() async throws {
        try await withSink { sink in
            let headers = ["Content-Type: application/json", "Content-Encoding: zstd", "Idempotency-Key: gw/j1/1-2"]
            let body = Zstandard.compress(Array(BatchText.body([1, 2]).utf8))
            #expect(BatchText.exchange(sink.port, "POST", "/v1/batches", headers: headers, body: body).status == 200)
            let records = try sink.records()
            #expect(records.map(\.seq) == [1, 2])
            #expect(BatchText.exchange(sink.port, "POST", "/v1/batches", headers: headers, body: [1, 2, 3]).status == 400)
        }
    }

    @Test func whatIsAcceptedIsInTheFileAsItCame() async throws {
        try await withSink { sink in
            #expect(BatchText.post(sink.port, [1, 2, 3]).status == 200)
            #expect(BatchText.post(sink.port, [4], gzip: false).status == 200)
            let records = try sink.records()
            #expect(records.map(\.seq) == [1, 2, 3, 4])
            #expect(records[0].device == "main" && records[0].journalID == "j1" && records[0].clock == .synchronized)
            #expect(records[0].values["power_active"] == .number(-398.1))
            #expect(records[0].time == Timestamp(milliseconds: 1_795_459_200_123))
            #expect(records[0].quality["voltage_l2"] == Quality(rawValue: 1))
            #expect(sink.report.records == 4 && sink.report.batches == 2 && sink.report.missing == 0)
            #expect(sink.report.readings == 12, "two values and one point without a value in each")
        }
        #expect(folder.content(of: "received.jsonl").split(separator: "\n").count == 2)
    }

    @Test func aRepeatedBatchIsDroppedAndARepeatedRecordIsADuplicate() async throws {
        try await withSink { sink in
            for _ in 0..<3 { #expect(BatchText.post(sink.port, [1, 2]).status == 200) }
            #expect(sink.report.repeatedBatches == 2 && sink.report.duplicates == 0 && sink.report.records == 2)
            #expect(BatchText.post(sink.port, [2, 3]).status == 200)
            #expect(sink.report.duplicates == 1 && sink.report.records == 3)
            #expect(BatchText.post(sink.port, [2], journal: "j2").status == 200)
            #expect(sink.report.duplicates == 1, "another journal has its own seqs")
        }
    }

    @Test func gapsAreMissingUntilTheyAreFilled() async throws {
        try await withSink { sink in
            _ = BatchText.post(sink.port, [1, 2])
            _ = BatchText.post(sink.port, [7, 9], first: 6, last: 9)
            #expect(sink.report.missing == 5)
            _ = BatchText.post(sink.port, [3, 4, 5, 6])
            #expect(sink.report.missing == 1)
            let journal = try #require(sink.report.journals.first)
            #expect(journal.firstSeq == 1 && journal.lastSeq == 9 && journal.missing == 1 && journal.records == 8)
        }
    }

    @Test func aRestartedSinkKnowsWhatItHas() async throws {
        try await withSink { sink in
            _ = BatchText.post(sink.port, [1, 2, 3])
            try await sink.setMode(SinkMode("rejected,seq=5"))
            _ = BatchText.post(sink.port, [4, 5])
        }
        try await withSink { sink in
            #expect(sink.report.records == 4 && sink.report.rejected == 1 && sink.report.batches == 2 && sink.report.missing == 0)
            #expect(BatchText.post(sink.port, [1, 2, 3]).status == 200)
            #expect(sink.report.repeatedBatches == 1 && sink.report.records == 4)
            #expect(BatchText.post(sink.port, [4, 5]).contains(#""seq":5"#), "a repeat is answered as the first time")
            _ = BatchText.post(sink.port, [3, 4], first: 3, last: 4)
            #expect(sink.report.duplicates == 2)
        }
    }

    @Test func aLineThatWasNotFinishedIsCutOff() async throws {
        try await withSink { _ = BatchText.post($0.port, [1, 2]) }
        let whole = folder.content(of: "received.jsonl")
        _ = try folder.file("received.jsonl", content: whole + whole.prefix(100))
        try await withSink { sink in
            #expect(sink.report.records == 2)
            #expect(BatchText.post(sink.port, [3]).status == 200)
        }
        #expect(try Sink.records(file: file).map(\.seq) == [1, 2, 3])
    }

    @Test func aFileThatIsNoSinksIsRefused() async throws {
        _ = try folder.file("received.jsonl", content: "dear diary\n")
        let error = await #expect(throws: SimulatorError.self) { try await Sink(file: file) }
        #expect(error?.code == .corrupt)
        #expect(folder.content(of: "received.jsonl") == "dear diary\n")
    }

    @Test func twoSinksCannotShareAFile() async throws {
        try await withSink { _ in
            await #expect(throws: SimulatorError.self) { try await Sink(file: file) }
        }
    }

    @Test(arguments: [
        ("500", 500), ("503,times=1", 503), ("401", 401), ("413", 413), ("413,records=1", 413), ("413,bytes=10", 413), ("400,seq=2", 400),
    ])
    func aRefusingModeTakesNothing(mode: String, status: Int) async throws {
        try await withSink(mode: try SinkMode(mode)) { sink in
            #expect(BatchText.post(sink.port, [1, 2]).status == status)
            #expect(sink.report.records == 0)
            try await sink.setMode(.ok)
            #expect(BatchText.post(sink.port, [1, 2]).status == 200)
            #expect(sink.report.records == 2)
        }
    }

    @Test func theLimitsLetSmallerBatchesPass() async throws {
        try await withSink(mode: try SinkMode("413,records=1")) { #expect(BatchText.post($0.port, [1]).status == 200) }
        try await withSink(mode: try SinkMode("400,seq=2")) { #expect(BatchText.post($0.port, [3]).status == 200) }
    }

    @Test func retryAfterAndLocationAreSaid() async throws {
        try await withSink(mode: try SinkMode("429,retry-after=5s,times=1")) { sink in
            let answer = BatchText.post(sink.port, [1])
            #expect(answer.status == 429 && answer.contains("Retry-After: 5\r\n"))
            #expect(sink.mode == .ok, "once is over")
            try await sink.setMode(SinkMode("redirect,to=http://127.0.0.1:9/x"))
            let redirect = BatchText.post(sink.port, [1])
            #expect(redirect.status == 307 && redirect.contains("Location: http://127.0.0.1:9/x\r\n"))
        }
    }

    @Test func cutAndNoiseAndGarbageDoAsTheyAreNamed() async throws {
        try await withSink(mode: SinkMode(.cutBefore)) { sink in
            #expect(BatchText.post(sink.port, [1]).isEmpty)
            #expect(sink.report.records == 0)
            try await sink.setMode(SinkMode(.noise))
            let noise = BatchText.post(sink.port, [1])
            #expect(!noise.isEmpty && noise.status == nil)
            #expect(sink.report.records == 0)
            try await sink.setMode(SinkMode(.cutAfter))
            #expect(BatchText.post(sink.port, [1]).isEmpty)
            #expect(sink.report.records == 1)
            try await sink.setMode(SinkMode(.garbage))
            #expect(BatchText.post(sink.port, [2]).status == 200)
            #expect(sink.report.records == 2)
        }
    }

    @Test func hangAnswersNothingUntilTheSinkStops() async throws {
        let sink = try await Sink(file: file, mode: SinkMode(.hang))
        let client = RawClient(port: sink.port)
        client.send(Array("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n".utf8))
        // The next connection is answered, so the first was read and left alone.
        #expect(BatchText.exchange(sink.port, "GET", "/status").status == 200)
        await sink.stop()
        #expect(client.receiveToEnd().isEmpty)
    }

    @Test func refuseClosesThePortAndItsEndOpensItAgain() async throws {
        try await withSink(port: freePort(), control: 0) { sink in
            let control = try #require(sink.controlPort)
            let open = RawClient(port: sink.port)
            // A connection counts once it is served.
            #expect(BatchText.exchange(sink.port, "POST", "/mode", body: Array("refuse".utf8)).status == 409)
            #expect(BatchText.exchange(control, "POST", "/mode", body: Array("refuse\n".utf8)).status == 200)
            #expect(open.receiveToEnd().isEmpty)
            // A process that is just being started may hold the listener for a moment.
            let end = ContinuousClock.now + .seconds(60)
            while RawClient(port: sink.port).connected, ContinuousClock.now < end { try await Task.sleep(for: .milliseconds(10)) }
            #expect(!RawClient(port: sink.port).connected)
            #expect(BatchText.exchange(control, "GET", "/status").contains(#""mode":"refuse""#))
            #expect(BatchText.exchange(control, "POST", "/mode", body: Array("ok".utf8)).status == 200)
            #expect(BatchText.post(sink.port, [1]).status == 200)
        }
    }

    @Test func whatIsNoBatchIsRefusedInASentence() async throws {
        let good = BatchText.body([1, 2])
        let id = "gw/j1/1-2"
        func swapped(_ old: String, _ new: String) -> String {
            good.split(separator: old, omittingEmptySubsequences: false).joined(separator: new)
        }
        let cases: [(String, String, Int, String)] = [
            ("", id, 400, "no JSON"), ("[]", id, 400, "wrong type"), ("{\"version\":1}", id, 400, "gateway is missing"),
            (swapped("\"version\":1", "\"version\":2"), id, 400, "version 2"), (swapped("\"seq\":2", "\"seq\":1"), id, 400, "rising order"),
            (swapped("\"seq\":2", "\"seq\":9"), id, 400, "beyond batch.last"), (swapped("\"S\"", "\"Q\""), id, 400, "clock Q"),
            (swapped("\"time\":1795459200123", "\"time\":\"now\""), id, 400, "readings.[0].time has the wrong type"),
            (swapped("\"first\":1", "\"first\":0"), id, 400, "does not name its gateway and range"),
            (swapped("230.4", "1e999"), id, 400, "readings.[0].values"), (good, "gw/j1/1-3", 400, "is not batch.id"),
        ]
        try await withSink { sink in
            for (body, key, status, part) in cases {
                let answer = BatchText.exchange(
                    sink.port, "POST", "/", headers: ["Content-Type: application/json", "Idempotency-Key: \(key)"], body: Array(body.utf8))
                #expect(answer.status == status && answer.contains(part), "\(part): \(answer)")
            }
            let type = "Content-Type: application/json"
            #expect(BatchText.exchange(sink.port, "POST", "/", headers: [type], body: Array(good.utf8)).contains("no Idempotency-Key"))
            #expect(BatchText.exchange(sink.port, "POST", "/", headers: ["Content-Type: text/plain"]).status == 415)
            #expect(BatchText.exchange(sink.port, "POST", "/", headers: [type, "Content-Encoding: br"]).status == 415)
            #expect(BatchText.exchange(sink.port, "POST", "/", headers: [type, "Content-Encoding: gzip"], body: [1, 2, 3]).status == 400)
            #expect(BatchText.exchange(sink.port, "GET", "/").status == 405)
            #expect(BatchText.exchange(sink.port, "POST", "/mode", body: Array("sulk".utf8)).contains("sulk is not known"))
            #expect(sink.report.records == 0 && sink.report.badRequests == cases.count + 4)
        }
    }

    @Test func anEndlessBodyIsCutOff() async throws {
        try await withSink { sink in
            let body = [UInt8](repeating: 0x20, count: SinkRequest.bodyLimit + 1)
            let answer = BatchText.exchange(sink.port, "POST", "/", headers: ["Content-Type: application/json"], body: body)
            #expect(answer.status == 413 || answer.isEmpty, "empty: the reset overtook the answer")
            #expect(BatchText.post(sink.port, [1]).status == 200)
        }
    }

    @Test func mutatedBatchesAreRefusedOrReadButNeverFatal() async throws {
        let good = Array(BatchText.body([1, 2, 3]).utf8)
        var dice = Dice(state: 42)
        let core = try SinkCore(path: file, mode: .ok, time: SystemTime())
        for _ in 0..<400 {
            var bytes = good
            for _ in 0..<Int.random(in: 1...6, using: &dice) {
                let place = Int.random(in: 0..<bytes.count, using: &dice)
                switch Int.random(in: 0..<3, using: &dice) {
                case 0: bytes[place] = UInt8.random(in: 0...255, using: &dice)
                case 1: bytes.remove(at: place)
                default: bytes.insert(contentsOf: bytes[place..<min(bytes.count, place + 9)], at: place)
                }
            }
            let request = SinkRequest(
                method: "POST", path: "/", contentType: "application/json", contentEncoding: nil, idempotencyKey: "gw/j1/1-3", body: bytes)
            guard case .answer(let answer) = core.action(for: request) else {
                Issue.record("a batch was met with something else than an answer")
                continue
            }
            #expect(answer.status == 200 || answer.status == 400)
        }
        core.close()
        #expect(throws: Never.self) { try Sink.records(file: file) }
    }

    @Test func runsOfSeqsBehaveAsASet() {
        var dice = Dice(state: 6)
        var runs = SeqSet()
        var set: Set<Int64> = []
        for _ in 0..<3000 {
            let seq = Int64.random(in: 0..<900, using: &dice)
            #expect(runs.insert(seq) == set.insert(seq).inserted)
        }
        #expect(runs.count == Int64(set.count))
        #expect(runs.first == set.min() && runs.last == set.max())
        #expect(runs.runs.flatMap { Array($0) } == set.sorted())
        #expect(zip(runs.runs, runs.runs.dropFirst()).allSatisfy { $0.upperBound + 1 < $1.lowerBound })
    }
}
