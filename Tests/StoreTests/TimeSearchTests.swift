import Host
import Metering
import Testing

@testable import Store

/// The first poll since a time is the one that reading everything would find, and is found without that.
struct TimeSearchTests {
    private static let right = Timestamp(milliseconds: 1_795_459_200_000)

    /// Starts of daemon and machine, clocks that are set, lost and moved, polls that come late; then damage.
    @Test(arguments: 1...30) func itIsTheOneThatReadingEverythingFinds(_ seed: Int) async throws {
        var generator = SeededGenerator(seed: UInt64(seed) * 7919)
        let directory = TemporaryDirectory(fleeting: ())
        var time = ManualTime()
        for start in 1...Int.random(in: 2...5, using: &generator) {
            let store = try await Store.open(directory, outputs: [], time: time)
            try await live(store, time, &generator)
            if Bool.random(using: &generator) {
                try await store.setForTest("UPDATE run SET boot = 'boot \(start)' WHERE boot NOT LIKE 'boot %'")
                time = ManualTime()
                if Bool.random(using: &generator) {
                    time.set(.unknown)
                    let walls: [Int64] = [1_000_000, TimeSearchTests.right.milliseconds - 3_600_000, 2_100_000_000_000]
                    time.setWall(Timestamp(milliseconds: walls[Int.random(in: 0..<3, using: &generator)]))
                }
            }
            if start > 1, seed % 3 == 0 {
                let last = await store.journalState().lastSeq
                let seqs = (0..<2).map { _ in Int64.random(in: 1...last, using: &generator) }
                try await store.lose(damaged: seqs[0], gone: seqs[1], run: Int64.random(in: 1..<Int64(start), using: &generator))
            }
            await store.close()
        }
        let store = try await Store.open(directory, outputs: [], time: time)
        let corrections = try await store.timeCorrections()
        let all = try await store.read(first: 1, last: .max, limit: .max).map { stored in
            corrections.reduce(stored) { $1.corrected($0) }
        }
        let times = all.map(\.poll.time.milliseconds).flatMap { [$0 - 1, $0, $0 + 1] }.shuffled(using: &generator).prefix(40)
        for time in times.map({ Timestamp(milliseconds: $0) }) {
            let plain = all.first { $0.poll.time >= time }?.seq
            let found = try await store.firstSeq(since: time)
            #expect(found == plain, "seed \(seed), \(time.rfc3339)")
        }
        await store.close()
    }

    /// Some commits; from one to the next the clock is moved once at most.
    private func live(_ store: Store, _ time: ManualTime, _ generator: inout SeededGenerator) async throws {
        var late: [CountedPoll] = []
        for _ in 0..<Int.random(in: 3...14, using: &generator) {
            var polls = late
            late = []
            let move = Int.random(in: 0...9, using: &generator)
            let count = Int.random(in: 1...3, using: &generator)
            for index in 0..<count {
                if move == index { moveClock(time, &generator) }
                time.advance(by: .milliseconds(Int.random(in: 1...9000, using: &generator)))
                let poll = Poll(
                    entry: CatalogID(1), time: time.wall(), uptime: time.uptime(), clock: time.clockState().quality, answers: [])
                if index < count - 1, Int.random(in: 0...5, using: &generator) == 0 {
                    late.append(CountedPoll(poll: poll, readings: 1))
                } else {
                    polls.append(CountedPoll(poll: poll, readings: 1))
                }
            }
            _ = try await store.commit(polls)
        }
    }

    private func moveClock(_ time: ManualTime, _ generator: inout SeededGenerator) {
        switch Int.random(in: 0...3, using: &generator) {
        case 0:
            let sinceStart = time.uptime() - Uptime(nanoseconds: 1_000_000_000_000)
            time.setWall(TimeSearchTests.right.advanced(by: sinceStart))
            time.set(.synchronized)
        case 1:
            time.set(.unknown)
        default:
            let steps = [-100_000, -300, -40, -2, 2, 40, 300, 100_000]
            time.setWall(time.wall().advanced(by: .seconds(steps[Int.random(in: 0..<8, using: &generator)])))
        }
    }

    enum Past: CaseIterable { case right, setBack, setLater }

