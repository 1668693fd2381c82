import CSQLite
import FoundationEssentials
import Glibc
import Metering
import Testing

@testable import Store

struct OpeningTests {
    @Test func aNewDirectoryGetsAJournalWithItsOwnName() async throws {
        let directory = TemporaryDirectory()
        let store = try await Store.open(directory)
        let state = await store.journalState()
        #expect(state.journalID.utf8.count == 32)
        #expect(state.firstSeq == 1 && state.lastSeq == 0 && state.polls == 0)
        #expect(await store.openReport.quarantined == nil)
        #expect(await store.openReport.migratedFrom == 0)
        await store.close()

        let again = try await Store.open(directory)
        #expect(await again.journalState().journalID == state.journalID)
        #expect(await again.openReport.migratedFrom == Schema.version)
    }

    @Test func durabilityIsSetAsPromised() throws {
        let directory = TemporaryDirectory()
        let connection = try Connection(path: directory.journal)
        try connection.configure()
        try Schema.migrate(connection, created: 0, journalID: "j")
        #expect(try connection.text("PRAGMA journal_mode") == "wal")
        #expect(try connection.integer("PRAGMA synchronous") == 2)
        #expect(try connection.integer("PRAGMA page_size") == Int64(Connection.pageSize))
        #expect(try connection.integer("PRAGMA auto_vacuum") == 0)
        #expect(try connection.integer("PRAGMA secure_delete") == 0)
        #expect(try connection.integer("PRAGMA mmap_size") ?? 0 == 0)
        #expect(try connection.integer("PRAGMA journal_size_limit") == -1)
        #expect(!directory.names.contains("journal.db-shm"))
        connection.close()
        #expect(directory.names.contains("journal.db-wal"))
    }

    @Test func aSecondInstanceIsToldWhoHoldsTheDirectory() async throws {
        let directory = TemporaryDirectory()
        let first = try await Store.open(directory)
        let failure = await #expect(throws: StoreError.self) { try await Store.open(directory) }
        #expect(failure?.code == .inUse)
        #expect(failure?.message.contains("process \(getpid())") == true)
        await first.close()
        _ = try await Store.open(directory)
    }

