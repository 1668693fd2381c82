/// One device over one quarter hour of the wall clock: what its counters stood at when it began and ended, what its gauges were between,
/// and everything that happened. Intervals of a device follow each other without a hole; one in which nothing was read says so.
package struct Interval: Hashable, Sendable {
    package static let milliseconds: Int64 = 900_000
    /// A counter that was read no further from the boundary stands for it.
    package static let boundaryLimit: Int64 = 10_000

    package var device: String
    /// A multiple of 15 minutes since 1970; so is the end.
    package var start: Timestamp
    /// 0; above that where the clock was set back over a quarter hour that was told already.
    package var segment: Int
    /// False while more may come.
    package var isComplete: Bool
    /// As the device said it last; nil where its profile has no serial number, or it was not read yet.
    package var serial: String?
    /// The worst that any poll had; nil without a poll.
    package var clock: TimeQuality?
    /// Polls with an answer, and without.
    package var polls: Int
    package var failedPolls: Int
    /// All that holds for one of its points, and for the device.
    package var quality: Quality
    package var counters: [CounterInterval]
    package var gauges: [GaugeInterval]
    package var events: [IntervalEvent]
    /// Events over the limit of one interval.
    package var eventsDropped: Int

    package var end: Timestamp { Timestamp(milliseconds: start.milliseconds + Interval.milliseconds) }
    /// Quarter hours since 1970.
    package static func number(of time: Timestamp) -> Int64 { time.milliseconds.flooredQuotient(by: milliseconds) }
}

/// A counter over an interval.
package struct CounterInterval: Hashable, Sendable {
    package var quantity: Quantity
    /// Nil while nothing was read yet. The opening of an interval is the closing of the one before.
    package var open: BoundaryReading?
    package var close: BoundaryReading?
    /// What was counted from `open` to `close`; nil where nobody knows, since nothing was read.
    package var advance: ExactDecimal?
    /// Readings with a value, and how many there should have been; nil while the period is not known.
    package var samples: Int
    package var expected: Int?
    package var quality: Quality
}

/// What a counter stood at for the boundary of an interval, as it was read: nothing is interpolated.
package struct BoundaryReading: Hashable, Sendable {
    package enum Way: String, Hashable, Sendable, CaseIterable {
        /// Read within 10 s of the boundary.
        case read
        /// The last reading before it, further away.
        case late
        /// No reading of this interval: the one that closed the interval before.
        case carried
    }

    package var value: ExactDecimal
    package var time: Timestamp
    package var way: Way

    package init(value: ExactDecimal, time: Timestamp, way: Way) {
        self.value = value
        self.time = time
        self.way = way
    }
}

/// A gauge over an interval.
package struct GaugeInterval: Hashable, Sendable {
    package var quantity: Quantity
    /// Nil without a sample.
    package var minimum: ExactDecimal?
    package var maximum: ExactDecimal?
    /// Each value counts for as long as it stood, until the next one.
    package var mean: ExactDecimal?
    package var samples: Int
    package var expected: Int?
    package var quality: Quality
}

/// Something that happened within an interval and that its numbers alone do not tell.
package struct IntervalEvent: Hashable, Sendable {
    package enum Kind: String, Hashable, Sendable, CaseIterable {
        case rollover
        case counterReset = "counter_reset"
        case jumpForward = "jump_forward"
        case counterRestored = "counter_restored"
        case glitch
        /// The serial number is another; without a quantity. With one: the counter's last value of the old and first of the new meter.
        case deviceExchanged = "device_exchanged"
        /// The profile or the settings of the device are others.
        case profileChanged = "profile_changed"
        /// Nothing was read from `since` to `time`.
        case gap
        case clockStep = "clock_step"
    }

    package var kind: Kind
    package var time: Timestamp
    package var quantity: String?
    package var before: Value?
    package var after: Value?
    package var since: Timestamp?
    /// Forward is above 0.
    package var stepMilliseconds: Int64?

    package init(
        _ kind: Kind, time: Timestamp, quantity: String? = nil, before: Value? = nil, after: Value? = nil, since: Timestamp? = nil,
        stepMilliseconds: Int64? = nil
    ) {
        self.kind = kind
        self.time = time
        self.quantity = quantity
        self.before = before
        self.after = after
        self.since = since
        self.stepMilliseconds = stepMilliseconds
    }

    /// Nil for a step that needs no telling.
    init?(_ step: CounterStep, quantity: String) {
        let kind: Kind
        switch step.kind {
        case .first, .unchanged, .advance: return nil
        case .rollover: kind = .rollover
        case .reset: kind = .counterReset
        case .jump: kind = .jumpForward
        case .restored: kind = .counterRestored
        case .exchange: kind = .deviceExchanged
        case .redefined: kind = .profileChanged
        case .glitch: kind = .glitch
        }
        self.init(
            kind, time: step.to.time, quantity: quantity, before: step.from.map { .number($0.value) }, after: .number(step.to.value),
            since: step.from?.time)
    }
}
