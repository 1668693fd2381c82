import CSQLite
import Glibc
import Host
import Metering
import Store
import Testing

/// What goes wrong with the disk must not be taken for damage of the file, and must not begin another journal in its place.
struct FaultTests {
    private func open(
        _ directory: TemporaryDirectory, _ disk: FailingDisk? = nil, time: ManualTime = ManualTime(), patient: Bool = false
    ) async throws -> Store {
        try await Store.open(
            directory: directory.path, outputs: ["park"], time: time, limits: StoreLimits(ballastBytes: 0), fileSystem: disk?.name,
            patient: patient, logger: quiet)
    }

    private static let failures: [(String, Int32)] = [
        ("journal.db", SQLITE_NOMEM), ("journal.db-wal", SQLITE_NOMEM), ("journal.db-wal", SQLITE_IOERR | (1 << 8)),
        ("journal.db", SQLITE_CANTOPEN), ("journal.db-wal", SQLITE_BUSY),
    ]

    @Test(arguments: FaultTests.failures) func aDiskThatFailsWhileOpeningIsNotDamage(_ suffix: String, _ status: Int32) async throws {
        let directory = TemporaryDirectory()
        let first = try await open(directory)
        _ = try await first.commit(polls(1...5))
        let id = await first.journalState().journalID
        await first.close()

        let disk = try #require(FailingDisk())
        disk.fail(opening: suffix, with: status)
        let failure = await #expect(throws: StoreError.self) { try await open(directory, disk) }
        #expect(failure?.code == (status == SQLITE_BUSY ? .inUse : .io), "\(String(describing: failure))")
        #expect(!directory.names.contains { $0.contains("corrupt") })
        disk.heal()
        let again = try await open(directory, disk)
        #expect(await again.openReport.quarantined == nil)
        #expect(await again.journalState().journalID == id)
        #expect(try await again.read(first: 1, last: 9, limit: 9).count == 5)
        await again.close()
    }

    @Test func aTableThatIsGoneIsDamage() async throws {
        let directory = TemporaryDirectory()
        let store = try await open(directory)
        _ = try await store.commit(polls(1...5))
        await store.close()
        var handle: OpaquePointer?
        #expect(sqlite3_open(directory.journal, &handle) == SQLITE_OK)
        #expect(sqlite3_exec(handle, "DROP TABLE event", nil, nil, nil) == SQLITE_OK)
        sqlite3_close(handle)
        let again = try await open(directory)
        #expect(await again.openReport.reason?.contains("event.") == true)
        #expect(try await again.read(first: 1, last: 9, limit: 9).count == 5)
        await again.close()
    }

    /// Someone removed the file, or the disk came back empty: nothing is begun in its place.
    @Test func afterAnErrorNoOtherJournalIsBegun() async throws {
        let directory = TemporaryDirectory()
        let time = ManualTime()
        let disk = try #require(FailingDisk())
        let store = try await open(directory, disk, time: time)
        let writer = JournalWriter(store: store, interval: .seconds(1), time: time, logger: quiet)
        writer.take(poll(1), readings: 2)
        #expect(await writer.commitAll())
        try await store.loseTheFile()
        #expect(rename(directory.journal, directory.path + "/away") == 0)
        writer.take(poll(2), readings: 2)
        #expect(await writer.commitAll() == false)
        #expect(writer.lastError?.code == .io)
        #expect(!directory.names.contains("journal.db"))

        // An empty file is no better: SQLite would delete the log beside it.
        try directory.write([], to: "journal.db")
        #expect(await writer.commitAll() == false)
        #expect(writer.lastError?.message.contains("empty or gone") == true)
        #expect(try directory.bytes(of: "journal.db").isEmpty)
        let other = TemporaryDirectory()
        let stranger = try await open(other)
        _ = try await stranger.commit(polls(7...7))
        try await stranger.copyTheLog()
        await stranger.close()
        #expect(rename(directory.journal + "-wal", directory.path + "/away-wal") == 0)
        try directory.write(try other.bytes(of: "journal.db"), to: "journal.db")
        #expect(await writer.commitAll() == false)
        #expect(writer.lastError?.message.contains("another file") == true)
        #expect(rename(directory.path + "/away-wal", directory.journal + "-wal") == 0)
        #expect(rename(directory.path + "/away", directory.journal) == 0)
        #expect(await writer.commitAll())
        #expect(writer.lastError == nil)
        #expect(try await store.read(first: 1, last: 9, limit: 9).map(\.poll) == [poll(1), poll(2)])
        await store.close()
    }

