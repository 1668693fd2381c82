import FoundationEssentials
import Gateway
import Glibc
import Host
import Logging
import Metering
import Store
import TestSupport
import Testing
import Uplink

/// The routes by which people look after outputs, on a real store and a real delivery.
@Suite(.timeLimit(.minutes(10))) struct OutputRoutesTests {
    /// A receiver that refuses some records until it is mended.
    private final class Receiver: Upstream {
        private let refused: Lock<Set<Int64>>
        private let taken = Lock<[[Int64]]>([])

        init(refusing seqs: Set<Int64>) { refused = Lock(seqs) }

        var batches: [[Int64]] { taken.withLock { $0 } }
        func mend() { refused.withLock { $0 = [] } }

        func send(_ batch: Batch) async -> Settlement {
            let seqs = batch.records.map(\.seq)
            let bad = refused.withLock { refused in seqs.filter(refused.contains) }
            taken.withLock { $0.append(seqs.filter { !bad.contains($0) }) }
            return .accepted(rejected: bad.map { RejectedRecord(seq: $0, reason: "unit \"\u{1B}x\" is unknown") })
        }

        func fitting(_ batch: Batch, bytes: Int) async -> Int { batch.records.count }
        func close() async {}
    }

    private struct Bench: Sendable {
        var store: Store
        var receiver: Receiver
        var socket: String

        func call(_ method: String, _ target: String) async throws -> (status: Int, body: String) {
            let answer = try await exchange(socket, target, method: method)
            return (answer.status, answer.body)
        }

        /// Asks the store until it fits.
        func wait(_ fits: (OutputState) -> Bool) async throws {
            for _ in 0..<6000 {
                if let state = await store.outputStates().first, fits(state) { return }
                try await Task.sleep(for: .milliseconds(10))
            }
            Issue.record("the output did not come so far: \(await store.outputStates())")
        }
    }

    private static let profile = """
        profile = "two"
        version = 1
        vendor = "Test"
        models = ["T"]
        source = "made up for these tests"
        [[point]]
        table = "input"
        address = 0
        type = "uint16"
        quantity = "voltage_l1"
        unit = "V"
        """

    /// Ten polls, of which 3, 4 and 7 are refused and become dead letters.
    private func withBench(
        upstream: (any Upstream)? = nil, _ body: @escaping @Sendable (Bench) async throws -> Void
    ) async throws {
        let directory = try TemporaryFolder.make("desk")
        defer { TemporaryFolder.remove(directory) }
        let time = SystemTime()
        let store = try await Store.open(directory: directory, outputs: ["park"], time: time, logger: quietLogger)
        let id = try await store.adopt(
            CatalogEntry(device: "main", unit: 1, role: .grid, profile: "two", profileText: OutputRoutesTests.profile))
        let polls = (1...10).map { number in
            CountedPoll(
                poll: Poll(
                    entry: id, time: cannedNow.advanced(by: .seconds(number)), uptime: Uptime(nanoseconds: 1), clock: .synchronized,
                    answers: [BlockAnswer(block: Block(.input, 0, count: 1), outcome: .words([UInt16(number)]))]), readings: 1)
        }
        _ = try await store.commit(polls)
        let receiver = Receiver(refusing: [3, 4, 7])
        let delivery = DeliveryService(
            DeliverySettings(gateway: "gw", site: nil, output: "park", journalID: "", batchAge: .zero), outbox: store,
            upstream: upstream ?? receiver,
            decoder: { ReadingDecoder(profile: try Profile(toml: $0.profileText, file: "two.toml"), invert: false) }, time: time,
            logger: quietLogger)
        let desk = OutputDesk(store: store) { [("park", delivery)] }
        try await withServer(CannedView(), outputs: desk) { socket in
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { await delivery.run() }
                let bench = Bench(store: store, receiver: receiver, socket: socket)
                try await bench.wait { $0.cursor == 10 }
                _ = try await store.commit([])
                try await body(bench)
                group.cancelAll()
            }
        }
        await store.close()
    }

    @Test func deadLettersAreListedShownReplayedAndDropped() async throws {
        try await withBench { bench in
            let list = try await bench.call("GET", "/v1/dead-letters?output=park&limit=2")
            #expect(list.status == 200)
            #expect(list.body.contains(#""seq":3"#) && list.body.contains(#""seq":4"#) && !list.body.contains(#""seq":7"#))
            #expect(list.body.contains(#""device":"main""#) && list.body.contains(#""next":7"#))
            let one = try await bench.call("GET", "/v1/dead-letters/letter?output=park&seq=7")
            #expect(one.body.contains(#""record":{"seq":7,"device":"main","#) && one.body.contains(#""voltage_l1":7"#), "\(one.body)")
            #expect(try await bench.call("GET", "/v1/dead-letters/letter?output=park&seq=5").status == 404)

            // Refused again: they stay. Then the receiver is mended.
            let replay = try await bench.call("POST", "/v1/dead-letters/replay?output=park&seq=3&seq=4")
            #expect(replay.body == "{\"output\":\"park\",\"dead_letters\":2}\n")
            for _ in 0..<6000 where try await bench.store.deadLetters(output: "park", limit: 9).contains(where: \.isReplaying) {
                try await Task.sleep(for: .milliseconds(10))
            }
            #expect(await bench.store.outputStates().first?.deadLetters == 3)
            bench.receiver.mend()
            #expect(try await bench.call("POST", "/v1/dead-letters/replay?output=park&seq=3&seq=4").status == 200)
            try await bench.wait { $0.deadLetters == 1 }
            #expect(bench.receiver.batches.last == [3, 4])
            let drop = try await bench.call("POST", "/v1/dead-letters/drop?output=park&all=true")
            #expect(drop.body == "{\"output\":\"park\",\"dead_letters\":1}\n")
            let state = try #require(await bench.store.outputStates().first)
            #expect(state.acceptedPolls == 9 && state.rejectedPolls == 1 && state.deadLetters == 0)
        }
    }

    @Test func aDeadLetterThatIsNotThereIsNeitherReplayedNorDropped() async throws {
        try await withBench { bench in
            for action in ["replay", "drop"] {
                let none = try await bench.call("POST", "/v1/dead-letters/\(action)?output=park&seq=5&seq=6")
                #expect(none.status == 404 && none.body.contains("unknown_dead_letter"), "\(none)")
                #expect(none.body.contains("park has no dead letters 5, 6 (meterctl dead-letters list park lists them)"), "\(none)")
            }
            let some = try await bench.call("POST", "/v1/dead-letters/drop?output=park&seq=5&seq=7")
            #expect(some.body == "{\"output\":\"park\",\"dead_letters\":1}\n")
            // All of none is none.
            _ = try await bench.store.dropDeadLetters(output: "park", seqs: nil)
            for action in ["replay", "drop"] {
                let all = try await bench.call("POST", "/v1/dead-letters/\(action)?output=park&all=true")
                #expect(all.body == "{\"output\":\"park\",\"dead_letters\":0}\n")
            }
        }
    }

    /// A letter that waits to be handed on again is there, though nothing is left to do.
    @Test func aSecondReplayOfALetterOnItsWayIsNoError() async throws {
        try await withBench { bench in
            _ = try await bench.store.setPaused(true, output: "park")
            for count in [1, 0] {
                let replay = try await bench.call("POST", "/v1/dead-letters/replay?output=park&seq=3")
                #expect(replay.body == "{\"output\":\"park\",\"dead_letters\":\(count)}\n")
            }
        }
    }

    @Test func aPausedOutputSendsNothingUntilItIsResumed() async throws {
        try await withBench { bench in
            let pause = try await bench.call("POST", "/v1/outputs/pause?output=park")
            #expect(pause.body == "{\"output\":\"park\",\"paused_by_operator\":true}\n")
            let before = bench.receiver.batches.count
            let poll = try await bench.store.read(first: 1, last: 1, limit: 1)[0].poll
            _ = try await bench.store.commit([CountedPoll(poll: poll, readings: 1)])
            #expect(try await bench.store.offer(output: "park", records: 9, age: .zero) == .paused)
            #expect(bench.receiver.batches.count == before)
            #expect(try await bench.call("POST", "/v1/outputs/resume?output=park").status == 200)
            try await bench.wait { $0.cursor == 11 }
            #expect(bench.receiver.batches.last == [11])
        }
    }

    @Test func aRewoundOutputHandsOnAgain() async throws {
        try await withBench { bench in
            #expect(try await bench.call("POST", "/v1/outputs/rewind?output=park&seq=9").body == "{\"output\":\"park\",\"next_seq\":9}\n")
            try await bench.wait { $0.cursor == 10 }
            #expect(bench.receiver.batches.last == [9, 10])
            let time = cannedNow.advanced(by: .seconds(8)).rfc3339
            #expect(try await bench.call("POST", "/v1/outputs/rewind?output=park&time=\(time)").body.contains(#""next_seq":8"#))
            try await bench.wait { $0.cursor == 10 }
            #expect(bench.receiver.batches.last == [8, 9, 10])
            let ahead = try await bench.call("POST", "/v1/outputs/rewind?output=park&seq=99")
            #expect(ahead.status == 409 && ahead.body.contains("only ever set back"))
        }
    }

    /// A file output knows what it has written, and writes it again all the same when it is asked for.
    @Test func aRewoundFileOutputWritesAgain() async throws {
        let folder = try TemporaryFolder.make("rewound")
        defer { TemporaryFolder.remove(folder) }
        let files = FileUpstream(FileUpstream.Settings(directory: folder, name: "park", format: .jsonl))
        try await withBench(upstream: files) { bench in
            #expect(try await bench.call("POST", "/v1/outputs/rewind?output=park&seq=9").status == 200)
            try await bench.wait { $0.cursor == 10 }
            let poll = try await bench.store.read(first: 1, last: 1, limit: 1)[0].poll
            _ = try await bench.store.commit([CountedPoll(poll: poll, readings: 1)])
            try await bench.wait { $0.cursor == 11 }
        }
        let names = try FileManager.default.contentsOfDirectory(atPath: folder).sorted()
        #expect(names.count == 2 && names[0].hasPrefix("park-2026-11-24-1-10-") && names[1] == "park.jsonl.part", "\(names)")
        let seqs = names.map { name in
            TextFile.content("\(folder)/\(name)").split(separator: "\n").compactMap { line in
                line.split(separator: "\"seq\":").last.flatMap { Int64($0.prefix { $0.isNumber }) }
            }
        }
        #expect(seqs == [Array(1...10), [9, 10, 11]])
    }

    /// The cursor stays when the growing file cannot be finished; what is refused by the store leaves the output going on.
    @Test func aRewindThatCannotBeLeavesTheOutputGoingOn() async throws {
        let folder = try TemporaryFolder.make("stays")
        defer { TemporaryFolder.remove(folder) }
        let files = FileUpstream(FileUpstream.Settings(directory: folder, name: "park", format: .jsonl))
        try await withBench(upstream: files) { bench in
            #expect(rename(folder, folder + "-gone") == 0)
            let refused = try await bench.call("POST", "/v1/outputs/rewind?output=park&seq=9")
            #expect(refused.status == 503 && refused.body.contains("output park stays where it is: "), "\(refused)")
            #expect(await bench.store.outputStates().first?.cursor == 10)
            #expect(rename(folder + "-gone", folder) == 0)
            #expect(try await bench.call("POST", "/v1/outputs/rewind?output=park&seq=99").status == 409)
            let poll = try await bench.store.read(first: 1, last: 1, limit: 1)[0].poll
            _ = try await bench.store.commit([CountedPoll(poll: poll, readings: 1)])
            try await bench.wait { $0.cursor == 11 }
        }
    }

    @Test func theJournalIsShownAndExported() async throws {
        try await withBench { bench in
            await bench.store.note(Loss(cause: .notCommitted, polls: 2, readings: 4, firstTime: cannedNow, lastTime: cannedNow))
            _ = try await bench.store.commit([])
            let journal = try await bench.call("GET", "/v1/journal")
            #expect(journal.body.contains(#""last_seq":10"#) && journal.body.contains(#""cause":"not_committed","first_seq":null"#))
            #expect(journal.body.contains(#""lost_from":"2026-11-24T06:00:00.000Z""#), "\(journal.body)")
            let from = cannedNow.advanced(by: .seconds(9)).rfc3339
            let csv = try await exchange(bench.socket, "/v1/journal/export?format=csv&device=main&from=\(from)")
            #expect(csv.status == 200 && csv.head.lowercased().contains("text/csv"))
            #expect(csv.body.contains("time,device,quantity,value,unit,quality,clock,seq\n"))
            #expect(csv.body.contains(",main,voltage_l1,9,V,0,S,9\n") && csv.body.contains(",10\n") && !csv.body.contains(",8\n"))
            let stranger = try await exchange(bench.socket, "/v1/journal/export?format=jsonl&device=main&device=mian")
            #expect(stranger.status == 404)
            #expect(
                stranger.body.contains(#"the journal has no device \"mian\"; did you mean \"main\"?; there are main"#), "\(stranger.body)")
            #expect(try await exchange(bench.socket, "/v1/journal/export?format=xml").status == 400)
            #expect(try await exchange(bench.socket, "/v1/journal/export?from=yesterday").status == 400)
        }
    }

    @Test func wrongRequestsSayWhatIsRight() async throws {
        try await withBench { bench in
            let cases: [(String, String, Int, String)] = [
                ("GET", "/v1/outputs/pause?output=park", 405, "only answers POST"),
                ("POST", "/v1/outputs/pause?output=prak", 404, #"did you mean \"park\"?"#),
                ("POST", "/v1/outputs/pause", 400, "output="),
                ("POST", "/v1/outputs/rewind?output=park", 400, "seq=... or time=..."),
                ("POST", "/v1/outputs/rewind?output=park&seq=1&time=2026-11-24T06:00:00.000Z", 400, "either"),
                ("POST", "/v1/dead-letters/drop?output=park", 400, "all=true"),
                ("POST", "/v1/dead-letters/drop?output=park&seq=one", 400, "whole number"),
                ("GET", "/v1/dead-letters?output=park&limit=5000", 400, "1 to 1000"),
                ("GET", "/v1/dead-letters?outptu=park", 400, #"did you mean \"output\"?"#),
                ("GET", "/v1/dead-leters?output=park", 404, "/v1/dead-letters"),
            ]
            for (method, target, status, words) in cases {
                let answer = try await bench.call(method, target)
                #expect(answer.status == status && answer.body.contains(words), "\(target): \(answer.status) \(answer.body)")
            }
        }
    }

    @Test func whoMayOnlyLookChangesNothing() async throws {
        try await withServer { socket in
            let answer = try await exchange(socket, "/v1/outputs/pause?output=park", method: "POST")
            #expect(answer.status == 403 && answer.body.contains("only_local"))
        }
    }
}
