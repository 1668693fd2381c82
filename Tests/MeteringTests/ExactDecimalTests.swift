import Metering
import TestSupport
import Testing

@Suite struct ExactDecimalTests {
    @Test(arguments: [
        ("0", "0"), ("-0", "0"), ("12345600", "12345600"), ("30.20", "30.2"), ("-1532.5", "-1532.5"), ("1e3", "1000"), ("1E-3", "0.001"),
        ("0.000001", "0.000001"), ("0.0000001", "1e-7"), ("5e20", "500000000000000000000"), ("5e21", "5e21"),
        ("9223372036854775807", "9223372036854775807"),
    ])
    func printsPlainlyWhatItRead(_ text: String, _ printed: String) throws {
        #expect(try #require(ExactDecimal(text)).description == printed)
    }

    @Test(arguments: ["", "-", ".", "1.2.3", "1e", "abc", "99999999999999999999", "1e999", " 1", "1 ", "0x10", "nan", "inf"])
    func whatIsNoNumberIsNil(_ text: String) { #expect(ExactDecimal(text) == nil) }

    @Test func aFloat32ReadsBackAsTheSameFloat32() throws {
        var random = SeededGenerator(seed: 20_261_124)
        for _ in 0..<20_000 {
            let value = Float(bitPattern: UInt32.random(in: 0 ... .max, using: &random))
            guard value.isFinite else { continue }
            let text = try #require(ExactDecimal(shortest: value)).description
            #expect(Float(text) == value)
        }
    }

    @Test func equalNumbersAreEqualValues() throws {
        #expect(ExactDecimal(mantissa: 3020, exponent: -2) == ExactDecimal(mantissa: 302, exponent: -1))
        #expect(ExactDecimal(mantissa: 0, exponent: 9) == ExactDecimal.zero)
    }

    @Test func whatDoesNotFitIsNilAndNeverWraps() throws {
        let large = ExactDecimal(Int64.max)
        #expect(large.multiplied(by: ExactDecimal(3)) == nil)
        #expect(large.adding(ExactDecimal(1)) == nil)
        #expect(ExactDecimal(Int64.min).negated == nil)
        #expect(ExactDecimal(mantissa: 1, exponent: 128) == nil)
        #expect(try #require(ExactDecimal("1e100")).adding(ExactDecimal(1)) == nil)
    }
}
