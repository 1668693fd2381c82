import Host
import Metering
import Testing

@testable import Store

/// Power cuts at every point of a run: after each single write, with nothing, everything, or any part of what was not yet flushed.
struct CrashPointTests {
    @Test func noPowerCutLosesWhatWasCommitted() async throws {
        let run = try await RecordedRun(synchronous: "FULL", seed: 71)
        let findings = try await run.cutEverywhere(step: 1, seed: 72)
        print("\(findings.images) images of \(run.entries.count) crash points looked at, seeds 71 and 72")
        #expect(findings.faults.isEmpty, "\(findings.faults.count) faults, first: \(findings.faults.prefix(5))")
        #expect(findings.images > 1000)
        // The run must have gone through what it is about.
        #expect(run.checkpoints >= 3)
        #expect(run.moments.last.map { $0.removed > 0 && $0.deadLetters.count > 3 && $0.cursor > 100 } == true)
    }

    /// After a rewind a dead letter goes with the cursor that says its poll was taken, or not at all.
    @Test func aLetterAndTheCursorThatPassesItGoTogether() async throws {
        let log = try #require(WriteLog())
        let store = try await Store.open(TemporaryDirectory(fleeting: ()), fileSystem: log.name)
        _ = try await store.commit(polls(1...10))
        #expect(try await store.range("park") == 1...10)
        try await store.settle(output: "park", through: 10, accepted: 9, rejected: [Rejection(seq: 4, reason: "no")])
        try await store.rewind(output: "park", to: 1)
        let rewound = log.count
        #expect(try await store.range("park") == 1...10)
        try await store.settle(output: "park", through: 10, accepted: 10, rejected: [])
        _ = try await store.commit(polls(11...12))
        await store.close()
        var generator = SeededGenerator(seed: 74)
        var disk = CrashedDisk()
        var cursors: Set<Int64> = []
        for (index, entry) in log.entries.enumerated() {
            disk.play(entry)
            guard index + 1 >= rewound else { continue }
            for survivors in CrashedDisk.Survivors.allCases {
                let directory = TemporaryDirectory(fleeting: ())
                for (name, bytes) in disk.image(survivors, using: &generator) { try directory.write(bytes, to: name) }
                let found = try await Store.open(directory)
                let state = await found.outputStates()[0]
                let letters = try await found.deadLetters(output: "park", limit: 9).map(\.seq)
                #expect(letters == (state.cursor == 10 ? [] : [4]) && state.deadLetters == letters.count, "\(index + 1) \(survivors)")
                cursors.insert(state.cursor)
                await found.close()
            }
        }
        #expect(cursors == [0, 10])
    }

    /// What proves that the first test can fail: without the flush of each commit the same cuts lose what was committed.
    @Test(arguments: ["NORMAL", "OFF"]) func withoutFlushesTheSameCutsLosePolls(_ synchronous: String) async throws {
        let run = try await RecordedRun(synchronous: synchronous, seed: 71)
        let findings = try await run.cutEverywhere(step: 7, seed: 73)
        print("synchronous = \(synchronous): \(findings.faults.count) of \(findings.images) images at fault, seeds 71 and 73")
        #expect(findings.faults.contains { $0.contains("lost") })
    }
}

/// A store's life on a logged disk: commits, batches, settlements, dead letters, retention and checkpoints.
private struct RecordedRun {
    /// What the store had promised when the log had `position` entries.
    struct Moment {
        var position: Int
        /// Of the last commit that returned.
        var lastSeq: Int64
        var cursor: Int64
        var deadLetters: Set<Int64>
        /// Polls that retention may have removed by then.
        var removed: Int64
    }

    struct Findings {
        var images = 0
        var faults: [String] = []
    }

    private(set) var entries: [WriteLog.Entry] = []
    private(set) var moments: [Moment] = []
    /// Ranges that were handed out, and when.
    private var sent: [(position: Int, range: ClosedRange<Int64>)] = []
    private var settled: [(position: Int, cursor: Int64)] = []

    private let records = 12

    var checkpoints: Int { entries.filter { $0 == .sync("journal.db") }.count }

    init(synchronous: String, seed: UInt64) async throws {
        let log = try #require(WriteLog())
        let directory = TemporaryDirectory(fleeting: ())
        let time = ManualTime()
        let store = try await Store.open(
            directory, time: time, limits: StoreLimits(retention: .seconds(100), ballastBytes: 0), fileSystem: log.name)
        try await store.setForTest("PRAGMA synchronous = \(synchronous)")
        // Often, so that a short run has some.
        try await store.setForTest("PRAGMA wal_autocheckpoint = 60")
        var generator = SeededGenerator(seed: seed)
        var rejected: Set<Int64> = []
        for _ in 0..<40 {
            let first = await store.journalState().lastSeq + 1
            let count = Int64.random(in: 0...14, using: &generator)
            _ = try await store.commit(count == 0 ? [] : polls(Int(first)...Int(first + count - 1)))
            moments.append(try await moment(of: store, at: log.count, rejected))
            time.advance(by: .seconds(40))
            while Int.random(in: 0...3, using: &generator) != 0 {
                guard case .slice(let slice) = try await store.offer(output: "park", records: records, age: .zero) else { break }
                sent.append((log.count, slice.first...slice.last))
                guard Int.random(in: 0...4, using: &generator) != 0 else { break }
                let bad = slice.polls.map(\.seq).filter { $0 % 17 == 0 }
                rejected.formUnion(bad)
                try await store.settle(
                    output: "park", through: slice.last, accepted: slice.polls.count - bad.count,
                    rejected: bad.map { Rejection(seq: $0, reason: "no") })
                settled.append((log.count, slice.last))
            }
        }
        await store.close()
        entries = log.entries
    }

