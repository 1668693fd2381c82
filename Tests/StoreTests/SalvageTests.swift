import CSQLite
import Glibc
import Metering
import Testing

@testable import Store

/// A damaged journal costs what the damage hit: it is set aside, told, and what can be read goes on in a new one.
struct SalvageTests {
    /// Ten chunks of 30 polls, each within one page, 90 polls handed on; beside them two outputs, a dead letter and a catalog.
    private static let lastSeq: Int64 = 300
    private static let settled: Int64 = 90

    private func filled(chunk: Int = 30, _ filling: [CountedPoll] = polls(1...300)) async throws -> (Store, TemporaryDirectory) {
        let directory = TemporaryDirectory(fleeting: ())
        let store = try await Store.open(directory, outputs: ["park", "slow"])
        for device in 1...5 {
            let text = String(repeating: "# device \(device)\n", count: 300)
            _ = try await store.adopt(CatalogEntry(device: "d\(device)", unit: 1, role: .load, profile: "p", profileText: text))
        }
        for start in stride(from: 0, to: filling.count, by: chunk) { _ = try await store.commit(Array(filling[start..<start + chunk])) }
        #expect(try await store.range("park", records: 90) == 1...SalvageTests.settled)
        try await store.settle(
            output: "park", through: SalvageTests.settled, accepted: 89, rejected: [Rejection(seq: 44, reason: "no")])
        _ = try await store.commit([])
        return (store, directory)
    }

    private struct Outcome {
        var store: Store
        var report: OpenReport
        var state: JournalState
        var delivered: [StoredPoll]
    }

    private func open(_ directory: TemporaryDirectory) async throws -> Outcome {
        let store = try await Store.open(directory, outputs: ["park", "slow"])
        let delivered = try await store.drain("park")
        return Outcome(store: store, report: await store.openReport, state: await store.journalState(), delivered: delivered)
    }

    private func expectHonest(_ outcome: Outcome, _ filling: [CountedPoll], _ place: String) async {
        for stored in outcome.delivered where stored.seq <= SalvageTests.lastSeq {
            #expect(stored.poll == filling[Int(stored.seq) - 1].poll, "\(place)")
        }
        #expect(Set(outcome.delivered.map(\.seq)).count == outcome.delivered.count, "\(place): twice")
        let isKept = outcome.report.quarantined == nil || outcome.report.salvaged?.keepsBooks == true
        if isKept {
            // Nothing is missing that was not told. What was handed on before may be lost too, and is told as well.
            let untold = Set(SalvageTests.settled + 1...SalvageTests.lastSeq).subtracting(outcome.delivered.map(\.seq))
            #expect(untold.count <= outcome.state.lostPolls, "\(place): \(untold.count) missing, \(outcome.state.lostPolls) told")
            // The last commit, which holds the cursor, cannot be told from a torn one: without it the polls come again, under their seqs.
            let isLastCommit = outcome.report.quarantined == nil && place.hasPrefix("journal.db-wal")
            let isCursorLost = outcome.report.salvaged?.cursors == 0
            #expect(
                isLastCommit || isCursorLost || outcome.delivered.first.map { $0.seq > SalvageTests.settled } ?? true,
                "\(place): handed on again")
        }
        if outcome.report.quarantined != nil { #expect(outcome.report.reason != nil, "\(place)") }
    }

    @Test func aJournalCutAtAnyPageKeepsWhatIsBeforeTheCut() async throws {
        let (store, directory) = try await filled()
        let id = await store.journalState().journalID
        try await store.copyTheLog()
        await store.close()
        let whole = try directory.bytes(of: "journal.db")
        let bodies = polls(1...300).chunked(30).map { ChunkEncoder.encode($0) }
        var salvaged = 0
        for pages in 0...whole.count / Connection.pageSize {
            let copy = TemporaryDirectory(fleeting: ())
            let cut = Array(whole[..<(pages * Connection.pageSize)])
            try copy.write(cut, to: "journal.db")
            let outcome = try await open(copy)
            #expect(try await outcome.store.commit(polls(301...301)) != nil)
            // An empty file is a new one: nothing says that there was another.
            guard pages > 0 else { continue }
            await expectHonest(outcome, polls(1...300), "cut after page \(pages)")
            let delivered = Set(outcome.delivered.map(\.seq))
            for (index, body) in bodies.enumerated() where cut.contains(part: body) {
                let seqs = Set((Int64(index) * 30 + 1...Int64(index) * 30 + 30).filter { $0 > SalvageTests.settled })
                #expect(delivered.isSuperset(of: seqs), "cut after page \(pages): chunk \(index) can be read")
            }
            #expect((outcome.report.quarantined == nil) == (cut.count == whole.count))
            if outcome.report.salvaged?.keepsBooks == true {
                #expect(outcome.state.journalID == id)
                #expect(await outcome.store.journalState().lastSeq == 301)
                #expect(outcome.state.polls + outcome.state.lostPolls == 300)
                #expect(outcome.state.readings + outcome.state.lostReadings == 600)
                salvaged += 1
            }
            await outcome.store.close()
        }
        #expect(salvaged > 8)
    }

