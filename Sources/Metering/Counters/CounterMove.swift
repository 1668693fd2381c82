/// What one value of a counter is beside an earlier one. It does not say which of the two is right: `CounterTrack` does.
enum CounterMove: Hashable, Sendable {
    case unchanged
    /// Above 0, and possible in the time.
    case advance(ExactDecimal)
    /// Lower, by no more than the last digit: some inverters do that.
    case jitter
    /// Through the end of the register; what came meanwhile.
    case rollover(ExactDecimal)
    /// Higher than the time allows.
    case jump
    /// Lower, and no rollover.
    case fall

    /// The register was so close to its end, and is so close to its beginning: 98 % and 10 % of the modulus.
    private static let lastShare = ExactDecimal("0.98")
    private static let firstShare = ExactDecimal("0.1")

    ///     999 990 → 20, modulus 1 000 000: a rollover of 30        500 000 → 20: a fall        100 → 99, last digit 1: jitter
    init(from: CounterReading, to: CounterReading, range: CounterRange) {
        guard let difference = to.level.subtracting(from.level) else {
            self = to.level > from.level ? .jump : .fall
            return
        }
        if difference == .zero {
            self = .unchanged
        } else if difference > .zero {
            self = range.allows(difference, from: from.level, in: to.elapsed(since: from)) ? .advance(difference) : .jump
        } else if let digit = range.lastDigit, let fall = difference.negated, fall <= digit {
            self = .jitter
        } else if let rise = CounterMove.rollover(from, to, difference, range) {
            self = .rollover(rise)
        } else {
            self = .fall
        }
    }

    private static func rollover(
        _ from: CounterReading, _ to: CounterReading, _ difference: ExactDecimal, _ range: CounterRange
    ) -> ExactDecimal? {
        guard let modulus = range.modulus, range.maximumPerHour != nil, from.level < modulus, to.level >= .zero,
            let last = lastShare.flatMap(modulus.multiplied), from.level >= last,
            let first = firstShare.flatMap(modulus.multiplied), to.level <= first,
            let rise = difference.adding(modulus), range.allows(rise, from: from.level, in: to.elapsed(since: from))
        else { return nil }
        return rise
    }

    /// True where the counter went on from one to the other.
    var isPlain: Bool {
        switch self {
        case .unchanged, .advance, .jitter: true
        case .rollover, .jump, .fall: false
        }
    }

    var rise: ExactDecimal {
        switch self {
        case .advance(let rise), .rollover(let rise): rise
        case .unchanged, .jitter, .jump, .fall: .zero
        }
    }
}
