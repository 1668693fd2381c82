/// Where one output stands, and which range it is handed next. A pure value: the store keeps it, writes it with every commit, and reads
/// it back after a crash.
///
/// A batch that was sent and not settled must come again with the same range, or its receiver cannot tell it from a new one. So the
/// ranges of an output follow from what the last commit wrote, and from nothing else:
///
/// - A range is greedy: from the cursor up to `records` polls, but never past `horizon`, the last seq when the last commit was made.
/// - `horizon` moves only inside a commit. Between two commits the ranges are one chain, which starts at (cursor, pendingEnd) as
///   written and ends at `horizon` as written. Whatever was sent since the commit lies on that chain.
/// - After a start the chain of the run before is walked to its end before `horizon` moves again (`isRecovering`).
struct Outbox: Hashable, Sendable {
    let id: Int64
    let name: String
    /// Everything up to here is accepted or rejected.
    private(set) var cursor: Int64
    /// The end of the range that is out; equal to `cursor` when none is.
    private(set) var pendingEnd: Int64
    private(set) var horizon: Int64
    private(set) var isRecovering: Bool
    private(set) var accepted: Int
    private(set) var rejected: Int
    var deadLetters: Int
    var deadLettersDropped: Int
    /// Someone paused it.
    var isPaused: Bool
    /// Dead letters that are to be handed on again.
    var replays: Int

    init(
        id: Int64, name: String, cursor: Int64, pendingEnd: Int64, horizon: Int64, accepted: Int = 0, rejected: Int = 0,
        deadLetters: Int = 0, deadLettersDropped: Int = 0, isPaused: Bool = false, replays: Int = 0
    ) {
        self.id = id
        self.name = name
        self.cursor = cursor
        self.pendingEnd = max(pendingEnd, cursor)
        self.horizon = max(horizon, cursor)
        self.isRecovering = horizon > cursor
        self.accepted = accepted
        self.rejected = rejected
        self.deadLetters = deadLetters
        self.deadLettersDropped = deadLettersDropped
        self.isPaused = isPaused
        self.replays = replays
    }

    /// Polls that may be handed on now.
    var available: Int64 { horizon - cursor }

    /// The range that is out and not settled.
    var pending: ClosedRange<Int64>? { pendingEnd > cursor ? cursor + 1...pendingEnd : nil }

    /// The next range: the one that is out, or a new one, which then is out. Nil when nothing is available.
    mutating func next(records: Int) -> ClosedRange<Int64>? {
        if let pending { return pending }
        guard available > 0 else { return nil }
        pendingEnd = end(records: records)
        return cursor + 1...pendingEnd
    }

    /// Steps over ranges of which nothing is kept any more. The ranges behind are those that would have followed had it been there.
    ///
    /// - Parameter firstKept: the lowest seq still in the journal.
    /// - Returns: whether the cursor moved.
    mutating func skip(to firstKept: Int64, records: Int) -> Bool {
        let before = cursor
        if pendingEnd > cursor, pendingEnd < firstKept { move(to: pendingEnd) }
        if pendingEnd == cursor, firstKept > cursor + 1 {
            let step = Int64(max(1, records))
            move(to: min(cursor + (firstKept - 1 - cursor) / step * step, horizon))
            // The last range before the horizon may be a short one.
            if cursor < horizon, end(records: records) < firstKept { move(to: end(records: records)) }
        }
        return cursor != before
    }

    /// - Parameter through: in `pending`.
    mutating func settle(through: Int64, accepted: Int, rejected: Int) {
        self.accepted += accepted
        self.rejected += rejected
        move(to: through)
    }

    /// Hands on again what lies behind `seq`. What is out is no longer.
    mutating func rewind(to seq: Int64) {
        cursor = min(cursor, seq)
        pendingEnd = cursor
        isRecovering = false
    }

    /// A dead letter was taken after all.
    mutating func replayed(accepted: Int) {
        self.accepted += accepted
        rejected -= min(rejected, accepted)
    }

    /// The horizon in force once a commit ends at `lastSeq`.
    func horizon(after lastSeq: Int64) -> Int64 { isRecovering ? horizon : max(horizon, lastSeq) }

    mutating func committed(horizon: Int64) { self.horizon = horizon }

    private func end(records: Int) -> Int64 { min(cursor + Int64(max(1, records)), horizon) }

    private mutating func move(to seq: Int64) {
        cursor = seq
        pendingEnd = seq
        if cursor >= horizon { isRecovering = false }
    }
}
