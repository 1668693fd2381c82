import Metering
import Testing

@testable import Store

/// What spares the flash.
struct WearTests {
    /// One flush a commit; three more when the log has been copied into the database: of the log, of the database, of the log's new head.
    /// Settlements ride along.
    @Test func aCommitCostsOneFlush() async throws {
        let log = try #require(WriteLog())
        let directory = TemporaryDirectory()
        let store = try await Store.open(directory, fileSystem: log.name)
        let round = noise(polls: 100, seed: 61)
        _ = try await store.commit(round)
        let before = log.count
        let commits = 60
        for _ in 0..<commits {
            let receipt = try #require(try await store.commit(round))
            _ = try await store.range("park")
            try await store.settle(output: "park", through: receipt.last, accepted: round.count, rejected: [])
        }
        let entries = log.entries[before...]
        let copies = entries.count { $0 == .sync("journal.db") }
        let flushes = entries.count { if case .sync = $0 { true } else { false } }
        #expect(copies >= 2)
        #expect(flushes == commits + 3 * copies)
        await store.close()
    }
}
