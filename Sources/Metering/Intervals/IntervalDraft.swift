/// An interval that is being filled.
struct IntervalDraft: Sendable {
    struct Counter: Sendable {
        /// The reading that closes it, as far as is known.
        var close: CounterMark?
        var samples = 0
        /// Of readings without a value, and of those with one.
        var faults = Quality.good
        var quality = Quality.good
    }

    struct Gauge: Sendable {
        var summary = GaugeSummary()
        var faults = Quality.good
        var quality = Quality.good
    }

    let number: Int64
    let segment: Int
    var polls = 0
    var failedPolls = 0
    var clock: TimeQuality?
    var quality = Quality.good
    var events: [IntervalEvent] = []
    var eventsDropped = 0
    var counters: [Counter]
    var gauges: [Gauge]
    /// The clock passed over some of it.
    var isCut = false

    static let eventLimit = 64

    init(number: Int64, segment: Int, counters: Int, gauges: Int) {
        self.number = number
        self.segment = segment
        self.counters = Array(repeating: Counter(), count: counters)
        self.gauges = Array(repeating: Gauge(), count: gauges)
    }

    var start: Int64 { number * Interval.milliseconds }
    var end: Int64 { start + Interval.milliseconds }

    mutating func note(_ event: IntervalEvent) {
        if events.count < IntervalDraft.eventLimit { events.append(event) } else { eventsDropped += 1 }
    }

    mutating func note(_ quality: TimeQuality) {
        clock = clock.map { $0.isWorse(than: quality) ? $0 : quality } ?? quality
        if quality != .synchronized { self.quality.insert(.timeUnsynchronized) }
    }

    /// Why a point has no sample.
    func reason(_ faults: Quality, expected: Int?) -> Quality {
        if !faults.isEmpty { return faults }
        // Asked so seldom that none was due, or the clock passed over it.
        return isCut || (expected == 0 && polls > 0) ? .partial : .noCommunication
    }

    /// Takes a reading that counts for its closing: the last one before the end, or one after it that is nearer and near enough.
    mutating func offer(_ mark: CounterMark, counter: Int) {
        let time = mark.reading.time.milliseconds
        if time <= end {
            counters[counter].close = mark
        } else if time - end <= Interval.boundaryLimit {
            let before = counters[counter].close.map { (end - $0.reading.time.milliseconds).magnitude }
            if before.map({ $0 > (time - end).magnitude }) ?? true { counters[counter].close = mark }
        }
    }
}

/// A reading that counts, with all that was counted up to it.
struct CounterMark: Hashable, Sendable {
    var reading: CounterReading
    var total: ExactDecimal
}

extension TimeQuality {
    /// S, I, R, U: from what was compared to what nobody knows.
    fileprivate var rank: Int {
        switch self {
        case .synchronized: 0
        case .informative: 1
        case .relative: 2
        case .unknown: 3
        }
    }

    func isWorse(than other: TimeQuality) -> Bool { rank > other.rank }
}
