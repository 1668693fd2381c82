import Metering
import Store

/// What an output needs of the store: the next slice, a place for its fate, the catalog, and word of new data.
///
/// Every call may throw: then nothing was changed, and the caller asks again later.
package protocol Outbox: Sendable {
    /// The next slice of this output: at most `records` polls, or fewer once the oldest has waited for `age`.
    func offer(output: String, _ request: SliceRequest) async throws -> SliceOffer
    /// Moves the cursor to `through` and keeps the rejected records as dead letters, in one transaction.
    func settle(output: String, through: Int64, accepted: Int, rejected: [Rejection], filtered: Int) async throws
    /// The slice with the times its polls were read at, or how long to wait until they are known.
    func date(_ slice: JournalSlice) async throws -> Dating
    /// Dead letters that are to be handed on again, at most `records` of consecutive seqs; nil when there are none.
    func offerReplay(output: String, records: Int) async throws -> JournalSlice?
    /// What became of them: accepted ones go, rejected ones stay, in one transaction.
    func settleReplay(output: String, accepted: [Int64], rejected: [Rejection]) async throws
    /// Someone paused the output.
    func isPaused(output: String) async -> Bool
    /// Names the database; known once something was offered.
    func journalID() async -> String
    /// Nil when the database has no such entry.
    func entry(_ id: CatalogID) async throws -> CatalogEntry?
    /// The seq of the newest committed poll; 0 when there is none.
    func lastSeq() async throws -> Int64
    /// Returns once a poll after `seq` is committed, at once if one is already, and at once when the task is cancelled.
    func waitForCommit(after seq: Int64) async
}

/// For an outbox that keeps no dead letters and knows every time.
extension Outbox {
    package func date(_ slice: JournalSlice) async throws -> Dating { .dated(slice, estimated: []) }
    package func offerReplay(output: String, records: Int) async throws -> JournalSlice? { nil }
    package func settleReplay(output: String, accepted: [Int64], rejected: [Rejection]) async throws {}
    package func isPaused(output: String) async -> Bool { false }
    package func journalID() async -> String { "" }
}

extension Store: Outbox {
    package func journalID() -> String { journalState().journalID }
    package func lastSeq() -> Int64 { commits.last }
    package func waitForCommit(after seq: Int64) async { _ = await commits.next(after: seq) }
}