    private func moment(of store: Store, at position: Int, _ rejected: Set<Int64>) async throws -> Moment {
        let state = await store.journalState()
        let cursor = await store.outputStates()[0].cursor
        return Moment(
            position: position, lastSeq: state.lastSeq, cursor: cursor, deadLetters: rejected, removed: state.firstSeq - 1)
    }

    /// Cuts the power after every `step`th entry of the log, for each kind of survivors that can differ there.
    func cutEverywhere(step: Int, seed: UInt64) async throws -> Findings {
        var generator = SeededGenerator(seed: seed)
        var findings = Findings()
        var disk = CrashedDisk()
        for (index, entry) in entries.enumerated() {
            disk.play(entry)
            guard index % step == 0 else { continue }
            for survivors in CrashedDisk.Survivors.allCases {
                // What was flushed changes with a flush only.
                if survivors == .none, case .write = entry { continue }
                findings.images += 1
                let image = disk.image(survivors, using: &generator)
                if let fault = try await fault(in: image, at: index + 1) { findings.faults.append("\(index + 1) \(survivors): \(fault)") }
            }
        }
        return findings
    }

    /// What is wrong with what the next start finds; nil when every promise is kept.
    private func fault(in image: [String: [UInt8]], at position: Int) async throws -> String? {
        let directory = TemporaryDirectory(fleeting: ())
        for (name, bytes) in image { try directory.write(bytes, to: name) }
        let store: Store
        do { store = try await Store.open(directory) } catch { return "does not open: \(error)" }
        let fault = try await fault(of: store, at: position)
        await store.close()
        return fault
    }

    private func fault(of store: Store, at position: Int) async throws -> String? {
        if let reason = await store.openReport.reason { return "lost: set aside, \(reason)" }
        let check = try await store.textForTest("PRAGMA integrity_check(1)")
        guard check == "ok" else { return "integrity: \(check ?? "no answer")" }
        let promised = moments.last { $0.position <= position }
        let next = moments.first { $0.position > position }
        let state = await store.journalState()
        let committed = promised?.lastSeq ?? 0
        guard state.lastSeq >= committed else { return "lost: seq \(state.lastSeq) of \(committed)" }
        guard state.lastSeq <= next?.lastSeq ?? committed else { return "seq \(state.lastSeq) was never given" }
        guard state.firstSeq <= ((next ?? promised)?.removed ?? 0) + 1 else { return "lost: begins at \(state.firstSeq)" }
        let kept = try await store.read(first: 1, last: .max, limit: .max)
        guard kept.map(\.seq) == Array(state.firstSeq..<state.lastSeq + 1) else { return "lost: a hole in \(kept.map(\.seq))" }
        guard kept.allSatisfy({ $0.poll == poll(Int($0.seq)) }) else { return "a poll is not what it was" }
        let letters = Set(try await store.deadLetters(output: "park", limit: 1000).map(\.seq))
        guard letters.isSuperset(of: promised?.deadLetters ?? []) else { return "lost: dead letters \(letters)" }
        return try await faultOfRanges(store, promised?.cursor ?? 0, at: position)
    }

    private func faultOfRanges(_ store: Store, _ promised: Int64, at position: Int) async throws -> String? {
        let cursor = await store.outputStates()[0].cursor
        let acknowledged = settled.last { $0.position <= position }?.cursor ?? 0
        guard cursor >= promised, cursor <= acknowledged else { return "cursor \(cursor), promised \(promised), settled \(acknowledged)" }
        let known = sent.filter { $0.position <= position }.map(\.range)
        for _ in 0..<200 {
            switch try await store.offer(output: "park", records: records, age: .zero) {
            case .slice(let slice):
                let range = slice.first...slice.last
                if let other = known.first(where: { $0.overlaps(range) && $0 != range }) { return "range \(range), was \(other)" }
                try await store.settle(output: "park", through: slice.last, accepted: slice.polls.count, rejected: [])
            case .wait: _ = try await store.commit([])
            case .empty, .paused: return nil
            }
        }
        return "the ranges do not end"
    }
}

/// Doors for tests.
extension Store {
    func setForTest(_ sql: String) throws { try opened().execute(sql) }
    func number(_ sql: String) throws -> Int64? { try opened().integer(sql) }
    func textForTest(_ sql: String) throws -> String? { try opened().text(sql) }
}
