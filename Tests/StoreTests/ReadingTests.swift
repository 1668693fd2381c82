import Glibc
import Host
import Metering
import Testing

@testable import Store

/// The journal of a daemon that does not run is read as it lies there, log and all, and stays as it is to the byte.
struct ReadingTests {
    private func export(_ store: Store) async throws -> String {
        var text: [UInt8] = []
        try await JournalExport(format: .jsonLines).run(on: store, write: { text += $0 })
        return String(decoding: text, as: UTF8.self)
    }

    private func filled() async throws -> (TemporaryDirectory, String) {
        let directory = TemporaryDirectory()
        let store = try await Store.open(directory)
        _ = try await store.commit(polls(1...50))
        try await store.copyTheLog()
        _ = try await store.commit(polls(51...80))
        let text = try await export(store)
        await store.close()
        return (directory, text)
    }

    @Test func whatLiesThereIsReadAndNothingIsWritten() async throws {
        let (directory, text) = try await filled()
        let (names, before) = (directory.names, try directory.names.map { try directory.bytes(of: $0) })
        let reader = try await Store.openToRead(directory: directory.path, time: ManualTime(), logger: quiet)
        #expect(try await reader.read(first: 1, last: 99, limit: 99).map(\.seq) == Array(1...80))
        #expect(try await export(reader) == text)
        #expect(await reader.journalState().lastSeq == 80)
        // A second reader may look too; a daemon may not start, and one that runs is not looked at.
        let second = try await Store.openToRead(directory: directory.path, time: ManualTime(), logger: quiet)
        await second.close()
        let refusal = await #expect(throws: StoreError.self) { try await Store.open(directory) }
        #expect(refusal?.code == .inUse)
        await reader.close()
        let names2 = directory.names
        #expect(names2 == names)
        #expect(try names.map { try directory.bytes(of: $0) } == before)
        let daemon = try await Store.open(directory)
        let held = await #expect(throws: StoreError.self) {
            try await Store.openToRead(directory: directory.path, time: ManualTime(), logger: quiet)
        }
        #expect(held?.code == .inUse)
        #expect(try await daemon.read(first: 1, last: 99, limit: 99).count == 80)
        await daemon.close()
    }

    @Test func whatCannotBeReadSaysWhy() async throws {
        func failure(_ path: String) async -> StoreError? {
            await #expect(throws: StoreError.self) { try await Store.openToRead(directory: path, time: ManualTime(), logger: quiet) }
        }
        let empty = TemporaryDirectory()
        #expect(await failure(empty.path)?.message.contains("--data") == true)
        #expect(empty.names.isEmpty)
        let (directory, _) = try await filled()
        var bytes = try directory.bytes(of: "journal.db")
        for index in 0..<100 { bytes[index] = 0x5a }
        try directory.write(bytes, to: "journal.db")
        #expect(await failure(directory.path)?.code == .corrupt)
        #expect(try directory.bytes(of: "journal.db") == bytes)
    }
}
