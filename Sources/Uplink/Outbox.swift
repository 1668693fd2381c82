import Metering
import Store

/// What an output needs of the store: the next slice, a place for its fate, the catalog, and word of new data.
///
/// Every call may throw: then nothing was changed, and the caller asks again later.
package protocol Outbox: Sendable {
    /// The next slice after this output's cursor: at most `records` polls, or fewer once the oldest has waited for `age`.
    func offer(output: String, records: Int, age: Duration) async throws -> SliceOffer
    /// Moves the cursor to `through` and keeps the rejected records as dead letters, in one transaction.
    func settle(output: String, through: Int64, accepted: Int, rejected: [Rejection]) async throws
    /// Nil when the database has no such entry.
    func entry(_ id: CatalogID) async throws -> CatalogEntry?
    /// The seq of the newest committed poll; 0 when there is none.
    func lastSeq() async throws -> Int64
    /// Returns once a poll after `seq` is committed, at once if one is already, and at once when the task is cancelled.
    func waitForCommit(after seq: Int64) async
}

extension Store: Outbox {
    package func lastSeq() -> Int64 { commits.last }
    package func waitForCommit(after seq: Int64) async { _ = await commits.next(after: seq) }
}