    /// Bytes flipped anywhere, in the database and in its log, in a journal whose chunks run over many pages.
    @Test func flippedBytesCostOnlyWhatTheyHit() async throws {
        let seed: UInt64 = 81
        print("flips with seed \(seed)")
        var generator = SeededGenerator(seed: seed)
        let filling = plant(devices: 10, rounds: 30, values: 40, using: &generator)
        let (store, directory) = try await filled(filling)
        try await store.setForTest("PRAGMA wal_checkpoint(PASSIVE)")
        _ = try await store.commit([])
        let (later, logged) = try await filled(filling)
        var all = 0
        var told = 0
        for (source, name) in [(directory, "journal.db"), (logged, "journal.db-wal")] {
            let bytes = try source.bytes(of: name)
            for _ in 0..<90 {
                let place = Int.random(in: 0..<bytes.count, using: &generator)
                let copy = try source.copyOfJournal(fleeting: true)
                var damaged = bytes
                damaged[place] ^= 1 << UInt8.random(in: 0...7, using: &generator)
                try copy.write(damaged, to: name)
                let outcome: Outcome
                do { outcome = try await open(copy) } catch let error as StoreError {
                    // The format's number became one that a newer meterd may write: refused, nothing touched.
                    #expect(error.code == .newer && name == "journal.db" && (60..<64).contains(place), "\(error)")
                    continue
                }
                await expectHonest(outcome, filling, "\(name) flipped at \(place)")
                all += 1
                if outcome.report.quarantined != nil || outcome.state.lostPolls > 0 { told += 1 }
                await outcome.store.close()
            }
        }
        print("damage told in \(told) of \(all)")
        #expect(told > all / 3)
        await store.close()
        await later.close()
    }

    private func filled(_ filling: [CountedPoll]) async throws -> (Store, TemporaryDirectory) { try await filled(chunk: 30, filling) }

    @Test func theBooksGoOnAsTheyStood() async throws {
        let (store, directory) = try await filled()
        await store.close()
        var bytes = try directory.bytes(of: "journal.db")
        // The schema is gone, and with it everything SQLite needs.
        bytes.replaceSubrange(0..<Connection.pageSize, with: [UInt8](repeating: 0xaa, count: Connection.pageSize))
        try directory.write(bytes, to: "journal.db")
        let again = try await Store.open(directory, outputs: ["park", "slow"])
        let report = await again.openReport
        #expect(report.reason == "not a database")
        #expect(report.salvaged?.cursors == 2)
        #expect(report.salvaged?.polls == 300 && report.salvaged?.lostPolls == 0)
        #expect(await again.outputStates().map(\.cursor) == [90, 0])
        #expect(await again.outputStates().map(\.deadLetters) == [1, 0])
        #expect(try await again.deadLetters(output: "park", limit: 5).map(\.seq) == [44])
        #expect(try await again.entry(CatalogID(5))?.device == "d5")
        #expect(try await again.range("slow", records: 90) == 1...90)
        let name = try #require(report.quarantined?.split(separator: "/").last.map(String.init))
        #expect(try directory.bytes(of: name) == bytes)
        #expect(try await again.commit(polls(301...301))?.first == 301)
    }

    @Test func aCatalogRowThatIsGoneGivesItsNumberToNobody() async throws {
        let directory = TemporaryDirectory(fleeting: ())
        let store = try await Store.open(directory)
        _ = try await store.commit(polls(1...3).map { CountedPoll(poll: poll(1, entry: 7), readings: $0.readings) })
        await store.close()
        var bytes = try directory.bytes(of: "journal.db")
        bytes[0] ^= 1
        try directory.write(bytes, to: "journal.db")
        let again = try await Store.open(directory)
        #expect(await again.openReport.salvaged?.polls == 3)
        #expect(try await again.entry(CatalogID(7)) == nil)
        let fresh = CatalogEntry(device: "d", unit: 1, role: .load, profile: "p", profileText: "")
        #expect(try await again.adopt(fresh).rawValue > 7)
    }

