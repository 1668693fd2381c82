import Metering

/// A bus's schedule on a clock that only counts what visits should take: `PollPlan` itself decides, nothing is asked.
///
/// It begins shortly before midnight, when the slots of all classes coincide: what fits then fits always. The reads that close a quarter
/// hour are left out.
struct ScheduleRehearsal {
    /// A device as the schedule sees it.
    struct Device {
        var periods: [PointClass: Duration]
        /// How long a visit for these classes takes.
        var visit: @Sendable (Set<PointClass>) -> Duration
    }

    /// More visits than this, and the rehearsal ends before its time.
    static let visitLimit = 20_000
    /// From the last slots before midnight on: every class has slots in it, those of the slow ones at midnight.
    static let lead = Duration.seconds(5)
    static let length = Duration.seconds(65)

    /// What becomes of each device's slots.
    /// - Parameter warmUp: not counted: the first round, in which everything is due at once, and what it costs the next ones.
    static func run(_ devices: [Device], warmUp: Duration) -> [[PointClass: SlotCount]] {
        let lead = warmUp + lead
        var now = Uptime(nanoseconds: 0)
        let (begin, end) = (now + warmUp, now + lead + length)
        // Midnight comes `lead` after the start.
        let wallOffset = Duration.seconds(86_400) - lead
        var plan = PollPlan(periods: devices.map(\.periods), start: now)
        var before: [[PointClass: SlotCount]]?
        var visits = 0
        while now < end, visits < visitLimit {
            if before == nil, now >= begin { before = devices.indices.map { plan.slotsByClass(of: $0) } }
            switch plan.next(at: now, wallOffset: wallOffset) {
            case .wait(let until): now = max(until, now)
            case .read(let device, let classes):
                visits += 1
                now = now + devices[device].visit(classes)
                _ = plan.record(device: device, .answered, classes: classes, at: now)
            case .reopen, .close, .probe:
                // Everybody answers, and no closing reads were asked for.
                continue
            }
        }
        return devices.indices.map { device in
            plan.slotsByClass(of: device).merging(before?[device] ?? [:]) { end, start in end - start }
        }
    }
}

extension SlotCount {
    static func - (a: SlotCount, b: SlotCount) -> SlotCount {
        SlotCount(served: a.served - b.served, late: a.late - b.late, skipped: a.skipped - b.skipped)
    }
}
