/// The least, the greatest and the mean of a gauge. Exact while the digits fit in 128 bits, which those of meters do.
struct GaugeSummary: Hashable, Sendable {
    private(set) var minimum: ExactDecimal?
    private(set) var maximum: ExactDecimal?
    private(set) var samples = 0
    private var held = WeightedSum()
    private var plain = WeightedSum()

    mutating func sample(_ value: ExactDecimal) {
        minimum = minimum.map { min($0, value) } ?? value
        maximum = maximum.map { max($0, value) } ?? value
        samples += 1
        plain.add(value, weight: 1)
    }

    /// The value stood for so long.
    mutating func hold(_ value: ExactDecimal, milliseconds: Int64) {
        if milliseconds > 0 { held.add(value, weight: milliseconds) }
    }

    /// By time; where no time is known, as with a single sample, of the samples.
    var mean: ExactDecimal? { samples == 0 ? nil : held.mean ?? plain.mean }
}

/// Σ value × weight, and Σ weight.
private struct WeightedSum: Hashable, Sendable {
    private var sum: Int128 = 0
    private var weight: Int64 = 0
    /// Of the sum: the finest of the values so far.
    private var exponent = 0
    private var isLost = false

    /// Values are cut off below: no meter is as fine.
    private static let finest = -9
    /// The mean has so many places more than the values.
    private static let places = 2

    mutating func add(_ value: ExactDecimal, weight: Int64) {
        let wanted = min(exponent, max(Int(value.exponent), WeightedSum.finest))
        while exponent > wanted {
            sum = product(sum, 10)
            exponent -= 1
        }
        var mantissa = Int128(value.mantissa)
        var own = Int(value.exponent)
        while own > exponent {
            mantissa = product(mantissa, 10)
            own -= 1
            if isLost { return }
        }
        while own < exponent, mantissa != 0 {
            mantissa /= 10
            own += 1
        }
        let (total, overflow) = sum.addingReportingOverflow(product(mantissa, Int128(weight)))
        isLost = isLost || overflow
        sum = total
        self.weight += weight
    }

    private mutating func product(_ a: Int128, _ b: Int128) -> Int128 {
        let (result, overflow) = a.multipliedReportingOverflow(by: b)
        isLost = isLost || overflow
        return result
    }

    /// Rounded to the nearest.
    var mean: ExactDecimal? {
        guard weight > 0, !isLost else { return nil }
        var fine = sum
        for _ in 0..<WeightedSum.places {
            let (next, overflow) = fine.multipliedReportingOverflow(by: 10)
            guard !overflow else { return nil }
            fine = next
        }
        let half = Int128(weight) / 2
        let rounded = (fine >= 0 ? fine + half : fine - half) / Int128(weight)
        return Int64(exactly: rounded).flatMap { ExactDecimal(mantissa: $0, exponent: exponent - WeightedSum.places) }
    }
}
