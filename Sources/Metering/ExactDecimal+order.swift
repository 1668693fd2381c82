extension ExactDecimal: Comparable {
    package static func < (a: ExactDecimal, b: ExactDecimal) -> Bool {
        if a.mantissa.signum() != b.mantissa.signum() { return a.mantissa < b.mantissa }
        if a.mantissa == 0 { return false }
        let low = min(a.exponent, b.exponent)
        // With a lead of 19 places one is beyond the other whatever their digits are.
        if Int(a.exponent) - Int(low) > 19 { return a.mantissa < 0 }
        if Int(b.exponent) - Int(low) > 19 { return b.mantissa > 0 }
        return a.wide(at: low) < b.wide(at: low)
    }

    /// Nil when the difference does not fit.
    package func subtracting(_ other: ExactDecimal) -> ExactDecimal? { other.negated.flatMap(adding) }

    /// The same as a float, to about 15 places: for bounds, never for values.
    var approximate: Double {
        var result = Double(mantissa)
        var places = Int(exponent)
        while places != 0 {
            let part = min(places.magnitude, 22)
            let power = ExactDecimal.powers[Int(part)]
            result = places > 0 ? result * power : result / power
            places -= places.signum() * Int(part)
        }
        return result
    }

    /// 10^0 ... 10^22: those that a float64 holds exactly.
    private static let powers = (0...22).reduce(into: [Double]()) { powers, _ in powers.append((powers.last ?? 0.1) * 10) }

    /// The mantissa at an exponent that is at most 19 below its own: 9.2 × 10^37 at most, and Int128 holds 1.7 × 10^38.
    private func wide(at exponent: Int8) -> Int128 {
        var result = Int128(mantissa)
        for _ in 0..<(Int(self.exponent) - Int(exponent)) { result *= 10 }
        return result
    }
}
