/// A counter of a device on its way through the intervals.
struct IntervalCounter: Sendable {
    var quantity: Quantity
    var definition: PointDefinition
    var track: CounterTrack
    /// Counted since the first reading.
    var total = ExactDecimal.zero
    /// What closed the last interval; before that the first reading.
    var open: CounterMark?
    var period = PeriodEstimate()
    var lastTime: Timestamp?
    /// The gaps of the device that it has seen, to tell whether one came since its last reading.
    var gaps = 0
    /// Its own last reading had no value.
    var isBroken = false
    /// The profile has it no more.
    var isRetired = false

    init(quantity: Quantity, definition: PointDefinition) {
        self.quantity = quantity
        self.definition = definition
        track = CounterTrack(range: CounterRange(of: definition))
    }

    /// Takes a step that counts; the mark is where the counter stands after it.
    mutating func follow(_ step: CounterStep) -> CounterMark? {
        guard step.kind != .glitch else { return nil }
        total = total.adding(step.advance) ?? total
        let mark = CounterMark(reading: step.to, total: total)
        if open == nil { open = mark }
        return mark
    }

    /// The counter over a draft, and the opening of the next one.
    mutating func close(_ draft: IntervalDraft, _ own: IntervalDraft.Counter, isComplete: Bool, span: Int64) -> CounterInterval {
        let limit = Interval.boundaryLimit
        let opening = open.flatMap { $0.reading.time.milliseconds <= draft.end + limit || own.close != nil ? $0 : nil }
        // The reading that opens it is none of its own.
        let closing = own.close?.reading == opening?.reading ? nil : own.close
        var quality = own.quality.union(draft.quality)
        let expected = period.expected(in: span)
        if own.samples == 0 { quality.formUnion(draft.reason(own.faults, expected: expected)) }
        let isShort = expected.map { own.samples * 10 < $0 * 9 } ?? false
        if !isComplete || draft.isCut || isShort || (own.samples > 0 && closing == nil) { quality.insert(.partial) }
        let opened = opening.map { $0.boundary(at: draft.start) }
        var closed = (closing ?? opening).map { $0.boundary(at: draft.end) }
        if closing == nil { closed?.way = .carried }
        if opened?.way == .late || (isComplete && closed?.way == .late) { quality.insert(.lateRead) }
        let advance = opening.flatMap { opening in closing.flatMap { $0.total.subtracting(opening.total) } }
        if let closing { open = closing }
        return CounterInterval(
            quantity: quantity, open: opened, close: closed, advance: advance, samples: own.samples, expected: expected, quality: quality)
    }
}

/// A gauge of a device on its way through the intervals.
struct IntervalGauge: Sendable {
    var quantity: Quantity
    var period = PeriodEstimate()
    /// The value that stands until the next one.
    var standing: (value: ExactDecimal, time: Timestamp)?
    var lastTime: Timestamp?
    var isRetired = false

    init(quantity: Quantity) { self.quantity = quantity }

    func close(_ draft: IntervalDraft, _ own: IntervalDraft.Gauge, isComplete: Bool, span: Int64) -> GaugeInterval {
        var quality = own.quality.union(draft.quality)
        let samples = own.summary.samples
        let expected = period.expected(in: span)
        if samples == 0 { quality.formUnion(draft.reason(own.faults, expected: expected)) }
        if !isComplete || draft.isCut || expected.map({ samples * 10 < $0 * 9 }) ?? false { quality.insert(.partial) }
        return GaugeInterval(
            quantity: quantity, minimum: own.summary.minimum, maximum: own.summary.maximum, mean: own.summary.mean, samples: samples,
            expected: expected, quality: quality)
    }
}

extension CounterMark {
    fileprivate func boundary(at boundary: Int64) -> BoundaryReading {
        let distance = (reading.time.milliseconds - boundary).magnitude
        return BoundaryReading(
            value: reading.value, time: reading.time, way: distance <= Interval.boundaryLimit.magnitude ? .read : .late)
    }
}
