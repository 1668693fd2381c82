/// A number as mantissa × 10^exponent, exact: 302 with factor 0.1 is 30.2, never 30.200000000000003.
///
/// Always in lowest terms: the mantissa has no trailing zero, and zero is 0 × 10^0; so equal numbers are equal values.
/// Range: ±9.2 × 10^18 in the mantissa, exponents -128 ... 127.
package struct ExactDecimal: Hashable, Sendable {
    package let mantissa: Int64
    package let exponent: Int8

    /// Nil when the exponent does not fit once trailing zeros are taken out of the mantissa.
    package init?(mantissa: Int64, exponent: Int) {
        var mantissa = mantissa
        var exponent = exponent
        if mantissa == 0 {
            exponent = 0
        } else {
            while mantissa % 10 == 0 {
                mantissa /= 10
                exponent += 1
            }
        }
        guard let small = Int8(exactly: exponent) else { return nil }
        self.mantissa = mantissa
        self.exponent = small
    }

    package init(_ integer: Int64) {
        // 19 digits at most: the exponent always fits.
        self = ExactDecimal(mantissa: integer, exponent: 0) ?? .zero
    }

    package static let zero = ExactDecimal(uncheckedMantissa: 0, exponent: 0)
    private init(uncheckedMantissa mantissa: Int64, exponent: Int8) {
        self.mantissa = mantissa
        self.exponent = exponent
    }

    /// The shortest decimal that reads back as the same float32; nil for NaN and infinities.
    package init?(shortest value: Float) {
        guard value.isFinite else { return nil }
        self.init(value.description)
    }

    /// The shortest decimal that reads back as the same float64; nil for NaN and infinities.
    package init?(shortest value: Double) {
        guard value.isFinite else { return nil }
        self.init(value.description)
    }

    /// Reads `-12.50`, `1e-3`, `42`; nil for anything else and for more digits than fit.
    package init?(_ text: String) {
        var text = text
        let parsed = text.withUTF8 { ExactDecimal.parse($0) }
        guard let (mantissa, exponent) = parsed else { return nil }
        self.init(mantissa: mantissa, exponent: exponent)
    }

    private static func parse(_ bytes: UnsafeBufferPointer<UInt8>) -> (Int64, Int)? {
        var index = 0
        var negative = false
        if index < bytes.count, bytes[index] == UInt8(ascii: "-") {
            negative = true
            index += 1
        }
        var magnitude: Int64 = 0
        var exponent = 0
        var digits = 0
        var afterPoint = false
        scan: while index < bytes.count {
            let byte = bytes[index]
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9"):
                let digit = Int64(byte - UInt8(ascii: "0"))
                let (tenfold, overflow) = magnitude.multipliedReportingOverflow(by: 10)
                let (sum, overflowToo) = tenfold.addingReportingOverflow(digit)
                if overflow || overflowToo { return nil }
                magnitude = sum
                digits += 1
                if afterPoint { exponent -= 1 }
            case UInt8(ascii: "."):
                if afterPoint { return nil }
                afterPoint = true
            case UInt8(ascii: "e"), UInt8(ascii: "E"):
                guard let power = Int(String(decoding: bytes[(index + 1)...], as: UTF8.self)), abs(power) < 10_000 else { return nil }
                exponent += power
                break scan
            default:
                return nil
            }
            index += 1
        }
        guard digits > 0 else { return nil }
        return (negative ? -magnitude : magnitude, exponent)
    }

    /// Nil when the product does not fit.
    package func multiplied(by other: ExactDecimal) -> ExactDecimal? {
        if other.mantissa == 1, other.exponent == 0 { return self }
        if other.mantissa == 1 { return ExactDecimal(mantissa: mantissa, exponent: Int(exponent) + Int(other.exponent)) }
        let (product, overflow) = mantissa.multipliedReportingOverflow(by: other.mantissa)
        guard !overflow else { return nil }
        return ExactDecimal(mantissa: product, exponent: Int(exponent) + Int(other.exponent))
    }

    /// Nil when the sum does not fit.
    package func adding(_ other: ExactDecimal) -> ExactDecimal? {
        if other.mantissa == 0 { return self }
        if mantissa == 0 { return other }
        let low = min(exponent, other.exponent)
        guard let a = shifted(to: low), let b = other.shifted(to: low) else { return nil }
        let (sum, overflow) = a.addingReportingOverflow(b)
        return overflow ? nil : ExactDecimal(mantissa: sum, exponent: Int(low))
    }

    package var negated: ExactDecimal? {
        mantissa == .min ? nil : ExactDecimal(uncheckedMantissa: -mantissa, exponent: exponent)
    }

    /// The whole number it is; nil for fractions and for what Int64 does not hold.
    package var integer: Int64? { exponent < 0 ? nil : shifted(to: 0) }

    private func shifted(to target: Int8) -> Int64? {
        var result = mantissa
        for _ in 0..<(Int(exponent) - Int(target)) {
            let (tenfold, overflow) = result.multipliedReportingOverflow(by: 10)
            if overflow { return nil }
            result = tenfold
        }
        return result
    }

    /// The nearest float64.
    package var double: Double { Double(description) ?? .nan }
}

extension ExactDecimal: CustomStringConvertible {
    package var description: String {
        var bytes: [UInt8] = []
        write(to: &bytes)
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Appends the number as JSON and CSV write it: `30.2`, `-0.001`, `12345600`, and `5e30` where plain digits would need more than
    /// 21 places.
    package func write(to bytes: inout [UInt8]) {
        var digits: (UInt64, UInt64, UInt64) = (0, 0, 0)  // room for 24 digits
        withUnsafeMutableBytes(of: &digits) { room in
            var magnitude = mantissa.magnitude
            var start = room.count
            repeat {
                start -= 1
                let tenth = magnitude / 10
                room[start] = UInt8(ascii: "0") + UInt8(truncatingIfNeeded: magnitude &- tenth &* 10)
                magnitude = tenth
            } while magnitude != 0
            if mantissa < 0 { bytes.append(UInt8(ascii: "-")) }
            let all = UnsafeRawBufferPointer(rebasing: room[start...])
            let point = all.count + Int(exponent)  // digits before the decimal point
            if exponent >= 0, point <= 21 {
                bytes.append(contentsOf: all)
                for _ in 0..<exponent { bytes.append(UInt8(ascii: "0")) }
            } else if exponent < 0, point > 0 {
                bytes.append(contentsOf: UnsafeRawBufferPointer(rebasing: all[..<point]))
                bytes.append(UInt8(ascii: "."))
                bytes.append(contentsOf: UnsafeRawBufferPointer(rebasing: all[point...]))
            } else if exponent < 0, point > -6 {
                bytes.append(UInt8(ascii: "0"))
                bytes.append(UInt8(ascii: "."))
                for _ in 0..<(-point) { bytes.append(UInt8(ascii: "0")) }
                bytes.append(contentsOf: all)
            } else {
                bytes.append(contentsOf: all)
                bytes.append(UInt8(ascii: "e"))
                bytes.append(contentsOf: String(exponent).utf8)
            }
        }
    }
}
