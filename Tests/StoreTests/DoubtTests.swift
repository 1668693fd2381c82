import CSQLite
import Host
import Metering
import Testing

@testable import Store

/// Commits of which nobody knows whether they are in the file: what the store counts is what the file holds, and nothing is kept twice.
struct DoubtTests {
    private func open(_ path: String, _ disk: WriteLog, ballast: Int = 0) async throws -> Store {
        try await Store.open(
            directory: path, outputs: ["park"], time: ManualTime(), limits: StoreLimits(ballastBytes: ballast), fileSystem: disk.name,
            logger: quiet)
    }

    /// A commit is kept though its flush failed. Asked for again, it finds the disk full, because something else waits to be written.
    @Test func whatWasKeptInDoubtIsNotKeptTwiceWhenTheNextCommitFailsToo() async throws {
        let disk = try #require(WriteLog())
        let store = try await open(TemporaryDirectory().path, disk)
        _ = try await store.commit(polls(1...5))
        _ = try await store.range("park")
        disk.set(.init(call: .sync, suffix: "-wal", status: SQLITE_IOERR | (4 << 8)))
        await #expect(throws: StoreError.self) { try await store.commit(polls(6...9)) }
        try await store.settle(output: "park", through: 5, accepted: 5, rejected: [])
        for status in [SQLITE_FULL, SQLITE_IOERR | (3 << 8), SQLITE_FULL] {
            disk.set(.init(call: .write, suffix: "-wal", status: status, times: 2))
            await #expect(throws: StoreError.self) { try await store.commit(polls(6...9)) }
            disk.set(nil)
            // Someone else's commit in between takes nothing from whoever still waits.
            _ = try await store.commit([])
            await store.haveSomethingToCommit()
        }
        let receipt = try await store.commit(polls(6...12))
        #expect(receipt?.first == 6 && receipt?.last == 12)
        #expect(try await store.read(first: 1, last: 99, limit: 99).map(\.poll) == polls(1...12).map(\.poll))
        #expect(await store.journalState().polls == 12)
        #expect(try await store.number("SELECT polls FROM journal") == 12)
        await store.close()
    }

    /// On a full disk each commit removes for what is new. Whatever write or flush fails on the way, kept or not: the books fit the file.
    @Test(.enabled(if: SmallDisk.isAllowed, "mounting a file system is not allowed here"), arguments: [true, false])
    func aRemovalInDoubtIsCounted(_ isKept: Bool) async throws {
        let small = try SmallDisk(megabytes: 24)
        let disk = try #require(WriteLog())
        let store = try await open(small.path, disk, ballast: 6 << 20)
        let round = noise(polls: 200, seed: 95)
        var rounds = 0
        func commit() async throws {
            _ = try await store.commit(round)
            rounds += 1
            _ = try await store.drain("park")
        }
        for _ in 0..<4 { try await commit() }
        small.fill(leaving: 16 << 10)
        // Until it begins to remove.
        while rounds < 60, await store.journalState().firstSeq == 1 { try await commit() }
        var doubts = 0
        for number in 0..<12 {
            disk.set(
                isKept
                    ? .init(call: .sync, suffix: "-wal", status: SQLITE_IOERR | (4 << 8), after: number % 2)
                    : .init(call: .write, suffix: "-wal", status: SQLITE_IOERR | (3 << 8), after: number * 7 % 60))
            if (try? await store.commit(round)) == nil {
                doubts += 1
                disk.set(nil)
                _ = try await store.commit(round)
            }
            disk.set(nil)
            rounds += 1
            _ = try await store.drain("park")
            let state = await store.journalState()
            #expect(state.lastSeq == Int64(rounds * round.count))
            #expect(try await store.number("SELECT sum(polls) FROM chunk") == Int64(state.polls))
            #expect(try await store.number("SELECT polls FROM journal") == Int64(state.polls))
            #expect(state.polls == Int(state.lastSeq - state.firstSeq) + 1 && state.lostPolls == 0)
        }
        #expect(doubts > 4)
        #expect(await store.journalState().firstSeq > 1)
        await store.close()
    }

    /// What the log holds must go into the database before anything is written again, and there is no room for that but the ballast's.
    @Test(.enabled(if: SmallDisk.isAllowed, "mounting a file system is not allowed here"))
    func anErrorOnAFullDiskIsOvercomeWithTheBallast() async throws {
        let small = try SmallDisk(megabytes: 24)
        let disk = try #require(WriteLog())
        let store = try await open(small.path, disk, ballast: 6 << 20)
        let round = noise(polls: 200, seed: 96)
        for _ in 0..<4 { _ = try await store.commit(round) }
        small.fill(leaving: 0)
        disk.set(.init(call: .write, suffix: "-wal", status: SQLITE_IOERR | (3 << 8)))
        await #expect(throws: StoreError.self) { try await store.commit(round) }
        #expect(try await store.commit(round)?.last == 1000)
        #expect(await store.journalState().polls == 1000)
        await store.close()
    }

    /// An operation that failed in doubt: what is counted of the dead letters is what the file holds.
    @Test func deadLettersAreCountedAsTheFileHasThem() async throws {
        let disk = try #require(WriteLog())
        let store = try await open(TemporaryDirectory().path, disk)
        _ = try await store.commit(polls(1...5))
        _ = try await store.range("park")
        try await store.settle(
            output: "park", through: 5, accepted: 3, rejected: [Rejection(seq: 2, reason: "no"), Rejection(seq: 4, reason: "no")])
        _ = try await store.commit([])
        disk.set(.init(call: .sync, suffix: "-wal", status: SQLITE_IOERR | (4 << 8)))
        await #expect(throws: StoreError.self) { try await store.dropDeadLetters(output: "park", seqs: [2]) }
        disk.set(.init(call: .sync, suffix: "-wal", status: SQLITE_IOERR | (4 << 8), after: 1))
        await #expect(throws: StoreError.self) { try await store.setPaused(true, output: "park") }
        #expect(try await store.deadLetters(output: "park", limit: 9).map(\.seq) == [4])
        #expect(await store.outputStates().first?.deadLetters == 1)
        // Who asked was told that it failed, so it has.
        await store.haveSomethingToCommit()
        _ = try await store.commit([])
        #expect(try await store.number("SELECT paused FROM output") == 0)
        await store.close()
    }
}

/// Polls that do not deflate, of 2 KB each.
func noise(polls count: Int, seed: UInt64) -> [CountedPoll] {
    var generator = SeededGenerator(seed: seed)
    return (1...count).map { number in
        let words = (0..<1000).map { _ in UInt16.random(in: 0...65_535, using: &generator) }
        var noisy = poll(number)
        noisy.answers = [BlockAnswer(block: Block(.input, 0, count: 1000), outcome: .words(words))]
        return CountedPoll(poll: noisy, readings: 40)
    }
}
