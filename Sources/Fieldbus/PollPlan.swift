import Metering

/// What the bus does next.
package enum PollAction: Hashable, Sendable {
    /// Visit a device for the classes that are due, all in one go.
    case read(device: Int, classes: Set<PointClass>)
    /// Read a device's counters, and nothing else, for the end of a quarter hour.
    case close(device: Int)
    /// Ask an offline device for one cheap block.
    case probe(device: Int)
    /// Every device is silent: let go of the port, so that the next read opens it again.
    case reopen
    case wait(until: Uptime)
}

/// Decides which device of a bus is visited when. A value: it takes the time and what happened, and says what to do.
///
/// Point classes are due at multiples of their period on the wall clock; the device whose deadline (slot + period, 5 s at most) is
/// earliest goes first. A slot that went by unserved keeps its early deadline, so nobody starves; but it is served once, and the slots
/// missed meanwhile are counted, never made up. Due times are kept as uptimes: a step of the wall clock shifts the next slots by less
/// than a period, and neither stops nor bursts polls.
///
/// Round the end of a quarter hour the counters go before everything else: `BoundaryPlan`.
///
/// A device goes offline after failing for 3 s and 2 visits. It is then probed with growing delay, and one answer brings it back.
package struct PollPlan: Sendable {
    static let offlineAfter = Duration.seconds(3)
    static let offlineAfterVisits = 2
    static let reopenInterval = Duration.seconds(30)
    /// How soon a class that got no words, in a visit that others got words in, is asked again.
    static let unreadRetry = Duration.seconds(60)
    /// The longest that a slot is put off for others. A slow class would lose a slot each time if it waited for its whole period.
    static let patience = Duration.seconds(5)
    private static let patienceNanoseconds = patience.nanoseconds

    package enum DeviceState: Hashable, Sendable {
        /// Not heard yet.
        case starting
        case online
        case offline
    }

    /// What a visit showed.
    package enum Outcome: Hashable, Sendable {
        /// The device said something, if only an exception.
        case answered
        case silent
        /// The port or connection is not there: asking costs no bus time.
        case unreachable
    }

    package enum Change: Hashable, Sendable { case cameOnline, wentOffline }

    private struct Slot {
        var pointClass: PointClass
        /// In nanoseconds; nil for `once`.
        var period: Int64?
        /// Nil for a `once` that is served.
        var due: Uptime?
        /// From when on it goes along with a visit for other classes, since it got no words at its own time.
        var retry: Uptime?
        var count = SlotCount()
    }

    private struct Device {
        var slots: [Slot]
        var state = DeviceState.starting
        var failingSince: Uptime?
        var failures = 0
        var probe = ProbeDelay()
        var nextProbe = Uptime(nanoseconds: 0)
    }

    private var devices: [Device]
    private var boundary: BoundaryPlan
    private var nextReopen: Uptime?

    /// Everything is due at once, then in step with the wall clock.
    /// - Parameters:
    ///   - periods: of each device; a period must be positive, that of `once` does not matter.
    ///   - closing: how long the closing read of each device should take; nil, or none, for no closing reads.
    package init(periods: [[PointClass: Duration]], closing: [Duration?] = [], start: Uptime) {
        boundary = BoundaryPlan(expected: closing)
        devices = periods.map { Device(slots: PollPlan.slots($0, at: start)) }
    }

    package func state(of device: Int) -> DeviceState { devices[device].state }
    /// What became of the slots of a device while it was not offline, in all of its classes.
    package func slots(of device: Int) -> SlotCount { devices[device].slots.reduce(SlotCount()) { $0 + $1.count } }
    /// The same by class.
    package func slotsByClass(of device: Int) -> [PointClass: SlotCount] {
        Dictionary(devices[device].slots.map { ($0.pointClass, $0.count) }) { first, _ in first }
    }

    /// - Parameter wallOffset: wall clock minus uptime, as it stands now.
    package mutating func next(at now: Uptime, wallOffset: Duration) -> PollAction {
        if let reopen = nextReopen, reopen <= now {
            nextReopen = now + PollPlan.reopenInterval
            return .reopen
        }
        let isOnline = { [devices] (device: Int) in devices[device].state == .online }
        if let device = boundary.next(at: now, wallOffset: wallOffset, isOnline: isOnline) { return .close(device: device) }
        var earliest: (device: Int, deadline: Uptime)?
        var wake = boundary.wake(at: now, wallOffset: wallOffset, isOnline: isOnline)
        for index in devices.indices {
            guard let (due, deadline) = nextVisit(of: devices[index]) else { continue }
            if due <= now {
                if earliest.map({ deadline < $0.deadline }) ?? true { earliest = (index, deadline) }
            } else {
                wake = wake.map { min($0, due) } ?? due
            }
        }
        guard let device = earliest?.device else { return .wait(until: wake ?? now + PollPlan.reopenInterval) }
        if devices[device].state == .offline {
            devices[device].nextProbe = now + devices[device].probe.next()
            return .probe(device: device)
        }
        return .read(device: device, classes: takeDueSlots(of: device, now, wallOffset))
    }

    /// Tells what came of the action that `next` gave.
    /// - Parameter unread: of the classes those that got no words but may get them: asked again soon, not a period later or never.
    package mutating func record(
        device index: Int, _ outcome: Outcome, classes: Set<PointClass> = [], unread: Set<PointClass> = [], at now: Uptime
    ) -> Change? {
        for slot in devices[index].slots.indices where unread.contains(devices[index].slots[slot].pointClass) {
            devices[index].slots[slot].retry = now + PollPlan.unreadRetry
        }
        boundary.record(device: index, answered: outcome == .answered, at: now)
        if outcome == .answered { return recordAnswer(index, classes, now) }
        devices[index].failures += 1
        let since = devices[index].failingSince ?? now
        devices[index].failingSince = since
        devices[index].probe.isCheap = outcome == .unreachable
        if devices[index].state == .offline {
            devices[index].nextProbe = max(devices[index].nextProbe, now + devices[index].probe.current)
            return nil
        }
        for slot in devices[index].slots.indices where devices[index].slots[slot].due == nil && classes.contains(.once) {
            devices[index].slots[slot].due = retryTime(of: devices[index], now)
        }
        guard devices[index].failures >= PollPlan.offlineAfterVisits, now - since >= PollPlan.offlineAfter else { return nil }
        devices[index].state = .offline
        devices[index].probe.restart()
        devices[index].nextProbe = now + devices[index].probe.current
        if isSilent { nextReopen = now }
        return .wentOffline
    }

    /// The device is read in full as soon as may be: with other periods, where its map is another one.
    package mutating func renew(device index: Int, periods: [PointClass: Duration]? = nil, closing: Duration? = nil, at now: Uptime) {
        guard let periods else {
            for slot in devices[index].slots.indices { devices[index].slots[slot].due = now }
            return
        }
        devices[index].slots = PollPlan.slots(periods, at: now)
        boundary.expect(closing, of: index)
    }

    // MARK: - Slots

    private static func slots(_ periods: [PointClass: Duration], at start: Uptime) -> [Slot] {
        PointClass.allCases.compactMap { pointClass in
            periods[pointClass].map { period in
                Slot(pointClass: pointClass, period: pointClass == .once ? nil : max(period, .milliseconds(1)).nanoseconds, due: start)
            }
        }
    }

    /// When the device is wanted next, and by when. `once` alone has the patience of a second.
    private func nextVisit(of device: Device) -> (due: Uptime, deadline: Uptime)? {
        if device.state == .offline { return (device.nextProbe, device.nextProbe + .seconds(1)) }
        var first: (due: Uptime, deadline: Uptime)?
        for slot in device.slots {
            guard let due = slot.due else { continue }
            let deadline = Uptime(nanoseconds: due.nanoseconds + min(slot.period ?? 1_000_000_000, PollPlan.patienceNanoseconds))
            first = first.map { (min($0.due, due), min($0.deadline, deadline)) } ?? (due, deadline)
        }
        // A retry alone, unanswered, would look like a silent device: it goes along with others, where there are any.
        return first ?? device.slots.compactMap(\.retry).min().map { ($0, $0 + .seconds(1)) }
    }

    private mutating func takeDueSlots(of index: Int, _ now: Uptime, _ wallOffset: Duration) -> Set<PointClass> {
        var classes: Set<PointClass> = []
        for slot in devices[index].slots.indices {
            if let retry = devices[index].slots[slot].retry, retry <= now {
                classes.insert(devices[index].slots[slot].pointClass)
                devices[index].slots[slot].retry = nil
            }
            guard let due = devices[index].slots[slot].due, due <= now else { continue }
            devices[index].slots[slot].retry = nil
            classes.insert(devices[index].slots[slot].pointClass)
            guard let period = devices[index].slots[slot].period else {
                devices[index].slots[slot].due = nil
                continue
            }
            let missed = (now.nanoseconds - due.nanoseconds) / period
            let served = due.nanoseconds + missed * period
            devices[index].slots[slot].count.serve(isLate: now.nanoseconds - served > period / 2, skipped: Int(missed))
            devices[index].slots[slot].due = PollPlan.slot(after: Uptime(nanoseconds: served), period: period, wallOffset: wallOffset)
        }
        return classes
    }

    /// The first multiple of the period on the wall clock that is more than half a period away.
    ///
    ///     period 1 s, served at 10.000 → 11.000;  at 10.300 → 11.000;  at 10.700 → 12.000
    private static func slot(after served: Uptime, period: Int64, wallOffset: Duration) -> Uptime {
        let offset = wallOffset.nanoseconds
        let wall = served.nanoseconds + offset + period / 2
        return Uptime(nanoseconds: (wall.flooredQuotient(by: period) + 1) * period - offset)
    }

    /// When a `once` that failed goes along with the next visit.
    private func retryTime(of device: Device, _ now: Uptime) -> Uptime {
        device.slots.compactMap { $0.period == nil ? nil : $0.due }.min() ?? now + .seconds(1)
    }

    // MARK: - Coming back

    private mutating func recordAnswer(_ index: Int, _ classes: Set<PointClass>, _ now: Uptime) -> Change? {
        let before = devices[index].state
        let wasSilent = isSilent
        devices[index].state = .online
        devices[index].failures = 0
        devices[index].failingSince = nil
        nextReopen = nil
        guard before != .online else { return nil }
        // A device that was away is read in full; one that just started was, in this very visit.
        if before == .offline {
            for slot in devices[index].slots.indices { devices[index].slots[slot].due = now }
        }
        if wasSilent {
            for other in devices.indices where devices[other].state == .offline {
                devices[other].probe.restart()
                devices[other].nextProbe = now
            }
        }
        return .cameOnline
    }

    /// True when every device that is ever asked is offline.
    package var isSilent: Bool {
        var asked = false
        for device in devices where !device.slots.isEmpty {
            if device.state != .offline { return false }
            asked = true
        }
        return asked
    }
}

