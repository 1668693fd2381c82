/// How much the store may keep, and how much it may hold in memory. Everything in it that can grow is bounded here.
package struct StoreLimits: Hashable, Sendable {
    /// Sent polls older than this are removed.
    package var retention: Duration
    /// Above this many bytes in use, the oldest chunks are removed: sent ones first, then unsent ones, which are counted as lost.
    package var sizeLimit: Int
    /// Copies of rejected polls kept for each output; more push out the oldest.
    package var deadLetters: Int
    /// Polls that wait in memory for a commit; more push out the oldest, counted as lost.
    package var ringPolls: Int
    /// The same in bytes.
    package var ringBytes: Int
    /// Room that stands by for a full disk: what the log holds at most goes into the database then, and the log grows to its full size.
    package var ballastBytes: Int
    /// How long after they were read polls from before the first clock synchronisation are held back from the outputs, if it does not come.
    package var undatedHold: Duration
    /// They are held no longer once so many polls wait.
    package var undatedPolls: Int64
    /// They are not held at all, and leave with the date they have.
    package var sendsUndated: Bool

    package init(
        retention: Duration = .seconds(60 * 86_400), sizeLimit: Int = 2 << 30, deadLetters: Int = 10_000, ringPolls: Int = 20_000,
        ringBytes: Int = 8 << 20, ballastBytes: Int = 6 << 20, undatedHold: Duration = .seconds(86_400),
        undatedPolls: Int64 = 1_000_000, sendsUndated: Bool = false
    ) {
        self.retention = retention
        self.sizeLimit = sizeLimit
        self.deadLetters = deadLetters
        self.ringPolls = ringPolls
        self.ringBytes = ringBytes
        self.ballastBytes = ballastBytes
        self.undatedHold = undatedHold
        self.undatedPolls = undatedPolls
        self.sendsUndated = sendsUndated
    }

    /// Chunks that retention may remove with one commit, so that a lowered limit does not stall one.
    static let removalsPerCommit = 16
    /// How often the oldest chunks are looked at while the size is within its limit.
    static let retentionInterval: Duration = .seconds(30)
    /// Rows of the loss table; then the newest row of the same cause is widened instead.
    static let lossRows: Int64 = 1000
    /// Decoded chunks kept for the outputs that read at the same place.
    static let cachedChunks = 2
    /// Commits whose time is remembered for the age of a batch; polls from before count as old.
    static let timedCommits = 4096
    /// The disk is not called full, nor has it room again, for less than this.
    static let roomBytes = 64 << 10
    /// Rounds of removing before one commit on a full disk.
    static let removalsWhenFull = 64
    /// Bytes of polls that are brought over from a damaged file, the newest first: a start must not take minutes.
    static let salvagedBytes = 256 << 20
    /// Up to this size the whole file is checked at every start; beyond, only when a fault was met while running.
    static let checkedBytes = 32 << 20
}
