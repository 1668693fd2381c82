/// Where one output stands, and which ranges it may be handed next. A pure value: the store keeps it, writes it with every commit, and
/// reads it back after a crash.
///
/// A batch that was sent and not settled must come again with the same range, or its receiver cannot tell it from a new one. So the
/// ranges of an output follow from what the last commit wrote, and from nothing else:
///
/// - The ranges of a `Lane` are greedy, and never go past its horizon.
/// - Only the last lane's horizon moves, and only inside a commit: it is the last seq when the last commit was made. Between two commits
///   the ranges of a lane are one chain, which starts at (cursor, pendingEnd) as written and ends at `horizon` as written. Whatever was
///   sent since the commit lies on that chain.
/// - After a start the chain of the run before is walked to its end before the horizon moves again (`isRecovering`).
///
/// **Lanes.** Mostly there is one. When it is late, a commit may *fork* it: its horizon stays where it is for good, and a new lane begins
/// there, whose polls need not wait for those before. A fork changes no chain: the old one ended at that horizon anyway. A lane that has
/// come to its end is no more; then everything up to the next one's cursor is settled.
///
///     settled │ cursor ... horizon │ settled │ cursor ... horizon │ ...
///               lane 0, the oldest              lane 1, the newest: its horizon moves
struct Outbox: Hashable, Sendable {
    let id: Int64
    let name: String
    /// In order of seq, one or more. What lies between two is settled.
    private(set) var lanes: [Lane]
    private(set) var accepted: Int
    private(set) var rejected: Int
    /// Polls of which the output's filter left nothing.
    private(set) var filtered: Int
    var deadLetters: Int
    var deadLettersDropped: Int
    /// Someone paused it.
    var isPaused: Bool
    /// Dead letters that are to be handed on again.
    var replays: Int

    /// - Parameter lanes: those behind the first; each begins where the one before it ends, or later.
    init(
        id: Int64, name: String, cursor: Int64, pendingEnd: Int64, horizon: Int64, lanes: [Lane] = [], accepted: Int = 0,
        rejected: Int = 0, filtered: Int = 0, deadLetters: Int = 0, deadLettersDropped: Int = 0, isPaused: Bool = false, replays: Int = 0
    ) {
        self.id = id
        self.name = name
        self.lanes = [Lane(cursor: cursor, pendingEnd: pendingEnd, horizon: horizon)] + lanes
        self.accepted = accepted
        self.rejected = rejected
        self.filtered = filtered
        self.deadLetters = deadLetters
        self.deadLettersDropped = deadLettersDropped
        self.isPaused = isPaused
        self.replays = replays
        dropFinished()
    }

    /// Lanes at most; then the newest is not forked any more, and its polls come in order.
    static let laneLimit = 16

    var first: Lane { lanes[0] }
    var last: Lane { lanes[lanes.count - 1] }

    /// Everything up to here is accepted, rejected or filtered.
    var cursor: Int64 { first.cursor }
    /// Where the newest lane stands; `cursor` when there is one.
    var liveCursor: Int64 { last.cursor }
    /// The output is handed nothing past it.
    var horizon: Int64 { last.horizon }

    /// Polls that are not settled, from `firstKept` to `lastSeq`; and those of them that are not of the newest lane.
    func backlog(firstKept: Int64, lastSeq: Int64) -> (all: Int64, historical: Int64) {
        let historical = lanes.dropLast().reduce(0) { $0 + max(0, $1.horizon - max($1.cursor, firstKept - 1)) }
        return (historical + max(0, lastSeq - max(last.cursor, firstKept - 1)), historical)
    }

    /// Whether the output has had none of these polls.
    func owesAll(_ seqs: ClosedRange<Int64>) -> Bool {
        lanes.indices.contains { index in
            lanes[index].cursor < seqs.lowerBound && (seqs.upperBound <= lanes[index].horizon || index == lanes.count - 1)
        }
    }

    /// Whether the output has had this poll.
    func hasSettled(_ seq: Int64) -> Bool {
        guard let index = lanes.lastIndex(where: { $0.cursor < seq }) else { return true }
        return index < lanes.count - 1 && seq > lanes[index].horizon
    }

    /// The next range of a lane, which then is out. Nil when nothing is available.
    mutating func next(records: Int, lane: Int = 0) -> ClosedRange<Int64>? { lanes[lane].next(records: records) }

    /// Steps over ranges of which nothing is kept any more.
    ///
    /// - Returns: whether something moved.
    mutating func skip(to firstKept: Int64, records: Int) -> Bool {
        guard firstKept > cursor + 1 else { return false }
        let before = lanes
        for index in lanes.indices { lanes[index].skip(to: firstKept, records: records) }
        dropFinished()
        return lanes != before
    }

    /// The lane of which a range with this seq is out.
    func laneOut(at seq: Int64) -> Int? { lanes.firstIndex { $0.pending?.contains(seq) == true } }

    /// - Parameter through: in the range that is out of some lane; else nothing happens.
    mutating func settle(through: Int64, accepted: Int, rejected: Int, filtered: Int = 0) {
        guard let lane = laneOut(at: through) else { return }
        self.accepted += accepted
        self.rejected += rejected
        self.filtered += filtered
        lanes[lane].move(to: through)
        dropFinished()
    }

    /// Hands on again what lies behind `seq`, and what was not handed on before it. What is out behind `seq` is no longer.
    mutating func rewind(to seq: Int64) {
        let horizon = last.horizon
        let index = lanes.firstIndex { $0.horizon > seq } ?? lanes.count - 1
        let start = min(lanes[index].cursor, seq)
        lanes.removeSubrange((index + 1)...)
        lanes[index].restart(at: start, horizon: horizon)
        dropFinished()
    }

    /// A dead letter was taken after all.
    mutating func replayed(accepted: Int) {
        self.accepted += accepted
        rejected -= min(rejected, accepted)
    }

    /// What a commit that ends at `lastSeq` makes of it.
    ///
    /// - Parameter forking: the newest lane is late, and what comes is not to wait for it.
    /// - Returns: whether it was forked.
    mutating func commit(lastSeq: Int64, forking: Bool) -> Bool {
        let forks = forking && last.available > 0 && lastSeq > horizon && lanes.count < Outbox.laneLimit
        adopt(horizon: forks || !last.isRecovering ? lastSeq : horizon, forked: forks)
        return forks
    }

    /// Takes over what a commit wrote of the horizons; the cursors may have moved since.
    mutating func adopt(horizon: Int64, forked: Bool) {
        if forked { lanes.append(Lane(cursor: self.horizon, pendingEnd: self.horizon, horizon: self.horizon)) }
        lanes[lanes.count - 1].open(to: horizon)
        dropFinished()
    }

    private mutating func dropFinished() {
        guard lanes.count > 1 else { return }
        lanes = lanes.dropLast().filter { $0.available > 0 } + [last]
    }
}
