import CSQLite
import Metering

/// A full disk: what another program took, or what the size limit does not know of.
///
/// Removing needs room itself, in the write-ahead log. A file of that size stands by, the ballast, and gives it. From then on, until there
/// is room for a ballast again, the journal uses no more than it did: its log is copied into the database and written from its start,
/// and removed chunks leave pages to write new ones into.
extension Store {
    /// Call it before a commit: keeps to the room there is.
    ///
    /// - Parameters:
    ///   - bytes: about as much as the commit needs.
    ///   - forcing: whether unsent chunks may go, because newer polls would be lost otherwise.
    /// - Throws: `.full` when it would need more.
    func keepWithinRoom(_ bytes: Int, forcing: Bool, _ connection: Connection) throws(StoreError) {
        guard let limit = fullLimit else { return }
        if restoreBallast() {
            fullLimit = nil
            logger.notice("there is room on the disk again", metadata: ["store.directory": "\(directory)"])
            return
        }
        guard bytes > 0 else { return }
        for _ in 0..<StoreLimits.removalsWhenFull where books.usedBytes + bytes > limit {
            guard try remove(to: limit - bytes, forcing: forcing, connection) else { break }
        }
        guard books.usedBytes + bytes <= limit else {
            throw StoreError(
                .full, "\(connection.path): no space left, and nothing kept is handed on yet; free some, meterd goes on by itself")
        }
    }

    /// Call it after a transaction found no room.
    ///
    /// - Returns: whether it is worth trying again.
    func makeRoom(_ bytes: Int, forcing: Bool) throws(StoreError) -> Bool {
        guard let connection else { return false }
        if fullLimit == nil { logger.error("the disk is full", metadata: ["store.directory": "\(directory)"]) }
        fullLimit = min(fullLimit ?? .max, books.usedBytes)
        let isFreed = files?.dropBallast() ?? false
        var isRewound = false
        do throws(StoreError) {
            do throws(StoreError) {
                try connection.checkpoint(SQLITE_CHECKPOINT_RESTART)
                isRewound = true
            } catch  where error.code == .full {}
            try keepWithinRoom(bytes, forcing: forcing, connection)
            return isFreed || isRewound
        } catch  where error.code == .full {
            return false
        }
    }

    /// Puts the ballast back once there is more room than that. Returns whether it stands.
    @discardableResult
    func restoreBallast() -> Bool {
        guard let files, let free = files.freeBytes else { return true }
        guard !files.hasBallast else { return true }
        guard free > 2 * Int64(max(limits.ballastBytes, StoreLimits.roomBytes)) else { return false }
        return limits.ballastBytes == 0 || files.makeBallast(limits.ballastBytes)
    }

    /// A removal carries nothing of what waits for a commit.
    func adopt(removal staged: StagedCommit) {
        let isStillDirty = isDirty
        adopt(staged)
        isDirty = isStillDirty
    }

    /// Removes some of the oldest chunks. Returns whether it did.
    private func remove(to bytes: Int, forcing: Bool, _ connection: Connection) throws(StoreError) -> Bool {
        let oldest = try summaries("\(Store.summaryColumns) ORDER BY first_seq LIMIT \(StoreLimits.removalsPerCommit)", [])
        let plan = RetentionPlan(retention: limits.retention, sizeLimit: max(0, bytes))
        let removals = plan.removals(oldest: oldest, usedBytes: books.usedBytes, sentThrough: sentThrough, now: nil) { _ in nil }
            .prefix { forcing || !$0.isLoss }
        guard !removals.isEmpty else { return false }
        var staged = StagedCommit(books: books, count: 0, deadLetterCount: 0, lossCount: 0)
        staged.books.commits += 1
        staged.isRemoval = true
        do throws(StoreError) {
            try connection.transaction { () throws(StoreError) in
                try remove(Array(removals), cause: .diskFull, &staged.books, connection)
                try writeBooks(staged.books, connection)
            }
        } catch {
            if error.code == .io { inDoubt = staged }
            throw error
        }
        adopt(removal: staged)
        return true
    }
}
