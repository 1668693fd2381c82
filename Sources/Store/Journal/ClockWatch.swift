import Host
import Metering

/// What happened to the wall clock, told by the clock that never steps.
package struct ClockEvent: Hashable, Sendable {
    package enum Kind: String, Hashable, Sendable, CaseIterable {
        /// The wall clock moved by `stepMilliseconds` against the uptime.
        case step = "clock_step"
        /// The first time in a run that the kernel called the clock synchronised.
        case synchronized = "clock_synchronized"
    }

    package var kind: Kind
    package var uptime: Uptime
    /// As it stood after the event.
    package var wall: Timestamp
    /// Forward is above 0.
    package var stepMilliseconds: Int64

    package init(kind: Kind, uptime: Uptime, wall: Timestamp, stepMilliseconds: Int64) {
        self.kind = kind
        self.uptime = uptime
        self.wall = wall
        self.stepMilliseconds = stepMilliseconds
    }
}

/// Compares the two clocks from time to time. A pure value.
///
///     step = (wall₂ − wall₁) − (uptime₂ − uptime₁)        1000 ms of wall in 5000 ms of uptime: a step of −4000 ms
///
/// A clock that is being steered runs off by 0.5 ms a second at most, far below the bound from one look to the next; what adds up over many
/// looks is no step.
struct ClockWatch: Hashable, Sendable {
    private var lastOffset: Int64?
    private var wasSynchronized = false

    /// A smaller move is steering, or the time between the two readings of the clocks.
    static let stepBound: Int64 = 500

    mutating func look(uptime: Uptime, wall: Timestamp, isSynchronized: Bool) -> [ClockEvent] {
        let offset = ClockWatch.offset(wall, uptime)
        let step = lastOffset.map { offset - $0 } ?? 0
        lastOffset = offset
        var events: [ClockEvent] = []
        if step.magnitude > ClockWatch.stepBound.magnitude {
            events.append(ClockEvent(kind: .step, uptime: uptime, wall: wall, stepMilliseconds: step))
        }
        if isSynchronized, !wasSynchronized {
            wasSynchronized = true
            events.append(ClockEvent(kind: .synchronized, uptime: uptime, wall: wall, stepMilliseconds: 0))
        }
        return events
    }

    /// Milliseconds from the start of the machine to 1970, so to say.
    static func offset(_ wall: Timestamp, _ uptime: Uptime) -> Int64 { wall.milliseconds - uptime.nanoseconds / 1_000_000 }
}

/// Gives polls that were taken before the clock was set the time they were taken at.
package struct TimeCorrection: Hashable, Sendable {
    /// The polls of one run of the daemon.
    package var seqs: ClosedRange<Int64>
    /// Polls before this are corrected: the clock was first known to be right then.
    package var synchronizedAt: Uptime
    /// Wall time in ms at uptime 0.
    package var offsetMilliseconds: Int64

    /// The same poll, its time counted back from the first synchronised one by the clock that never steps, its time quality `.informative`:
    /// nobody had compared the clock yet. A poll that needs no correction comes back as it is.
    package func corrected(_ stored: StoredPoll) -> StoredPoll {
        guard seqs.contains(stored.seq), stored.poll.clock != .synchronized, stored.poll.uptime < synchronizedAt else { return stored }
        var corrected = stored
        corrected.poll.time = Timestamp(milliseconds: stored.poll.uptime.nanoseconds / 1_000_000 + offsetMilliseconds)
        corrected.poll.clock = .informative
        return corrected
    }
}