    /// The two renames, cut between.
    @Test func aCutWhileTheNewFileTakesItsPlaceIsMended() async throws {
        let (store, directory) = try await filled()
        let live = try directory.copyOfJournal(fleeting: true)
        try await store.copyTheLog()
        await store.close()
        let whole = try directory.bytes(of: "journal.db")
        let cut = TemporaryDirectory(fleeting: ())
        try cut.write(whole, to: "journal.db.new")
        try cut.write(try live.bytes(of: "journal.db-wal"), to: "journal.db-wal")
        let again = try await Store.open(cut, outputs: ["park", "slow"])
        #expect(await again.journalState().lastSeq == 300)
        #expect(cut.names.contains { $0.hasPrefix("journal.db.corrupt-") && $0.hasSuffix("-wal") })
        await again.close()

        try cut.write(Array(whole[..<5000]), to: "journal.db.new")
        let third = try await Store.open(cut, outputs: ["park", "slow"])
        #expect(await third.journalState().lastSeq == 300)
        #expect(!cut.names.contains("journal.db.new"))
    }
}

/// What becomes of a damaged log.
extension SalvageTests {
    /// As a kill leaves it: what was committed stands in the log; when it has begun anew, behind it frames from before.
    private func killed(begunAnew: Bool) async throws -> TemporaryDirectory {
        let (store, directory) = try await filled()
        if begunAnew {
            try await store.setForTest("PRAGMA wal_checkpoint(RESTART)")
            _ = try await store.commit(polls(301...330))
            _ = try await store.commit(polls(331...360))
        }
        let copy = try directory.copyOfJournal(fleeting: true)
        await store.close()
        return copy
    }

    private static let spoiled: [(Int, UInt8)] = [(32, 0), (4096, 0), (4096, 0xff), (4096, 0x55)]

    @Test(arguments: [false, true], spoiled) func aLogWithoutItsBeginningGivesNoSeqTwice(_ begunAnew: Bool, _ spoil: (Int, UInt8))
        async throws
    {
        let directory = try await killed(begunAnew: begunAnew)
        let id = try await journalID(of: try directory.copyOfJournal(fleeting: true))
        let last: Int64 = begunAnew ? 360 : 300
        try directory.write(
            [UInt8](repeating: spoil.1, count: spoil.0) + directory.bytes(of: "journal.db-wal")[spoil.0...], to: "journal.db-wal")
        let store = try await Store.open(directory, outputs: ["park", "slow"])
        let report = await store.openReport
        #expect(report.reason == "the header of the write-ahead log is broken")
        #expect(report.salvaged?.keepsBooks == true && report.salvaged?.cursors == 2 && report.restoredFrom == id)
        let state = await store.journalState()
        #expect(state.journalID != id && state.journalID == report.journalID && state.restore?.from == id)
        #expect(state.lastSeq == last && Int64(state.polls + state.lostPolls) == last)
        #expect(state.lostPolls <= (begunAnew ? 30 : 0))
        #expect(try await store.commit(polls(500...500))?.first == last + 1)
        await store.close()
        let again = try await Store.open(directory, outputs: ["park", "slow"])
        #expect(await again.journalState().journalID == state.journalID)
        #expect(await again.openReport.restoredFrom == nil)
        await again.close()
    }

    /// Nothing tells how far it was: other polls under other names.
    @Test(arguments: [false, true]) func aLogOfZerosGivesNoSeqTwice(_ begunAnew: Bool) async throws {
        let directory = try await killed(begunAnew: begunAnew)
        let id = try await journalID(of: try directory.copyOfJournal(fleeting: true))
        try directory.write([UInt8](repeating: 0, count: directory.bytes(of: "journal.db-wal").count), to: "journal.db-wal")
        let store = try await Store.open(directory, outputs: ["park", "slow"])
        #expect(await store.journalState().journalID != id)
        #expect(await store.openReport.restoredFrom == id)
        #expect(await store.journalState().lastSeq == (begunAnew ? 300 : 0))
        await store.close()
    }

    @Test func theNewestGenerationIsKnownWithoutTheHeader() async throws {
        let directory = try await killed(begunAnew: true)
        let whole = LogFrames(path: directory.journal + "-wal")
        let bytes = try directory.bytes(of: "journal.db-wal")
        #expect(whole.damage == nil && whole.committed.count > 4)
        #expect((whole.committed.last?.offset ?? 0) + 2 * Connection.pageSize < bytes.count, "no frames from before stand behind")
        try directory.write([UInt8](repeating: 0, count: 4096) + bytes[4096...], to: "journal.db-wal")
        let damaged = LogFrames(path: directory.journal + "-wal")
        #expect(damaged.committed.map(\.offset) == whole.committed.dropFirst(2).map(\.offset))
    }

