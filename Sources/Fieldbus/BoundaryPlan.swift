import Metering

/// Decides whose counters are read for the end of a quarter hour of the wall clock, and when. A value, as `PollPlan` is, which asks it.
///
/// The sweep lies round the boundary: it begins half its expected length before, so that the first and the last device of a slow line
/// are equally far from it.
///
///     30 devices of 82.5 ms: the first is asked 1.24 s before the boundary, the last has answered 1.24 s after it
///
/// Who does not answer is asked once more, after all others. Devices that are offline, or not heard yet, have no turn. A boundary that the
/// clock jumped over has no sweep: what is read later says nothing of it.
package struct BoundaryPlan: Sendable {
    package static let period = Duration.seconds(900)
    /// However long the sweep, it begins no earlier than this before the boundary.
    static let leadLimit = Duration.seconds(2)
    /// A turn that did not come by then is given up.
    static let lateLimit = Duration.seconds(10)

    private struct Turn {
        var device: Int
        var isSecond = false
    }

    private static let periodNanoseconds = period.nanoseconds
    private static let leadLimitNanoseconds = leadLimit.nanoseconds
    private static let lateLimitNanoseconds = lateLimit.nanoseconds

    /// How long the visit to each device takes, in nanoseconds: it is looked through at each turn. Nil for one without counters.
    private var expected: [Int64?]
    /// The quarter hour, counted from 1970, whose end is being read or was just read.
    private var swept: Int64?
    private var turns: [Turn] = []
    private var current: (turn: Turn, start: Uptime)?

    /// - Parameter expected: how long the visit to each device should take, until it is known; nil for one that is left out.
    package init(expected: [Duration?]) { self.expected = expected.map { $0?.nanoseconds } }

    /// The device to be asked now, if any.
    mutating func next(at now: Uptime, wallOffset: Duration, isOnline: (Int) -> Bool) -> Int? {
        let wall = now.nanoseconds + wallOffset.nanoseconds
        if let swept, !BoundaryPlan.isNear(swept, wall, lead: BoundaryPlan.leadLimitNanoseconds) {
            self.swept = nil
            turns = []
        }
        if swept == nil {
            let lead = lead(isOnline)
            let number = (wall + lead).flooredQuotient(by: BoundaryPlan.periodNanoseconds)
            guard BoundaryPlan.isNear(number, wall, lead: lead) else { return nil }
            swept = number
            turns = expected.indices.filter { expected[$0] != nil && isOnline($0) }.map { Turn(device: $0) }
        }
        while !turns.isEmpty {
            let turn = turns.removeFirst()
            guard isOnline(turn.device) else { continue }
            current = (turn, now)
            return turn.device
        }
        return nil
    }

    /// When the next sweep begins; nil when there is nobody to ask.
    func wake(at now: Uptime, wallOffset: Duration, isOnline: (Int) -> Bool) -> Uptime? {
        guard expected.contains(where: { $0 != nil }) else { return nil }
        let lead = lead(isOnline)
        let offset = wallOffset.nanoseconds
        let number = (now.nanoseconds + offset + lead).flooredQuotient(by: BoundaryPlan.periodNanoseconds) + 1
        return Uptime(nanoseconds: number * BoundaryPlan.periodNanoseconds - lead - offset)
    }

    /// Tells what came of a visit; one that is no turn of a sweep changes nothing.
    mutating func record(device: Int, answered: Bool, at now: Uptime) {
        guard let (turn, start) = current, turn.device == device else { return }
        current = nil
        if !answered, !turn.isSecond { turns.append(Turn(device: device, isSecond: true)) }
        guard answered, let before = expected[device] else { return }
        expected[device] = (before + now.nanoseconds - start.nanoseconds) / 2
    }

    /// The device has other counters now, or none.
    mutating func expect(_ duration: Duration?, of device: Int) {
        if expected.indices.contains(device) { expected[device] = duration?.nanoseconds }
    }

    private func lead(_ isOnline: (Int) -> Bool) -> Int64 {
        let sweep = expected.indices.reduce(0) { $0 + (isOnline($1) ? expected[$1] ?? 0 : 0) }
        return min(sweep / 2, BoundaryPlan.leadLimitNanoseconds)
    }

    private static func isNear(_ number: Int64, _ wall: Int64, lead: Int64) -> Bool {
        let age = wall - number * periodNanoseconds
        return age >= -lead && age < lateLimitNanoseconds
    }
}
