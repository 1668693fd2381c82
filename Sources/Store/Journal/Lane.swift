/// One stretch of the journal that an output is handed in order: everything up to `cursor` is settled, nothing past `horizon` is offered.
///
/// The ranges of a lane are greedy: from the cursor up to `records` polls, but never past the horizon.
struct Lane: Hashable, Sendable {
    private(set) var cursor: Int64
    /// The end of the range that is out; equal to `cursor` when none is.
    private(set) var pendingEnd: Int64
    private(set) var horizon: Int64
    /// The chain of the run before has not been walked to its end: till then the horizon stays.
    private(set) var isRecovering: Bool

    init(cursor: Int64, pendingEnd: Int64, horizon: Int64) {
        self.cursor = cursor
        self.pendingEnd = max(pendingEnd, cursor)
        self.horizon = max(horizon, self.pendingEnd)
        isRecovering = self.horizon > cursor
    }

    /// Polls that may be handed on now.
    var available: Int64 { horizon - cursor }

    /// The range that is out and not settled.
    var pending: ClosedRange<Int64>? { pendingEnd > cursor ? cursor + 1...pendingEnd : nil }

    /// Where the next range ends; nil when nothing is available.
    func nextEnd(records: Int) -> Int64? { pending?.upperBound ?? (available > 0 ? end(records: records) : nil) }

    /// The next range: the one that is out, or a new one, which then is out. Nil when nothing is available.
    mutating func next(records: Int) -> ClosedRange<Int64>? {
        guard let end = nextEnd(records: records) else { return nil }
        pendingEnd = end
        return cursor + 1...end
    }

    /// Steps over ranges of which nothing is kept any more. The ranges behind are those that would have followed had it been there.
    ///
    /// - Parameter firstKept: the lowest seq still in the journal.
    mutating func skip(to firstKept: Int64, records: Int) {
        if pendingEnd > cursor, pendingEnd < firstKept { move(to: pendingEnd) }
        if pendingEnd == cursor, firstKept > cursor + 1 {
            let step = Int64(max(1, records))
            move(to: min(cursor + (firstKept - 1 - cursor) / step * step, horizon))
            // The last range before the horizon may be a short one.
            if cursor < horizon, end(records: records) < firstKept { move(to: end(records: records)) }
        }
    }

    mutating func move(to seq: Int64) {
        cursor = seq
        pendingEnd = seq
        if cursor >= horizon { isRecovering = false }
    }

    /// Another way than the chain: what is out is no longer.
    mutating func restart(at seq: Int64, horizon: Int64) {
        cursor = seq
        pendingEnd = seq
        self.horizon = max(horizon, seq)
        isRecovering = false
    }

    mutating func open(to horizon: Int64) { self.horizon = max(self.horizon, horizon) }

    private func end(records: Int) -> Int64 { min(cursor + Int64(max(1, records)), horizon) }
}

extension Lane {
    /// `cursor-pendingEnd-horizon`, several with a comma between: the column `output.lanes`.
    static func text(of lanes: some Sequence<Lane>) -> String {
        lanes.map { "\($0.cursor)-\($0.pendingEnd)-\($0.horizon)" }.joined(separator: ",")
    }

    /// The lanes behind the first, in order; none when the text is not one of ours, which only makes polls come again.
    ///
    /// - Parameter after: the horizon of the lane before them.
    static func read(_ text: String, after: Int64) -> [Lane] {
        var last = after
        var lanes: [Lane] = []
        for part in text.split(separator: ",", omittingEmptySubsequences: false) where !text.isEmpty {
            let numbers = part.split(separator: "-", omittingEmptySubsequences: false).map { Int64($0) }
            guard numbers.count == 3, let cursor = numbers[0], let pendingEnd = numbers[1], let horizon = numbers[2], cursor >= last,
                pendingEnd >= cursor, horizon >= pendingEnd
            else { return [] }
            lanes.append(Lane(cursor: cursor, pendingEnd: pendingEnd, horizon: horizon))
            last = horizon
        }
        return lanes
    }
}
