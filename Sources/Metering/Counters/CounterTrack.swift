/// Follows one counter through its readings and says what was used. A value: readings in, in the order in which they were taken; steps out.
///
/// A reading counts once the next one does not contradict it, so that one wrong value costs nothing:
///
///     1 000 000   0   1 000 000        0 is left out; 0 was used
///     1 000 000   0   0   5            a reset; 5 was used since, and what was used across it is not known
///     1 000 000   0   0   1 000 010    a reset that was none: restored; 10 was used
///     1 000       9 000   1 001        9 000 is left out; 1 was used
///     999 990     20   25              with a modulus of 1 000 000: a rollover; 35 were used
///
/// So the newest reading is always held back; `finish` takes it when nothing will follow.
package struct CounterTrack: Sendable {
    private enum Held: Hashable, Sendable {
        /// Follows from the one before it.
        case plain(CounterMove)
        /// Does not.
        case odd
        /// Not from the one before it, but from the one before the last reset.
        case back
    }

    /// Where the counter stood before its last reset or rollover, for as long as it may come back there.
    private struct Lost: Hashable, Sendable {
        var reading: CounterReading
        /// Where the reset left it.
        var floor: ExactDecimal
        var booked = ExactDecimal.zero
    }

    private var range: CounterRange
    private var last: CounterReading?
    private var held: (reading: CounterReading, state: Held)?
    private var lost: Lost?
    /// The reading before one that `finish` took, and what was booked for it.
    private var assumed: (reading: CounterReading, booked: ExactDecimal)?
    /// Booked too much, as it turned out: the next advances pay for it.
    private var debt = ExactDecimal.zero
    /// The last reading of the meter before, and why another counts now.
    private var before: (reading: CounterReading?, kind: CounterStep.Kind)?

    package init(range: CounterRange) { self.range = range }

    /// The reading that waits for the one after it.
    package var waiting: CounterReading? { held?.reading }

    /// At most one step comes of a reading: it settles the fate of the one before.
    package mutating func take(_ reading: CounterReading) -> CounterStep? {
        guard let (current, state) = held else { return afterAssumed(reading) }
        guard let last else {
            // A device that just started may say 0 once before it says what it counted.
            if current.level == .zero, reading.level > .zero {
                hold(reading)
                return nil
            }
            return settle(current, .unchanged, then: reading, CounterMove(from: current, to: reading, range: range))
        }
        switch state {
        case .plain(let move): return afterPlain(last, current, move, reading)
        case .odd: return afterOdd(last, current, reading)
        case .back: return afterBack(last, current, reading)
        }
    }

    /// Another meter, or another reading of its registers, from the next reading on.
    ///
    /// - Parameters:
    ///   - holdsOld: true where the reading that waits was surely taken from the one before: there was a gap since.
    ///   - range: of the new one; nil where it is as before.
    package mutating func begin(_ kind: CounterStep.Kind, holdsOld: Bool, range: CounterRange? = nil) -> CounterStep? {
        let step = holdsOld ? finish() : nil
        // Nothing counted since the last change: that one's end is still the end.
        before = (last ?? before?.reading, kind)
        last = nil
        held = nil
        lost = nil
        assumed = nil
        debt = .zero
        self.range = range ?? self.range
        return step
    }

    /// Takes the reading that waits, if it follows from the one before. Should the next one contradict it after all, what was booked is
    /// taken from the advances that follow.
    package mutating func finish() -> CounterStep? {
        guard let (current, state) = held, case .plain(let move) = state else { return nil }
        let earlier = last
        let step = settle(current, move, then: nil, .unchanged)
        assumed = earlier.map { ($0, step.advance) }
        return step
    }

    // MARK: - Which of two readings is right

    private mutating func afterAssumed(_ reading: CounterReading) -> CounterStep? {
        defer { assumed = nil }
        guard let (earlier, booked) = assumed, let last, !CounterMove(from: last, to: reading, range: range).isPlain,
            CounterMove(from: earlier, to: reading, range: range).isPlain
        else {
            hold(reading)
            return nil
        }
        debt = debt.adding(booked) ?? debt
        self.last = earlier
        hold(reading)
        return CounterStep(.glitch, from: earlier, to: last)
    }

    private mutating func afterPlain(
        _ last: CounterReading, _ current: CounterReading, _ move: CounterMove, _ reading: CounterReading
    ) -> CounterStep? {
        let direct = CounterMove(from: last, to: reading, range: range)
        if case .rollover = move, direct.isPlain { return drop(current, for: reading, .plain(direct)) }
        if isBack(reading, after: current) { return settle(current, move, then: reading, nil) }
        let next = CounterMove(from: current, to: reading, range: range)
        if next.isPlain { return settle(current, move, then: reading, next) }
        if direct.isPlain { return drop(current, for: reading, .plain(direct)) }
        return settle(current, move, then: reading, next)
    }

    private mutating func afterOdd(_ last: CounterReading, _ current: CounterReading, _ reading: CounterReading) -> CounterStep? {
        let direct = CounterMove(from: last, to: reading, range: range)
        if direct.isPlain { return drop(current, for: reading, .plain(direct)) }
        let next = CounterMove(from: current, to: reading, range: range)
        guard next.isPlain else { return drop(current, for: reading, CounterTrack.state(direct)) }
        let isReset = current.level < last.level
        lost = isReset ? Lost(reading: last, floor: current.level) : nil
        self.last = current
        hold(reading, after: current, next)
        return CounterStep(isReset ? .reset : .jump, from: last, to: current, isAfterGap: current.followsGap)
    }

    private mutating func afterBack(_ last: CounterReading, _ current: CounterReading, _ reading: CounterReading) -> CounterStep? {
        let direct = CounterMove(from: last, to: reading, range: range)
        if direct.isPlain, !isBack(reading, after: last) { return drop(current, for: reading, .plain(direct)) }
        let next = CounterMove(from: current, to: reading, range: range)
        guard next.isPlain, let lost else {
            return drop(current, for: reading, isBack(reading, after: last) ? .back : CounterTrack.state(direct))
        }
        var current = current
        current.level = max(current.level, lost.reading.level)
        let advance = current.level.subtracting(lost.reading.level) ?? .zero
        // What was booked since the reset is part of it.
        debt = debt.adding(lost.booked) ?? debt
        self.lost = nil
        self.last = current
        hold(reading, after: current, next)
        return CounterStep(.restored, from: last, to: current, advance: paid(advance), isAfterGap: current.followsGap)
    }

    /// True for a reading that leaps over more than half of what a reset took away, to where the counter stood or would stand by now.
    private func isBack(_ reading: CounterReading, after current: CounterReading) -> Bool {
        guard let lost, current.level < lost.reading.level, let leap = reading.level.subtracting(current.level)?.approximate,
            let loss = lost.reading.level.subtracting(lost.floor)?.approximate
        else { return false }
        return leap > loss / 2 && CounterMove(from: lost.reading, to: reading, range: range).isPlain
    }

    // MARK: - What follows from it

    /// - Parameter move: from the reading before; nil for one that is back from before a reset.
    private mutating func settle(
        _ current: CounterReading, _ own: CounterMove, then reading: CounterReading?, _ move: CounterMove?
    ) -> CounterStep {
        let from = last ?? before?.reading
        let kind: CounterStep.Kind
        if last == nil {
            kind = before?.kind ?? .first
            before = nil
        } else if case .rollover = own {
            kind = .rollover
        } else {
            kind = own.rise > .zero ? .advance : .unchanged
        }
        let advance = last == nil ? .zero : paid(own.rise)
        if kind == .rollover, let last {
            lost = Lost(reading: last, floor: current.level, booked: advance)
        } else if let known = lost {
            // Grown past it, the counter can come back no more.
            lost = current.level >= known.reading.level ? nil : known
            lost?.booked = known.booked.adding(advance) ?? known.booked
        }
        last = current
        if let reading {
            if let move { hold(reading, after: current, move) } else { held = (reading, .back) }
        } else {
            held = nil
        }
        return CounterStep(kind, from: from, to: current, advance: advance, isAfterGap: current.followsGap)
    }

    private mutating func paid(_ rise: ExactDecimal) -> ExactDecimal {
        guard debt > .zero else { return rise }
        let part = min(debt, rise)
        debt = debt.subtracting(part) ?? .zero
        return rise.subtracting(part) ?? .zero
    }

    private mutating func drop(_ current: CounterReading, for reading: CounterReading, _ state: Held) -> CounterStep {
        var reading = reading
        reading.followsGap = reading.followsGap || current.followsGap
        if case .plain(let move) = state, let last { hold(reading, after: last, move) } else { held = (reading, state) }
        return CounterStep(.glitch, from: last, to: current)
    }

    private mutating func hold(_ reading: CounterReading) {
        guard let last else {
            held = (reading, .plain(.unchanged))
            return
        }
        hold(reading, after: last, CounterMove(from: last, to: reading, range: range))
    }

    private mutating func hold(_ reading: CounterReading, after earlier: CounterReading, _ move: CounterMove) {
        var reading = reading
        if case .jitter = move { reading.level = earlier.level }
        held = (reading, CounterTrack.state(move))
    }

    private static func state(_ move: CounterMove) -> Held {
        switch move {
        case .unchanged, .advance, .jitter, .rollover: .plain(move)
        case .jump, .fall: .odd
        }
    }
}