    @Test(arguments: Past.allCases) func whatLiesBeforeTheTimeIsNotRead(_ clock: Past) async throws {
        let directory = TemporaryDirectory(fleeting: ())
        let time = ManualTime()
        if clock == .setLater { time.set(.unknown) }
        let before = try await Store.open(directory, outputs: [], time: time)
        var polls = pages(1200)
        let (first, last) = (polls[0].poll, polls[1199].poll)
        let since = polls[900].poll.time.advanced(by: .seconds(clock == .setBack ? -2 : 0))
        switch clock {
        case .right: break
        case .setBack:
            for index in 300..<1200 { polls[index].poll.time = polls[index].poll.time.advanced(by: .seconds(-2)) }
            let step = polls[299].poll
            try await before.setForTest(
                """
                INSERT INTO event (run, kind, uptime, wall, step)
                VALUES (1, 'clock_step', \(step.uptime.nanoseconds), \(step.time.milliseconds - 2000), -2000)
                """)
        case .setLater:
            for index in 0..<1200 {
                polls[index].poll.time = Timestamp(milliseconds: polls[index].poll.time.milliseconds - first.time.milliseconds)
                polls[index].poll.clock = .unknown
            }
            try await before.setForTest(
                """
                INSERT INTO event (run, kind, uptime, wall, step)
                VALUES (1, 'clock_synchronized', \(last.uptime.nanoseconds + 1), \(last.time.milliseconds), 0)
                """)
        }
        try await before.fill(polls)
        await before.close()
        let disk = try #require(WriteLog())
        let store = try await Store.open(directory, outputs: [], fileSystem: disk.name)
        let reads = disk.reads
        #expect(try await store.firstSeq(since: since) == 901)
        #expect(try await store.firstSeq(since: last.time.advanced(by: .seconds(1))) == nil)
        #expect(disk.reads - reads < 500, "\(disk.reads - reads) reads")
        await store.close()
    }

    /// As many steps as are ever kept: the run before them may have had one that is forgotten.
    @Test func aStepThatIsNoLongerOnRecordHidesNothing() async throws {
        let directory = TemporaryDirectory(fleeting: ())
        let before = try await Store.open(directory, outputs: [])
        var polls = pages(40)
        for index in 5..<40 { polls[index].poll.time = polls[index].poll.time.advanced(by: .seconds(-86_400)) }
        try await before.fill(polls)
        await before.close()
        let store = try await Store.open(directory, outputs: [])
        try await store.setForTest(
            """
            WITH RECURSIVE number(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM number WHERE i < \(StoreLimits.clockSteps))
            INSERT INTO event (run, kind, uptime, wall, step) SELECT 2, 'clock_step', i, i, 1000 FROM number
            """)
        #expect(try await store.firstSeq(since: polls[4].poll.time) == 5)
        await store.close()
    }
}

/// Polls of which each fills a page of the file, ten seconds from one to the next.
func pages(_ count: Int) -> [CountedPoll] {
    var generator = SeededGenerator(seed: 97)
    let words = (0..<750).map { _ in UInt16.random(in: 0...65_535, using: &generator) }
    return (0..<count).map { number in
        let poll = Poll(
            entry: CatalogID(1), time: Timestamp(milliseconds: 1_795_459_200_000 + Int64(number) * 10_000),
            uptime: Uptime(nanoseconds: 1_010_000_000_000 + Int64(number) * 10_000_000_000), clock: .synchronized,
            answers: [BlockAnswer(block: Block(.input, 0, count: 750), outcome: .words(words))])
        return CountedPoll(poll: poll, readings: 40)
    }
}

extension Store {
    /// As if each had been committed alone, in this run; the next start counts them.
    func fill(_ polls: [CountedPoll]) throws {
        let connection = try opened()
        let (run, first) = (run, books.lastSeq + 1)
        try connection.transaction { () throws(StoreError) in
            for (index, counted) in polls.enumerated() {
                let seq = first + Int64(index)
                let time = counted.poll.time.milliseconds
                try connection.run(
                    "INSERT INTO chunk VALUES (?, ?, ?, 1, 40, ?, ?, ?)", .integer(seq), .integer(seq), .integer(run), .integer(time),
                    .integer(time), .blob(ChunkEncoder.encode([counted])))
            }
            try connection.run(
                "UPDATE journal SET last_seq = ?, polls = ?", .integer(first + Int64(polls.count) - 1), SQLValue(polls.count))
        }
    }

    /// What a damaged file may have cost: the chunk with a seq cannot be read, that with another is gone, and so is the row of a run.
    func lose(damaged: Int64, gone: Int64, run: Int64) throws {
        try damageChunk(first: try number("SELECT max(first_seq) FROM chunk WHERE first_seq <= \(damaged)") ?? 0)
        try setForTest("DELETE FROM chunk WHERE first_seq = (SELECT max(first_seq) FROM chunk WHERE first_seq <= \(gone))")
        try setForTest("DELETE FROM run WHERE id = \(run)")
    }
}
