import Host
import Metering
import Store
import Uplink

/// The store as one output sees it that began while it was open: made ready for it before the first offer, and again until that works.
/// So a full disk at that moment is a fault of this output, shown and retried as any other, and does not make a reload fail.
struct PreparedOutbox: Outbox {
    private let store: Store
    private let isReady = Lock(false)

    init(store: Store) { self.store = store }

    func offer(output: String, _ request: SliceRequest) async throws -> SliceOffer {
        if !isReady.withLock({ $0 }) {
            try await store.prepare(output: output)
            isReady.withLock { $0 = true }
        }
        return try await store.offer(output: output, request)
    }

    func settle(output: String, through: Int64, accepted: Int, rejected: [Rejection], filtered: Int) async throws {
        try await store.settle(output: output, through: through, accepted: accepted, rejected: rejected, filtered: filtered)
    }

    func date(_ slice: JournalSlice) async throws -> Dating { try await store.date(slice) }
    func offerReplay(output: String, records: Int) async throws -> JournalSlice? {
        try await store.offerReplay(output: output, records: records)
    }

    func settleReplay(output: String, accepted: [Int64], rejected: [Rejection]) async throws {
        try await store.settleReplay(output: output, accepted: accepted, rejected: rejected)
    }

    /// A new output is known to the store from its first offer on.
    func isPaused(output: String) async -> Bool { await store.isPaused(output: output) }
    func journalID() async -> String { await store.journalID() }
    func entry(_ id: CatalogID) async throws -> CatalogEntry? { try await store.entry(id) }
    func lastSeq() async throws -> Int64 { await store.lastSeq() }
    func waitForCommit(after seq: Int64) async { await store.waitForCommit(after: seq) }
}