/// What became of the slots of a point class: each was served, late perhaps, or skipped.
package struct SlotCount: Hashable, Sendable {
    package var served = 0
    /// Of those served: begun more than half a period after they were due.
    package var late = 0
    /// Went by unserved.
    package var skipped = 0

    package init(served: Int = 0, late: Int = 0, skipped: Int = 0) {
        self.served = served
        self.late = late
        self.skipped = skipped
    }

    fileprivate mutating func serve(isLate: Bool, skipped missed: Int) {
        served += 1
        late += isLate ? 1 : 0
        skipped += missed
    }

    static func + (a: SlotCount, b: SlotCount) -> SlotCount {
        SlotCount(served: a.served + b.served, late: a.late + b.late, skipped: a.skipped + b.skipped)
    }
}

/// The delay between probes: 0.5 s more each time up to 10 s, then doubled up to 5 min.
///
///     0.5  1.0  1.5 ... 9.5  10  20  40  80  160  300  300
///
/// While the port itself is missing a probe costs nobody bus time, and the delay stays at 10 s.
struct ProbeDelay: Hashable, Sendable {
    static let step = Duration.milliseconds(500)
    static let knee = Duration.seconds(10)
    static let ceiling = Duration.seconds(300)

    private(set) var current = ProbeDelay.step
    var isCheap = false {
        didSet { if isCheap { current = min(current, ProbeDelay.knee) } }
    }

    mutating func restart() { current = ProbeDelay.step }

    /// Goes one step further.
    mutating func next() -> Duration {
        let grown = current < ProbeDelay.knee ? current + ProbeDelay.step : min(current * 2, ProbeDelay.ceiling)
        current = isCheap ? min(grown, ProbeDelay.knee) : grown
        return current
    }
}
