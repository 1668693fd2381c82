/// What the two clocks did from one poll of a device to the next.
struct PollClock: Sendable {
    struct Passage: Hashable, Sendable {
        /// The machine was started anew in between.
        var isRestart = false
        /// How far the wall clock was moved; nil where it was not, or nobody can tell.
        var stepMilliseconds: Int64?
        /// Since the last poll, by the clock that never steps; nil where that began anew.
        var sinceGood: Int64?
    }

    private var last: (time: Timestamp, uptime: Uptime, boot: Int)?
    private var lastGoodUptime: Uptime?

    /// A smaller move is steering, or the time between two readings of the clocks; a clock that is steered runs off by 0.05 % at most.
    private static let stepBound: Int64 = 500

    mutating func pass(to poll: Poll, boot: Int) -> Passage {
        var passage = Passage()
        if let last {
            passage.isRestart = boot != last.boot || poll.uptime < last.uptime
            if !passage.isRestart {
                let lived = (poll.uptime - last.uptime).milliseconds
                let step = poll.time.milliseconds - last.time.milliseconds - lived
                if step.magnitude > (PollClock.stepBound + lived / 1000).magnitude { passage.stepMilliseconds = step }
                passage.sinceGood = lastGoodUptime.map { (poll.uptime - $0).milliseconds }
            } else {
                lastGoodUptime = nil
            }
        }
        last = (poll.time, poll.uptime, boot)
        if !poll.failed { lastGoodUptime = poll.uptime }
        return passage
    }
}