    @Test func damageThatAnOutputMeetsShowsInTheStatus() async throws {
        let directory = TemporaryDirectory()
        let time = ManualTime()
        let store = try await open(directory, time: time)
        let writer = JournalWriter(store: store, interval: .seconds(1), time: time, logger: quiet)
        for number in 1...300 {
            writer.take(poll(number), readings: 2)
            #expect(await writer.commitAll())
        }
        #expect(writer.lastError == nil)
        try await store.spoilTheChunkTable()
        let failure = await #expect(throws: StoreError.self) { try await store.offer(output: "park", records: 10, age: .zero) }
        #expect(failure?.code == .corrupt)
        #expect(writer.lastError?.code == .corrupt)
        await store.close()
        let again = try await open(directory)
        #expect(await again.openReport.quarantined != nil)
        await again.close()
    }

    /// A checkpoint copies megabytes page by page, and takes seconds on a slow card.
    @Test func closingLeavesTheDatabaseAsItIs() async throws {
        let directory = TemporaryDirectory()
        let time = ManualTime()
        let store = try await open(directory, time: time)
        let writer = JournalWriter(store: store, interval: .seconds(1), time: time, logger: quiet)
        for number in 1...50 {
            writer.take(poll(number), readings: 2)
            #expect(await writer.commitAll())
        }
        let before = try directory.bytes(of: "journal.db")
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await writer.run() }
            writer.take(poll(51), readings: 2)
            group.cancelAll()
        }
        await store.close()
        #expect(try directory.bytes(of: "journal.db") == before)
        let again = try await open(directory)
        #expect(try await again.read(first: 1, last: 99, limit: 99).count == 51)
        await again.close()
    }

    @Test func theTimesOfWhatWasLostAreToldAndKept() async throws {
        let directory = TemporaryDirectory()
        let store = try await open(directory)
        #expect(await store.journalState().lostTimes == nil)
        await store.note(Loss(cause: .notCommitted, polls: 2, readings: 4, firstTime: poll(3).time, lastTime: poll(9).time))
        #expect(await store.journalState().lostTimes == poll(3).time...poll(9).time)
        _ = try await store.commit([])
        await store.note(Loss(cause: .damaged, seqs: 1...1, polls: 1, readings: 2, firstTime: poll(1).time, lastTime: poll(4).time))
        _ = try await store.commit([])
        #expect(await store.journalState().lostTimes == poll(1).time...poll(9).time)
        await store.close()
        let again = try await open(directory)
        #expect(await again.journalState().lostTimes == poll(1).time...poll(9).time)
        await again.close()
    }

    /// The disk fails at the start: polls wait in memory, and are kept, under catalog entries that were promised, once it works.
    @Test func aStartWithoutADiskKeepsThePollsUntilThereIsOne() async throws {
        let directory = TemporaryDirectory()
        let time = ManualTime()
        let disk = try #require(FailingDisk())
        disk.fail(opening: "journal.db", with: SQLITE_IOERR)
        let store = try await open(directory, disk, time: time, patient: true)
        let entry = CatalogEntry(device: "main", unit: 1, role: .grid, profile: "p", profileText: "text")
        let ids = try await store.promise([entry])
        #expect(ids.allSatisfy { $0.rawValue < 0 })
        let writer = JournalWriter(store: store, interval: .seconds(1), time: time, limits: StoreLimits(ringPolls: 10), logger: quiet)
        for number in 1...15 { writer.take(poll(number, entry: ids[0].rawValue), readings: 2) }
        #expect(await writer.commitAll() == false)
        #expect(writer.lastError?.code == .io)
        #expect(writer.waitingPolls == 10)
        await #expect(throws: StoreError.self) { try await store.offer(output: "park", records: 10, age: .zero) }
        await #expect(throws: StoreError.self) { try await store.setPaused(true, output: "park") }

        disk.heal()
        time.advance(by: .seconds(5))
        #expect(await writer.commitAll())
        #expect(writer.lastError == nil)
        let kept = try await store.read(first: 1, last: 99, limit: 99)
        #expect(kept.map(\.poll.uptime) == (6...15).map { poll($0).uptime })
        let id = try #require(kept.first?.poll.entry)
        #expect(try await store.entry(id) == entry)
        let state = await store.journalState()
        #expect(state.lostPolls == 5 && state.lostTimes == poll(1).time...poll(5).time)
        guard case .slice(let slice) = try await store.offer(output: "park", records: 99, age: .zero) else {
            return #expect(Bool(false), "nothing is offered")
        }
        #expect(slice.polls.count == 10)
        await store.close()
    }

    /// A commit is in the file although its answer was lost, and the disk fails once more before the commit is asked for again.
    @Test func aCommitInDoubtIsAdoptedOnceHoweverOftenTheFileIsOpened() async throws {
        let directory = TemporaryDirectory()
        let store = try await open(directory)
        _ = try await store.commit(polls(1...20))
        func reject(_ seq: Int64) async throws {
            guard case .slice(let slice) = try await store.offer(output: "park", records: 1, age: .zero) else {
                return #expect(Bool(false), "nothing is offered")
            }
            #expect(slice.first == seq)
            try await store.settle(output: "park", through: seq, accepted: 0, rejected: [Rejection(seq: seq, reason: "no")])
        }
        try await reject(1)
        await store.note(Loss(cause: .notCommitted, polls: 1, readings: 2, firstTime: poll(1).time, lastTime: poll(1).time))
        try await store.loseTheAnswerOfTheNextCommit(polls(21...25))
        // The first opening adopts it; what is refused and lost from now on waits for the next commit.
        #expect(try await store.deadLetters(output: "park", limit: 9).map(\.seq) == [1])
        try await reject(2)
        await store.note(Loss(cause: .damaged, seqs: 3...3, polls: 1, readings: 2, firstTime: poll(3).time, lastTime: poll(3).time))
        try await store.loseTheFile()
        #expect(try await store.deadLetters(output: "park", limit: 9).map(\.seq) == [1])
        try await store.loseTheFile()
        let receipt = try await store.commit(polls(21...25))
        #expect(receipt?.first == 21 && receipt?.last == 25)
        #expect(try await store.deadLetters(output: "park", limit: 9).map(\.seq) == [1, 2])
        #expect(try await store.recordedLosses().map(\.cause) == [.notCommitted, .damaged])
        #expect(await store.journalState().lostPolls == 2)
        #expect(try await store.read(first: 1, last: 99, limit: 99).count == 25)
        await store.close()
    }

    @Test func aMissingDirectoryIsFatalEvenForAPatientStart() async {
        let failure = await #expect(throws: StoreError.self) {
            try await Store.open(directory: "/nonexistent/s", outputs: [], time: ManualTime(), patient: true, logger: quiet)
        }
        #expect(failure?.code == .directory)
    }

    /// systemd makes every directory read-only that the unit does not name.
    @Test func aReadOnlyDirectoryIsNotSaidToBeTheDisksFaultAlone() {
        let failure = StoreError(directory: "/mnt/data", refusedWith: EROFS)
        #expect(failure.code == .io && failure.message.hasPrefix("/mnt/data is read-only; "))
        #expect(
            failure.message.contains("ReadWritePaths=") && failure.message.contains("the disk")
                && failure.cause?.contains("ead-only") == true)
        #expect(StoreError(directory: "/mnt/data", refusedWith: ENOSPC).code == .full)
        #expect(StoreError(directory: "/mnt/data", refusedWith: EACCES).code == .directory)
    }
}
