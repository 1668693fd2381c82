import Host
import Metering

extension Store {
    /// Looks at the clocks; what it finds is written with the next commit.
    func watchClock() {
        // Wall between two uptimes: a pause of the process between the readings is no step.
        let before = time.uptime()
        let wall = time.wall()
        let after = time.uptime()
        guard (after - before).milliseconds < ClockWatch.stepBound / 5 else { return }
        let isSynchronized = time.clockState().quality == .synchronized
        for event in clockWatch.look(uptime: after, wall: wall, isSynchronized: isSynchronized) {
            guard clockEvents.count < StoreLimits.waitingClockEvents else { return }
            clockEvents.append(event)
            if event.kind == .step {
                logger.warning(
                    "the wall clock was moved",
                    metadata: ["clock.step_ms": "\(event.stepMilliseconds)", "clock.now": "\(event.wall.rfc3339)"])
            }
        }
    }

    /// Writes what the watch found; over the limit the oldest steps go.
    func writeClockEvents(_ events: [ClockEvent], _ connection: Connection) throws(StoreError) {
        for event in events {
            try connection.run(
                "INSERT INTO event (run, kind, uptime, wall, step) VALUES (?, ?, ?, ?, ?)", .integer(run), .text(event.kind.rawValue),
                .integer(event.uptime.nanoseconds), .integer(event.wall.milliseconds), .integer(event.stepMilliseconds))
        }
        guard !events.isEmpty else { return }
        corrections = nil
        try connection.run(
            """
            DELETE FROM event WHERE kind = 'clock_step'
            AND id NOT IN (SELECT id FROM event WHERE kind = 'clock_step' ORDER BY id DESC LIMIT \(StoreLimits.clockSteps))
            """)
    }

    /// What happened to the wall clock in the runs of which polls are kept, oldest first.
    package func recordedClockEvents() throws(StoreError) -> [ClockEvent] {
        let statement = try opened().statement("SELECT kind, uptime, wall, step FROM event ORDER BY id")
        defer { statement.reset() }
        var found: [ClockEvent] = []
        while try statement.step() {
            guard let kind = ClockEvent.Kind(rawValue: statement.text(0)) else { continue }
            found.append(
                ClockEvent(
                    kind: kind, uptime: Uptime(nanoseconds: statement.integer(1)), wall: Timestamp(milliseconds: statement.integer(2)),
                    stepMilliseconds: statement.integer(3)))
        }
        return found
    }

    /// For each run that began with a clock nobody had set: how to date its polls. Runs of one start of the machine share a clock, so a run
    /// is helped by a later one. A run is missing here when its clock was right from the start, or while no synchronised time is known; its polls have no date to be trusted yet.
    package func timeCorrections() throws(StoreError) -> [TimeCorrection] {
        let statement = try opened().statement(
            """
            SELECT run.first_seq, lead(run.first_seq) OVER (ORDER BY run.id) - 1, event.uptime, event.wall, run.opened_uptime
            FROM run LEFT JOIN event ON event.id = (
                SELECT min(event.id) FROM event JOIN run AS other ON other.id = event.run
                WHERE event.kind = 'clock_synchronized' AND (other.id = run.id OR (other.boot = run.boot AND run.boot <> '')))
            ORDER BY run.id
            """)
        defer { statement.reset() }
        var found: [TimeCorrection] = []
        while try statement.step() {
            guard let first = statement.optionalInteger(0), let uptime = statement.optionalInteger(2) else { continue }
            let last = statement.optionalInteger(1) ?? .max
            guard first <= last, uptime > statement.integer(4) else { continue }
            let synchronized = Uptime(nanoseconds: uptime)
            let wall = Timestamp(milliseconds: statement.integer(3))
            found.append(
                TimeCorrection(
                    seqs: first...last, synchronizedAt: synchronized, offsetMilliseconds: ClockWatch.offset(wall, synchronized)))
        }
        return found
    }
}

extension StoreLimits {
    /// Clock events that wait for a commit; a clock that is moved more often is told of only so often.
    static let waitingClockEvents = 64
    /// Rows of clock steps.
    static let clockSteps = 1000
}
