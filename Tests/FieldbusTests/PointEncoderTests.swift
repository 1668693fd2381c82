import Metering
import Simulators
import TestSupport
import Testing

/// The encoder is the decoder's inverse: what it puts into registers is what is read from them.
@Suite struct PointEncoderTests {
    private let quantity = Quantity(id: "x_test_value", unit: "", kind: .gauge)

    private func decoded(_ encoder: PointEncoder, _ point: PointDefinition) -> Reading? {
        let blocks = [Block(point.block.table, UInt16(point.run.lowerBound), count: UInt16(point.run.count))] + point.ratios.map(\.block)
        let answers = blocks.map { block in
            BlockAnswer(block: block, outcome: .words(block.range.map { encoder.word(block.table, $0) }))
        }
        let profile = Profile(name: "t", version: 1, vendor: "t", models: [], source: "test", points: [point])
        return ReadingDecoder(profile: profile).decode(answers).first
    }

    /// A raw number of the type, extremes as often as others.
    private func raw(_ encoding: Encoding, _ random: inout SeededGenerator) -> ExactDecimal? {
        switch encoding {
        case .float32: return ExactDecimal(shortest: Float.random(in: -1e9...1e9, using: &random))
        case .float64: return ExactDecimal(shortest: Double.random(in: -1e12...1e12, using: &random))
        case .schneider4q: return ExactDecimal(shortest: Float.random(in: -1...1, using: &random))
        case .string: return nil
        default:
            // Int64.min has no negative, so the simulator leaves it out.
            guard let range = encoding == .int64 ? -Int64.max...Int64.max : encoding.integers else { return nil }
            let number: Int64 =
                switch Int.random(in: 0...3, using: &random) {
                case 0: [range.lowerBound, range.upperBound, range.lowerBound + 1].randomElement(using: &random) ?? 1
                case 1: Int64.random(in: 1...9999, using: &random)
                default: Int64.random(in: range, using: &random)
                }
            return ExactDecimal(number)
        }
    }

    @Test(arguments: Encoding.allCases.filter { $0 != .string }) func encodeThenDecodeIsTheIdentity(_ encoding: Encoding) throws {
        let seed: UInt64 = 20_261_124
        var random = SeededGenerator(seed: seed)
        let count = try #require(encoding.wordCount)
        for round in 0..<400 {
            let order = WordOrder.allCases[round % 4]
            let exponent = Int.random(in: -4...3, using: &random)
            let isFloat = encoding.integers == nil
            let mantissa: Int64 =
                isFloat || round.isMultiple(of: 2) ? 1 : ([1, 2, 5, 25, 36] as [Int64]).randomElement(using: &random) ?? 1
            let factor = try #require(ExactDecimal(mantissa: mantissa, exponent: exponent))
            var point = PointDefinition(
                quantity: quantity, block: Block(.holding, 100, count: UInt16(count)), encoding: encoding, order: order, factor: factor,
                invert: Bool.random(using: &random))
            if !isFloat, round.isMultiple(of: 3) { point.offset = ExactDecimal(Int64.random(in: -40...40, using: &random)) }
            if !isFloat, count > 1, round.isMultiple(of: 7) {
                // The words of the value apart, the most significant first.
                point.block = Block(.holding, 100, count: 1)
                point.parts = (1..<count).map { Block(.holding, UInt16(100 - 3 * $0), count: 1) }
            }
            guard let raw = raw(encoding, &random), let scaled = raw.multiplied(by: factor)?.adding(point.offset),
                let value = point.invert ? scaled.negated : scaled
            else { continue }
            var encoder = PointEncoder()
            try encoder.put(.number(value), of: point, strict: true)
            #expect(decoded(encoder, point)?.value == .number(value), "\(encoding) \(order), round \(round) of seed \(seed)")
        }
    }

    @Test func sumsRatiosScalesAndSignsComeBack() throws {
        let seed: UInt64 = 7
        var random = SeededGenerator(seed: seed)
        let tenth = try #require(ExactDecimal(mantissa: 1, exponent: -1))
        let minusTenth = try #require(tenth.negated)
        func own(_ encoding: Encoding) -> PointDefinition {
            PointDefinition(
                quantity: quantity, block: Block(.holding, 10, count: UInt16(encoding.wordCount ?? 1)), encoding: encoding, factor: tenth)
        }
        for round in 0..<500 {
            let steps = Int64.random(in: -30_000...30_000, using: &random)
            let value = try #require(ExactDecimal(mantissa: steps, exponent: -1))
            let order = WordOrder.allCases[round % 4]
            var difference = own(.uint32)
            difference.order = order
            difference.terms = [Operand(block: Block(.holding, 12, count: 2), encoding: .uint32, order: order, factor: minusTenth)]
            var scaled = own(.int16)
            scaled.factor = ExactDecimal(1)
            scaled.scaleRegister = Block(.holding, 20, count: 1)
            var flagged = own(.uint32)
            flagged.signFlag = SignFlag(block: Block(.holding, 30, count: 1), mask: 4, negative: 4)
            var multiplied = own(.int32)
            multiplied.ratios = [Operand(block: Block(.input, 7, count: 1), encoding: .uint16)]
            var masked = own(.uint32)
            masked.factor = ExactDecimal(1)
            masked.mask = 0x00FF_FF00
            for (name, point) in [("sum", difference), ("flag", flagged), ("ratio", multiplied)] {
                var encoder = PointEncoder()
                try encoder.put(.number(value), of: point, strict: true)
                #expect(decoded(encoder, point)?.value == .number(value), "\(name), round \(round) of seed \(seed)")
            }
            var encoder = PointEncoder()
            try encoder.put(.number(value), of: scaled, strict: true)
            let number = try #require(decoded(encoder, scaled)?.value?.number)
            #expect(abs(number.double - value.double) <= 0.5, "scale, round \(round) of seed \(seed)")
            encoder = PointEncoder()
            try encoder.put(.number(ExactDecimal(abs(steps))), of: masked, strict: true)
            #expect(decoded(encoder, masked)?.value == .number(ExactDecimal(abs(steps))), "mask, round \(round) of seed \(seed)")
        }
    }

    @Test func textsComeBackInEveryOrder() throws {
        var random = SeededGenerator(seed: 3)
        for order in WordOrder.allCases {
            for _ in 0..<200 {
                let point = PointDefinition(
                    quantity: Quantity(id: "device_serial", unit: "", kind: .text), block: Block(.input, 5, count: 8), encoding: .string,
                    order: order)
                let length = Int.random(in: 1...16, using: &random)
                let text = String(decoding: (0..<length).map { _ in UInt8.random(in: 0x21...0x7E, using: &random) }, as: UTF8.self)
                var encoder = PointEncoder()
                try encoder.put(.text(text), of: point, strict: true)
                #expect(decoded(encoder, point)?.value == .text(text))
            }
        }
    }

    @Test func whatMeansNotAvailableIsNeverWritten() throws {
        let point = PointDefinition(
            quantity: quantity, block: Block(.holding, 0, count: 1), encoding: .uint16, absent: [0xFFFF])
        var encoder = PointEncoder()
        #expect(throws: SimulatorError.self) { try encoder.put(.number(ExactDecimal(0xFFFF)), of: point, strict: true) }
        #expect(throws: SimulatorError.self) { try encoder.put(.number(ExactDecimal(0x1_0000)), of: point, strict: true) }
        try encoder.put(.number(ExactDecimal(0xFFFF)), of: point, strict: false)
        #expect(decoded(encoder, point)?.value == .number(ExactDecimal(0xFFFE)))
    }
}
