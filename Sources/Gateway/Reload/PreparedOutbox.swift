import Host
import Metering
import Store
import Uplink

/// The store as outputs see it that began while it was open: made ready for each before its first offer, and again until that works.
/// So a full disk at that moment is a fault of this output, shown and retried as any other, and does not make a reload fail.
package struct PreparedOutbox: Outbox {
    private let store: Store
    private let ready = Lock<Set<String>>([])

    package init(store: Store) { self.store = store }

    package func offer(output: String, _ request: SliceRequest) async throws -> SliceOffer {
        if !ready.withLock({ $0.contains(output) }) {
            try await store.prepare(output: output)
            _ = ready.withLock { $0.insert(output) }
        }
        return try await store.offer(output: output, request)
    }

    package func settle(output: String, through: Int64, accepted: Int, rejected: [Rejection], filtered: Int) async throws {
        try await store.settle(output: output, through: through, accepted: accepted, rejected: rejected, filtered: filtered)
    }

    package func date(_ slice: JournalSlice) async throws -> Dating { try await store.date(slice) }
    package func offerReplay(output: String, records: Int) async throws -> JournalSlice? {
        try await store.offerReplay(output: output, records: records)
    }

    package func settleReplay(output: String, accepted: [Int64], rejected: [Rejection]) async throws {
        try await store.settleReplay(output: output, accepted: accepted, rejected: rejected)
    }

    /// A new output is known to the store from its first offer on.
    package func isPaused(output: String) async -> Bool { await store.isPaused(output: output) }
    package func journalID() async -> String { await store.journalID() }
    package func entry(_ id: CatalogID) async throws -> CatalogEntry? { try await store.entry(id) }
    package func lastSeq() async throws -> Int64 { await store.lastSeq() }
    package func waitForCommit(after seq: Int64) async { await store.waitForCommit(after: seq) }
}