    private func journalID(of copy: TemporaryDirectory) async throws -> String {
        let store = try await Store.open(copy, outputs: ["park", "slow"])
        let id = await store.journalState().journalID
        await store.close()
        return id
    }

    /// SQLite would delete the log beside such a file, and begin a new journal without a word.
    @Test(arguments: [false, true]) func aLogWithoutItsDatabaseIsRead(_ isEmpty: Bool) async throws {
        let directory = try await killed(begunAnew: false)
        let id = try await journalID(of: try directory.copyOfJournal(fleeting: true))
        let log = try directory.bytes(of: "journal.db-wal")
        if isEmpty { try directory.write([], to: "journal.db") } else { #expect(unlink(directory.journal) == 0) }

        // Whatever ends the first try: what was made until then is not taken for the journal.
        let disk = try #require(FailingDisk())
        disk.fail(opening: "journal.db.new", with: SQLITE_IOERR)
        let failure = await #expect(throws: StoreError.self) { try await Store.open(directory, fileSystem: disk.name) }
        #expect(failure?.code == .io)
        #expect(try directory.bytes(of: "journal.db-wal") == log)
        try directory.write([UInt8](repeating: 7, count: 5000), to: "journal.db.new")

        let store = try await Store.open(directory, outputs: ["park", "slow"])
        let report = await store.openReport
        #expect(report.reason == "the database is empty or gone, its write-ahead log is not")
        let name = try #require(report.quarantined?.split(separator: "/").last.map(String.init))
        #expect(try directory.bytes(of: name + "-wal") == log)
        #expect(await store.journalState().journalID == id)
        #expect(await store.outputStates().map(\.cursor) == [90, 0])
        #expect(try await store.read(first: 1, last: 999, limit: 999).map(\.poll) == polls(1...300).map(\.poll))
        #expect(try await store.commit(polls(301...301))?.first == 301)
        await store.close()
    }

    /// Nothing that is kept is older: it may have been read since the run began.
    @Test func aLossAtTheFrontBeginsWithItsRun() async throws {
        var generator = SeededGenerator(seed: 82)
        let filling = plant(devices: 10, rounds: 30, values: 10, using: &generator)
        let (store, directory) = try await filled(filling)
        try await store.copyTheLog()
        await store.close()
        let copy = TemporaryDirectory(fleeting: ())
        let first = ChunkEncoder.encode(Array(filling[..<30]))
        let pages = try directory.bytes(of: "journal.db").chunked(Connection.pageSize)
        #expect(pages.contains { $0.contains(part: first) })
        try copy.write(pages.flatMap { $0.contains(part: first) ? [UInt8](repeating: 0, count: $0.count) : $0 }, to: "journal.db")
        let again = try await Store.open(copy, outputs: ["park", "slow"])
        let loss = try #require(try await again.recordedLosses().first)
        #expect(loss.cause == .damaged && loss.seqs?.lowerBound == 1)
        let kept = try #require(try await again.read(first: 1, last: 999, limit: 1).first)
        #expect(loss.firstTime == ManualTime().wall() && loss.lastTime == kept.poll.time)
        await again.close()
    }
}

extension Store {
    /// Everything this output has not had, as it would be sent; all of it is accepted.
    func drain(_ output: String) throws -> [StoredPoll] {
        var polls: [StoredPoll] = []
        while true {
            switch try offer(output: output, records: 1000, age: .zero) {
            case .slice(let slice):
                polls += slice.polls
                try settle(output: output, through: slice.last, accepted: slice.polls.count, rejected: [])
            case .wait: _ = try commit([])
            case .empty, .paused:
                _ = try commit([])
                return polls
            }
        }
    }
}

extension Array {
    func chunked(_ size: Int) -> [[Element]] {
        stride(from: 0, to: count, by: size).map { Array(self[$0..<Swift.min(count, $0 + size)]) }
    }
}

extension [UInt8] {
    fileprivate func contains(part: [UInt8]) -> Bool {
        withUnsafeBytes { all in
            var start = 0
            while start + part.count <= all.count, let base = all.baseAddress,
                let hit = memchr(base + start, Int32(part[0]), all.count - part.count - start + 1)
            {
                if memcmp(hit, part, part.count) == 0 { return true }
                start = base.distance(to: UnsafeRawPointer(hit)) + 1
            }
            return false
        }
    }
}
