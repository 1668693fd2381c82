import CSQLite
import Glibc
import Host
import Metering
import Testing

@testable import Store

struct JournalTests {
    @Test func committedPollsComeBackAsTheyWere() async throws {
        var generator = SeededGenerator(seed: 21)
        let directory = TemporaryDirectory()
        let store = try await Store.open(directory)
        let kept = (0..<200).map { _ in randomPoll(using: &generator) }
        #expect(try await store.commit(Array(kept[..<50]))?.first == 1)
        #expect(try await store.commit(Array(kept[50...]))?.last == 200)
        await store.close()
        let again = try await Store.open(directory)
        #expect(try await again.read(first: 1, last: 200, limit: 1000).map(\.poll) == kept.map(\.poll))
        #expect(try await again.read(first: 40, last: 200, limit: 20).map(\.seq) == Array(40...59))
        #expect(try await again.read(first: 40, last: .max, limit: .max).count == 161)
        let state = await again.journalState()
        #expect(state.polls == 200)
        #expect(state.readings == kept.reduce(0) { $0 + $1.readings })
    }

    @Test func nothingToCommitIsNoCommit() async throws {
        #expect(try await Store.open(TemporaryDirectory()).commit([]) == nil)
    }

    @Test func moreThanAChunkBecomesMoreChunks() async throws {
        let store = try await Store.open(TemporaryDirectory())
        let count = Chunk.pollLimit + 10
        #expect(try await store.commit(polls(1...count))?.last == Int64(count))
        #expect(try await store.read(first: 1, last: Int64(count), limit: count).map(\.poll) == polls(1...count).map(\.poll))
        #expect(try await store.count("chunk") == 2)
    }

    @Test func seqsAreNeverUsedAgain() async throws {
        let directory = TemporaryDirectory()
        let store = try await Store.open(directory)
        _ = try await store.commit(polls(1...10))
        try await store.removeAllChunks()
        await store.close()
        let again = try await Store.open(directory)
        #expect(try await again.commit(polls(11...12))?.first == 11)
    }

    @Test func theCatalogKeepsOneRowForOneContent() async throws {
        let directory = TemporaryDirectory()
        let store = try await Store.open(directory)
        let main = CatalogEntry(device: "main", unit: 1, role: .grid, profile: "p", profileText: "name = \"p\"\n# é")
        var turned = main
        turned.invert = true
        let ids = try await store.adopt([main, turned, main])
        #expect(ids[0] == ids[2] && ids[0] != ids[1])
        await store.close()
        let again = try await Store.open(directory)
        #expect(try await again.adopt(turned) == ids[1])
        #expect(try await again.entry(ids[0]) == main)
        #expect(try await again.entry(ids[1]) == turned)
        #expect(try await again.entry(CatalogID(99)) == nil)
    }

