import Metering

extension ExactDecimal {
    enum Rounding { case nearest, towardsZero }

    /// `self / other` as a whole number; nil when it does not fit, or when `other` is 0.
    ///
    ///     30.2 / 0.1 = 302        30.26 / 0.1: nearest 303, towards zero 302        -0.05 / 0.1: nearest -1
    func quotient(by other: ExactDecimal, _ rounding: Rounding) -> Int64? {
        guard let (numerator, denominator) = fraction(over: other) else { return nil }
        var result = numerator / denominator
        if rounding == .nearest {
            let rest = numerator % denominator
            if rest.magnitude * 2 >= denominator.magnitude { result += (rest < 0) != (denominator < 0) ? -1 : 1 }
        }
        return Int64(exactly: result)
    }

    /// `self / other`, exact where it ends within twelve more digits, else the nearest float64; nil when it does not fit.
    func divided(by other: ExactDecimal) -> ExactDecimal? {
        guard other.mantissa != 0 else { return nil }
        var numerator = Int128(mantissa)
        let denominator = Int128(other.mantissa)
        let exponent = Int(exponent) - Int(other.exponent)
        for digits in 0...12 {
            let (quotient, rest) = numerator.quotientAndRemainder(dividingBy: denominator)
            if rest == 0, let whole = Int64(exactly: quotient) { return ExactDecimal(mantissa: whole, exponent: exponent - digits) }
            numerator *= 10
        }
        return ExactDecimal(shortest: double / other.double)
    }

    private func fraction(over other: ExactDecimal) -> (Int128, Int128)? {
        guard other.mantissa != 0 else { return nil }
        let shift = Int(exponent) - Int(other.exponent)
        var numerator = Int128(mantissa)
        var denominator = Int128(other.mantissa)
        for _ in 0..<abs(shift) {
            let (product, overflow) = (shift > 0 ? numerator : denominator).multipliedReportingOverflow(by: 10)
            if overflow { return shift > 0 ? nil : (0, 1) }
            if shift > 0 { numerator = product } else { denominator = product }
        }
        return (numerator, denominator)
    }
}
