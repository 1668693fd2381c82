/// What a counter can do: where it begins again at 0, what its last digit is worth, how fast it can count.
package struct CounterRange: Hashable, Sendable {
    /// The value at which it is back at 0; nil where that is not known, and then no fall is a rollover.
    package var modulus: ExactDecimal?
    /// A fall of no more than this is jitter; nil for counters that are floats or put together from several registers.
    package var lastDigit: ExactDecimal?
    /// A rise that is faster is none; nil where any is possible, and then no fall is a rollover.
    package var maximumPerHour: ExactDecimal?

    package init(modulus: ExactDecimal? = nil, lastDigit: ExactDecimal? = nil, maximumPerHour: ExactDecimal? = nil) {
        self.modulus = modulus
        self.lastDigit = lastDigit
        self.maximumPerHour = maximumPerHour
    }

    /// What the profile says, else what the registers say: 2^32 counts of a uint32.
    package init(of point: PointDefinition) {
        self.init(maximumPerHour: CounterRange.maximum(of: point.quantity))
        let isPlain = point.scaleRegister == nil && point.terms.isEmpty && point.ratios.isEmpty && point.map.isEmpty
        if isPlain, point.encoding.isInteger { lastDigit = point.factor < .zero ? point.factor.negated : point.factor }
        if let stated = point.rollover {
            modulus = stated
        } else if isPlain, point.mask == nil, point.signFlag == nil, !point.invert, point.offset == .zero, point.factor > .zero {
            modulus = point.encoding.modulus?.multiplied(by: point.factor)
        }
    }

    /// Meters report late and in lumps: so much longer than it was may a rise have taken.
    static let lump = Duration.seconds(10)
    /// How long a time may have been that no clock measured, from one start of the machine to the next.
    static let unmeasured = Duration.seconds(30 * 86_400)

    /// Whether so much can have come in this time. A bound, not a value: it is compared as a float.
    ///
    ///     1 GW: 277.8 kWh a second, and 3.06 MWh from one second to the next since a lump of 10 s is allowed
    ///
    /// From 0, where a device may stand that only seems to have begun anew, it is a hundredth of that.
    func allows(_ rise: ExactDecimal, from level: ExactDecimal, in elapsed: Duration?) -> Bool {
        guard let maximumPerHour else { return true }
        let hours = ((elapsed ?? CounterRange.unmeasured) + CounterRange.lump).seconds / (level == .zero ? 360_000 : 3600)
        return rise.approximate <= maximumPerHour.approximate * hours + 2 * (lastDigit?.approximate ?? 0)
    }

    /// More than any one point of a plant gives: 1 GW, 10 m3/s, 10 kHz.
    private static func maximum(of quantity: Quantity) -> ExactDecimal? {
        switch quantity.unit {
        case "Wh", "varh", "VAh": ExactDecimal(1_000_000_000)
        case "m3": ExactDecimal(36_000)
        case "L", "kg", "1": ExactDecimal(36_000_000)
        case "s": ExactDecimal(7200)
        case "mm", "Wh/m2": ExactDecimal(3600)
        default: nil
        }
    }
}

extension Encoding {
    fileprivate var isInteger: Bool {
        switch self {
        case .uint16, .int16, .uint32, .int32, .uint64, .int64, .acc32, .acc64, .bcd16, .bcd32, .bcd64: true
        case .float32, .float64, .schneider4q, .string: false
        }
    }

    /// How many numbers it has, where it runs from 0 up through all of them. 2^64 is beyond what anything counts to.
    fileprivate var modulus: ExactDecimal? {
        switch self {
        case .uint16: ExactDecimal(1 << 16)
        case .uint32, .acc32: ExactDecimal(1 << 32)
        case .bcd16: ExactDecimal(mantissa: 1, exponent: 4)
        case .bcd32: ExactDecimal(mantissa: 1, exponent: 8)
        case .bcd64: ExactDecimal(mantissa: 1, exponent: 16)
        case .uint64, .acc64, .int16, .int32, .int64, .float32, .float64, .schneider4q, .string: nil
        }
    }
}