    @Test func aDamagedChunkIsSkippedAndCountedOnce() async throws {
        let directory = TemporaryDirectory()
        let store = try await Store.open(directory)
        for start in [1, 11, 21] { _ = try await store.commit(polls(start...start + 9)) }
        try await store.damageChunk(first: 11)
        let offered = try await store.offer(output: "park", records: 100, age: .zero)
        guard case .slice(let slice) = offered else { return #expect(Bool(false), "no slice: \(offered)") }
        #expect(slice.first == 1 && slice.last == 30)
        #expect(slice.polls.map(\.seq) == Array(1...10) + Array(21...30))
        #expect(await store.journalState().lostPolls == 10)
        _ = try await store.commit(polls(31...31))
        await store.close()
        let again = try await Store.open(directory)
        _ = try await again.offer(output: "park", records: 100, age: .zero)
        let state = await again.journalState()
        #expect(state.lostPolls == 10 && state.lostReadings == 20)
        #expect(try await again.recordedLosses().map(\.seqs) == [11...20])
    }

    @Test func aFailedWriteIsNotAcknowledgedAndHealsByItself() async throws {
        let store = try await Store.open(TemporaryDirectory())
        _ = try await store.commit(polls(1...5))
        try await store.limitPages(extra: 0)
        var generator = SeededGenerator(seed: 5)
        let large = plant(devices: 50, rounds: 2, values: 60, using: &generator)
        let failure = await #expect(throws: StoreError.self) { try await store.commit(large) }
        #expect(failure?.code == .full)
        #expect(await store.journalState().lastSeq == 5)
        try await store.limitPages(extra: 100_000)
        #expect(try await store.commit(large).map(\.first) == 6)
    }

    /// The commit reached the file, but its answer was an error.
    @Test func whatADoubtfulCommitKeptIsNotKeptTwice() async throws {
        let store = try await Store.open(TemporaryDirectory())
        _ = try await store.commit(polls(1...5))
        try await store.loseTheAnswerOfTheNextCommit(polls(6...9))
        let receipt = try await store.commit(polls(6...12))
        #expect(receipt?.first == 6 && receipt?.last == 12)
        #expect(try await store.read(first: 1, last: 99, limit: 99).map(\.poll) == polls(1...12).map(\.poll))
        #expect(await store.journalState().polls == 12)
    }

    @Test func whatADoubtfulCommitDidNotKeepIsKeptTheSecondTime() async throws {
        let store = try await Store.open(TemporaryDirectory())
        _ = try await store.commit(polls(1...5))
        await store.failBeforeTheNextCommit()
        #expect(try await store.commit(polls(6...12))?.first == 6)
        #expect(try await store.read(first: 1, last: 99, limit: 99).map(\.poll) == polls(1...12).map(\.poll))
    }
}

/// Doors for tests to what only damage and faults reach.
extension Store {
    func count(_ table: String) throws -> Int64? { try opened().integer("SELECT count(*) FROM \(table)") }

    func removeAllChunks() throws { try opened().execute("DELETE FROM chunk") }

    func damageChunk(first: Int64) throws {
        let body = try opened().statement("SELECT body FROM chunk WHERE first_seq = \(first)")
        defer { body.reset() }
        guard try body.step() else { return }
        var bytes = body.blob(0)
        body.reset()
        bytes[bytes.count / 2] ^= 1
        try opened().run("UPDATE chunk SET body = ? WHERE first_seq = ?", .blob(bytes), .integer(first))
    }

    /// As a full disk: the database may not grow further.
    func limitPages(extra: Int64) throws {
        let pages = try opened().integer("PRAGMA page_count") ?? 0
        _ = try opened().integer("PRAGMA max_page_count = \(pages + extra)")
    }

    /// The file holds everything, the log nothing.
    func copyTheLog() throws { try opened().checkpoint(SQLITE_CHECKPOINT_TRUNCATE) }

    /// The newest run is of an earlier start of the machine.
    func pretendAnotherBoot() throws {
        try opened().execute("UPDATE run SET boot = 'earlier ' || id")
    }

    /// As after a failed flush: the file is closed, and must be opened anew.
    func loseTheFile() throws {
        _ = try opened()
        fail(StoreError(.io, "lost on purpose"))
    }

    /// Overwrites the root of the table of chunks, on the disk and in what SQLite remembers.
    func spoilTheChunkTable() throws {
        let connection = try opened()
        try connection.checkpoint(SQLITE_CHECKPOINT_TRUNCATE)
        let page = try connection.integer("SELECT rootpage FROM sqlite_schema WHERE name = 'chunk'") ?? 0
        let file = Glibc.open(connection.path, O_WRONLY)
        let garbage = [UInt8](repeating: 0x5a, count: Connection.pageSize)
        pwrite(file, garbage, garbage.count, off_t(page - 1) * off_t(garbage.count))
        Glibc.close(file)
        try connection.execute("PRAGMA shrink_memory")
    }

    func loseTheAnswerOfTheNextCommit(_ polls: [CountedPoll]) throws {
        let connection = try opened()
        var staged: StagedCommit?
        try connection.transaction { () throws(StoreError) in staged = try write(polls, connection) }
        inDoubt = staged
        fail(StoreError(.io, "flush failed"))
    }

    func failBeforeTheNextCommit() {
        inDoubt = nil
        fail(StoreError(.io, "flush failed"))
    }
}
