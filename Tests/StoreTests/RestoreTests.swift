import FoundationEssentials
import Glibc
import Host
import Metering
import Testing

@testable import Store

/// A database from a backup must not give new polls the names of polls that receivers have had.
struct RestoreTests {
    /// A directory whose file system has extended attributes; nil, and said so, where there is none.
    private func markable() -> TemporaryDirectory? {
        let directory = TemporaryDirectory()
        if ExtendedAttribute.set("user.meterd.test", to: "1", of: directory.path) { return directory }
        print("skipped: the file system of \(directory.path) has no extended attributes")
        return nil
    }

    private func backUp(_ directory: TemporaryDirectory) throws -> [String: [UInt8]] {
        var files: [String: [UInt8]] = [:]
        for name in directory.names { files[name] = try directory.bytes(of: name) }
        return files
    }

    /// As docs/operating.md says: everything in it is removed, then unpacked.
    private func restore(_ files: [String: [UInt8]], to directory: TemporaryDirectory) throws {
        for name in directory.names { #expect(unlink(directory.path + "/" + name) == 0) }
        for (name, bytes) in files { try directory.write(bytes, to: name) }
    }

    private func live(_ directory: TemporaryDirectory, _ numbers: ClosedRange<Int>, cleanly: Bool = true) async throws -> String {
        let store = try await Store.open(directory)
        _ = try await store.commit(polls(numbers))
        let id = await store.journalState().journalID
        if cleanly { await store.close() } else { await store.dieForTest() }
        return id
    }

    @Test(arguments: [true, false]) func anOldDatabaseGoesOnUnderAnotherId(cleanly: Bool) async throws {
        guard let directory = markable() else { return }
        let id = try await live(directory, 1...5)
        let backup = try backUp(directory)
        #expect(try await live(directory, 6...9, cleanly: cleanly) == id)
        try restore(backup, to: directory)

        let store = try await Store.open(directory)
        let state = await store.journalState()
        #expect(state.journalID != id && state.lastSeq == 5)
        #expect(await store.openReport.restoredFrom == id)
        // What it holds is handed on as before, by its place; new polls are those of the new journal.
        #expect(try await store.commit(polls(100...101))?.last == 7)
        #expect(try await store.read(first: 1, last: 9, limit: 9).count == 7)
        await store.close()
        let again = try await Store.open(directory)
        #expect(await again.journalState().journalID == state.journalID)
        #expect(await again.openReport.restoredFrom == nil)
        // It is told as long as the journal has anything from then.
        #expect(await again.journalState().restore == JournalRestore(from: id, at: ManualTime().wall()))
        await again.close()
        let reader = try await Store.openToRead(directory: directory.path, time: ManualTime(), logger: quiet)
        #expect(await reader.journalState().restore?.from == id)
        await reader.close()
    }

    /// The same file put back, a move to a new box, a power cut, a kill: nothing was handed on in between, so the journal stays itself.
    @Test func aCopyThatLacksNothingStaysTheSameJournal() async throws {
        guard let directory = markable(), let other = markable() else { return }
        let id = try await live(directory, 1...5)
        let backup = try backUp(directory)
        try restore(backup, to: directory)
        #expect(try await live(directory, 6...7, cleanly: false) == id)
        #expect(try await live(directory, 8...9) == id)
        let store = try await Store.open(directory)
        #expect(await store.journalState().restore == nil)
        await store.close()
        try restore(try backUp(directory), to: other)
        #expect(try await live(other, 10...11) == id)
    }

    /// A copy taken while the daemon ran: its run is the mark's, but it ends before the clean end did.
    @Test func aCopyOfARunningDatabaseIsToldByItsLastSeq() async throws {
        guard let directory = markable() else { return }
        let store = try await Store.open(directory)
        _ = try await store.commit(polls(1...5))
        try await store.copyTheLog()
        let backup = try backUp(directory)
        _ = try await store.commit(polls(6...9))
        let id = await store.journalState().journalID
        await store.close()
        try restore(backup, to: directory)
        let again = try await Store.open(directory)
        #expect(await again.openReport.restoredFrom == id)
        await again.close()
    }

    @Test func anOldDatabaseThatIsDamagedTooGoesOnUnderAnotherId() async throws {
        guard let directory = markable() else { return }
        let id = try await live(directory, 1...5)
        var backup = try backUp(directory)
        #expect(try await live(directory, 6...9) == id)
        backup["journal.db"]?[0] ^= 1
        try restore(backup, to: directory)
        let store = try await Store.open(directory)
        #expect(await store.openReport.salvaged?.polls == 5)
        #expect(await store.openReport.restoredFrom == id)
        #expect(await store.journalState().journalID != id)
        await store.close()
    }

    @Test func aMarkIsReadAsItWasWritten() {
        for mark in [JournalMark(journalID: "2f6e", run: 17, lastSeq: nil), JournalMark(journalID: "2f6e", run: 17, lastSeq: 98_230)] {
            #expect(JournalMark(mark.text) == mark)
        }
        for text in ["", "2f6e", "2f6e x", "2f6e 1 2 3"] { #expect(JournalMark(text) == nil, "\(text)") }
    }
}

extension Store {
    /// As a kill: nothing is written any more, and the directory is free.
    func dieForTest() {
        connection?.closeUntouched()
        connection = nil
        files?.release()
        files = nil
        isClosed = true
    }
}