    /// A child that is being started holds a copy of every descriptor until it is another program.
    @Test func aClosedStoreIsFreeThoughAChildIsJustBeingStarted() async throws {
        let directory = TemporaryDirectory()
        for isReader in [false, true] {
            let store =
                isReader
                ? try await Store.openToRead(directory: directory.path, time: ManualTime(), logger: quiet)
                : try await Store.open(directory)
            let lock = try #require(
                (0..<1024).first { target(of: $0) == directory.path + "/lock" }, "no descriptor of \(directory.path)/lock is open")
            let copy = dup(Int32(lock))
            #expect(copy >= 0)
            await store.close()
            let again = try await Store.open(directory)
            await again.close()
            Glibc.close(copy)
        }
    }

    private func target(of descriptor: Int) -> String? {
        try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/fd/\(descriptor)")
    }

    @Test func aMissingDirectoryIsNamed() async {
        let failure = await #expect(throws: StoreError.self) {
            try await Store.open(directory: "/nonexistent/store", outputs: [], time: ManualTime(), logger: quiet)
        }
        #expect(failure?.code == .directory)
        #expect(failure?.message.contains("/nonexistent/store") == true)
    }

    @Test func aFileInPlaceOfTheDirectoryIsNamed() async throws {
        let directory = TemporaryDirectory()
        try directory.write([1], to: "file")
        let failure = await #expect(throws: StoreError.self) {
            try await Store.open(directory: directory.path + "/file", outputs: [], time: ManualTime(), logger: quiet)
        }
        #expect(failure?.code == .directory)
    }

    @Test(arguments: [false, true]) func aNewerFileIsRefusedAndNotTouched(_ isCheckpointed: Bool) async throws {
        let directory = TemporaryDirectory()
        let connection = try Connection(path: directory.journal)
        try connection.configure()
        try Schema.migrate(connection, created: 0, journalID: "j", steps: Schema.migrations + ["CREATE TABLE later (x ANY) STRICT"])
        if isCheckpointed { try connection.checkpoint(SQLITE_CHECKPOINT_TRUNCATE) }
        connection.closeUntouched()
        let before = try directory.bytes(of: "journal.db")
        let wal = try? directory.bytes(of: "journal.db-wal")

        let failure = await #expect(throws: StoreError.self) { try await Store.open(directory) }
        #expect(failure?.code == .newer)
        #expect(failure?.message.contains("format \(Schema.version + 1)") == true)
        #expect(try directory.bytes(of: "journal.db") == before)
        #expect((try? directory.bytes(of: "journal.db-wal")) == wal)
        #expect(!directory.names.contains { $0.contains("corrupt") })
    }

    @Test func anotherProgramsDatabaseIsRefusedAndNotTouched() async throws {
        let directory = TemporaryDirectory()
        let connection = try Connection(path: directory.journal)
        try connection.execute("CREATE TABLE theirs (x); INSERT INTO theirs VALUES (1)")
        connection.close()
        let before = try directory.bytes(of: "journal.db")
        let failure = await #expect(throws: StoreError.self) { try await Store.open(directory) }
        #expect(failure?.code == .foreign)
        #expect(try directory.bytes(of: "journal.db") == before)
    }

    @Test(arguments: Array(0..<Schema.migrations.count)) func everyOlderVersionIsMigrated(_ version: Int) async throws {
        let directory = TemporaryDirectory()
        let connection = try Connection(path: directory.journal)
        try connection.configure()
        try Schema.migrate(connection, created: 0, journalID: "j", steps: Array(Schema.migrations[..<version]))
        connection.close()
        let store = try await Store.open(directory)
        #expect(await store.openReport.quarantined == nil)
        #expect(try await store.commit(polls(1...3))?.last == 3)
    }

    @Test func whatVersion1KeptIsThereAfterTheMigration() async throws {
        let directory = TemporaryDirectory()
        let connection = try Connection(path: directory.journal)
        try connection.configure()
        try Schema.migrate(connection, created: 0, journalID: "j", steps: Array(Schema.migrations[..<1]))
        try connection.execute("INSERT INTO run VALUES (7, 'boot', 5, 6)")
        try connection.execute("UPDATE journal SET last_seq = 12, polls = 10, readings = 20")
        try connection.run(
            "INSERT INTO chunk VALUES (3, 12, 7, 10, 20, 0, 0, ?)", .blob(ChunkEncoder.encode(polls(3...12))))
        connection.close()
        let store = try await Store.open(directory)
        #expect(await store.openReport.migratedFrom == 1)
        #expect(await store.journalState().journalID == "j")
        #expect(try await store.read(first: 1, last: 99, limit: 99).map(\.poll) == polls(3...12).map(\.poll))
        #expect(try await store.number("SELECT first_seq FROM run WHERE id = 7") == 3)
        #expect(try await store.number("SELECT first_seq FROM run WHERE id = 8") == 13)
    }

    @Test func outputsOfVersion3GoOnWhereTheyWere() async throws {
        let directory = TemporaryDirectory()
        let connection = try Connection(path: directory.journal)
        try connection.configure()
        try Schema.migrate(connection, created: 0, journalID: "j", steps: Array(Schema.migrations[..<3]))
        try connection.execute("UPDATE journal SET last_seq = 12, polls = 10, readings = 20")
        try connection.run("INSERT INTO chunk VALUES (3, 12, 1, 10, 20, 0, 0, ?)", .blob(ChunkEncoder.encode(polls(3...12))))
        try connection.execute("INSERT INTO output VALUES (4, 'park', 5, 8, 12, 3, 2, 1, 0, 1)")
        connection.close()
        let store = try await Store.open(directory)
        #expect(await store.openReport.migratedFrom == 3)
        let state = await store.outputStates()[0]
        #expect(
            state.cursor == 5 && state.liveCursor == 5 && state.acceptedPolls == 3 && state.rejectedPolls == 2 && state.deadLetters == 1)
        #expect(state.isPaused && state.filteredPolls == 0 && state.backlogPolls == 7 && state.historicalPolls == 0)
        try await store.setPaused(false, output: "park")
        #expect(try await store.range("park") == 6...8)
    }

    @Test func aFailedMigrationStepLeavesTheFileAtItsVersion() throws {
        let directory = TemporaryDirectory()
        let connection = try Connection(path: directory.journal)
        try connection.configure()
        let steps = Schema.migrations + ["CREATE TABLE half (x ANY) STRICT; SELECT nonsense"]
        #expect(throws: StoreError.self) { try Schema.migrate(connection, created: 0, journalID: "j", steps: steps) }
        #expect(try connection.integer("PRAGMA user_version") == Int64(Schema.version))
        #expect(try connection.integer("SELECT count(*) FROM sqlite_schema WHERE name = 'half'") == 0)
    }

    @Test func garbageIsSetAsideAndANewJournalBegun() async throws {
        let directory = TemporaryDirectory()
        let garbage = Array("this is no database, and long enough to be one ".utf8) + [UInt8](repeating: 7, count: 5000)
        try directory.write(garbage, to: "journal.db")
        let store = try await Store.open(directory)
        let report = await store.openReport
        #expect(report.reason == "not a database")
        let name = try #require(report.quarantined?.split(separator: "/").last.map(String.init))
        #expect(name.hasPrefix("journal.db.corrupt-2026"))
        #expect(try directory.bytes(of: name) == garbage)
        #expect(try await store.commit(polls(1...2))?.last == 2)
    }

    /// Whatever is cut off, starting succeeds: with what was committed, or with the damaged file aside.
    @Test func aJournalCutAnywhereStillStarts() async throws {
        let whole = try await filledJournal()
        let size = try whole.bytes(of: "journal.db").count
        var setAside = 0
        for length in stride(from: 1, to: size, by: Connection.pageSize / 2 + 1) {
            let copy = try whole.copyOfJournal(fleeting: true)
            try copy.write(Array(try whole.bytes(of: "journal.db")[..<length]), to: "journal.db")
            try copy.write([], to: "journal.db-wal")
            let store = try await Store.open(copy)
            if await store.openReport.quarantined != nil { setAside += 1 }
            #expect(try await store.commit(polls(1...1)) != nil)
            await store.close()
        }
        #expect(setAside > 5)
    }

    @Test func flippedBytesNeverGiveAWrongPoll() async throws {
        let whole = try await filledJournal()
        let bytes = try whole.bytes(of: "journal.db")
        var generator = SeededGenerator(seed: 31)
        var noticed = 0
        for _ in 0..<60 {
            let copy = TemporaryDirectory(fleeting: ())
            var damaged = bytes
            damaged[Int.random(in: 0..<bytes.count, using: &generator)] ^= 0x10
            try copy.write(damaged, to: "journal.db")
            let opened: Store
            do { opened = try await Store.open(copy) } catch {
                // A flip in the version or the application's mark: refused, nothing lost.
                #expect(error.code == .newer || error.code == .foreign, "\(error)")
                continue
            }
            let isReplaced = await opened.openReport.quarantined != nil
            let found = (try? await opened.read(first: 1, last: 1000, limit: 1000)) ?? []
            for stored in found { #expect(stored.poll == filling[Int(stored.seq) - 1].poll) }
            if isReplaced || found.count < 300 { noticed += 1 }
            await opened.close()
        }
        #expect(noticed > 15)
    }

    private let filling: [CountedPoll] = {
        var generator = SeededGenerator(seed: 32)
        return plant(devices: 10, rounds: 30, values: 20, using: &generator)
    }()

    private func filledJournal() async throws -> TemporaryDirectory {
        let directory = TemporaryDirectory()
        let store = try await Store.open(directory)
        for start in stride(from: 0, to: 300, by: 30) { _ = try await store.commit(Array(filling[start..<start + 30])) }
        try await store.copyTheLog()
        await store.close()
        return directory
    }
}
