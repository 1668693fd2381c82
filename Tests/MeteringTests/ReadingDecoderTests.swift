import Metering
import TestSupport
import Testing

@Suite struct ReadingDecoderTests {
    private func point(
        _ id: String, _ address: UInt16, _ encoding: Encoding, count: UInt16? = nil, order: WordOrder = .abcd,
        factor: ExactDecimal = ExactDecimal(1), scale: UInt16? = nil, absent: [UInt64] = [], invert: Bool = false
    ) throws -> PointDefinition {
        PointDefinition(
            quantity: try #require(Vocabulary.quantity(id)),
            block: Block(.holding, address, count: try #require(count ?? encoding.wordCount.map(UInt16.init))), encoding: encoding,
            order: order,
            factor: factor, scaleRegister: scale.map { Block(.holding, $0, count: 1) }, absent: absent, invert: invert)
    }

    private func decoder(_ points: [PointDefinition], invert: Bool = false) -> ReadingDecoder {
        ReadingDecoder(
            profile: Profile(name: "t", version: 1, vendor: "t", models: [], source: "test", points: points), invert: invert)
    }

    private func words(_ address: UInt16, _ words: UInt16...) -> BlockAnswer {
        BlockAnswer(block: Block(.holding, address, count: UInt16(words.count)), outcome: .words(words))
    }

    @Test func aTenthIsATenth() throws {
        // 302 with factor 0.1 prints 30.2, never 30.200000000000003
        let tenth = try #require(ExactDecimal(mantissa: 1, exponent: -1))
        let own = decoder([try point("voltage_l1", 0, .uint16, factor: tenth)])
        #expect(own.decode([words(0, 302)]).first?.value?.number?.description == "30.2")
    }

    @Test func aScaleFactorOfAnotherAnswerIsNotUsed() throws {
        // The inverter flips W_SF from -1 to 0 between two answers: only a pair from one answer is a value.
        let own = decoder([try point("pv_power", 14, .int16, scale: 15)])
        #expect(own.decode([words(14, 3000, 0xFFFF)]).first?.value == .number(ExactDecimal(300)))
        #expect(own.decode([words(14, 300, 0)]).first?.value == .number(ExactDecimal(300)))
        #expect(own.decode([words(14, 300), words(15, 0)]).first == Reading(point: 0, value: nil, quality: .badValue))
    }

    @Test func everyOrderReadsTheSameNumber() throws {
        // 0x4366_6666 is the float32 230.4
        let orders: [(WordOrder, [UInt16])] = [
            (.abcd, [0x4366, 0x6666]), (.cdab, [0x6666, 0x4366]), (.badc, [0x6643, 0x6666]), (.dcba, [0x6666, 0x6643]),
        ]
        for (order, words) in orders {
            let own = decoder([try point("voltage_l1", 0, .float32, order: order)])
            let answer = BlockAnswer(block: Block(.holding, 0, count: 2), outcome: .words(words))
            #expect(own.decode([answer]).first?.value?.number?.description == "230.4", "\(order)")
        }
    }

    @Test(arguments: [0x7FC0_0000, 0x7FBF_FF80, 0xFFC0_0000, 0x7F80_0000, 0xFF80_0000] as [UInt32])
    func notANumberIsNoValue(_ pattern: UInt32) throws {
        let own = decoder([try point("power_active", 0, .float32)])
        #expect(
            own.decode([words(0, UInt16(pattern >> 16), UInt16(pattern & 0xFFFF))]) == [Reading(point: 0, value: nil, quality: .badValue)])
    }

    @Test func aSentinelIsTestedBeforeScaling() throws {
        let own = decoder([try point("energy_active_import", 0, .uint32, factor: ExactDecimal(1000), absent: [0xFFFF_FFFF])])
        #expect(own.decode([words(0, 0xFFFF, 0xFFFF)]) == [Reading(point: 0, value: nil, quality: .badValue)])
        #expect(own.decode([words(0, 0xFFFF, 0xFFFE)]).first?.value?.number?.description == "4294967294000")
    }

    @Test func aBlockThatFailedGivesQualityAndNoValue() throws {
        let own = decoder([try point("voltage_l1", 0, .uint16), try point("voltage_l2", 10, .uint16)])
        let readings = own.decode([
            BlockAnswer(block: Block(.holding, 0, count: 1), outcome: .fault(.exception(2))),
            BlockAnswer(block: Block(.holding, 10, count: 1), outcome: .fault(.timeout)),
        ])
        #expect(
            readings == [Reading(point: 0, value: nil, quality: .deviceFault), Reading(point: 1, value: nil, quality: .noCommunication)])
    }

    @Test func aPointThatWasNotAskedGivesNoReading() throws {
        let own = decoder([try point("voltage_l1", 0, .uint16), try point("voltage_l2", 10, .uint16)])
        #expect(own.decode([words(10, 230)]).map(\.point) == [1])
        #expect(own.count([words(10, 230)]) == 1)
    }

    @Test func wordsThatAreMissingAreNoValue() throws {
        let own = decoder([try point("energy_active_import", 0, .uint32)])
        let torn = BlockAnswer(block: Block(.holding, 0, count: 2), outcome: .words([1]))
        #expect(own.decode([torn]) == [Reading(point: 0, value: nil, quality: .badValue)])
    }

    @Test func aMeterWiredBackwardsIsReadForwards() throws {
        let own = decoder(
            [try point("power_active", 0, .int16), try point("energy_active_import", 1, .uint16), try point("voltage_l1", 2, .uint16)],
            invert: true)
        #expect(own.quantities.map(\.id) == ["power_active", "energy_active_export", "voltage_l1"])
        #expect(own.decode([words(0, 0xFF9C, 5, 230)]).map { $0.value?.number?.description } == ["100", "5", "230"])
    }

    @Test func textEndsAtTheFirstNulAndLosesItsPadding() throws {
        let own = decoder([try point("device_serial", 0, .string, count: 4)])
        #expect(own.decode([words(0, 0x4142, 0x3132, 0x2000, 0x5858)]).first?.value == .text("AB12"))
        #expect(own.decode([words(0, 0, 0, 0, 0)]).first == Reading(point: 0, value: nil, quality: .badValue))
    }

    @Test func encodingThenDecodingIsTheIdentity() throws {
        var random = SeededGenerator(seed: 20_261_124)
        for order in WordOrder.allCases {
            for encoding in Encoding.allCases {
                guard let count = encoding.wordCount, ![.schneider4q, .bcd16, .bcd32, .bcd64].contains(encoding) else { continue }
                let own = decoder([try point("voltage_l1", 0, encoding, order: order)])
                for _ in 0..<200 {
                    let pattern = UInt64.random(in: 0 ... .max, using: &random) >> UInt64(64 - 16 * count)
                    // what the device would put on the wire
                    var wire = (0..<count).map { UInt16(truncatingIfNeeded: pattern >> UInt64(16 * (count - 1 - $0))) }
                    if order.swapsBytes { wire = wire.map(\.byteSwapped) }
                    if order.lowWordFirst { wire.reverse() }
                    let answer = BlockAnswer(block: Block(.holding, 0, count: UInt16(count)), outcome: .words(wire))
                    let value = own.decode([answer]).first?.value?.number
                    #expect(value == expected(encoding, pattern), "\(encoding) \(order) \(String(pattern, radix: 16))")
                }
            }
        }
    }

    @Test func packedDecimalsComeBackInEveryOrder() throws {
        var random = SeededGenerator(seed: 20_261_124)
        for order in WordOrder.allCases {
            for encoding in [Encoding.bcd16, .bcd32, .bcd64] {
                let count = try #require(encoding.wordCount)
                let own = decoder([try point("pulse_count", 0, encoding, order: order)])
                for _ in 0..<100 {
                    let digits = (0..<count * 4).map { _ in UInt8.random(in: 0...9, using: &random) }
                    var wire = (0..<count).map { word in digits[word * 4..<word * 4 + 4].reduce(UInt16(0)) { $0 << 4 | UInt16($1) } }
                    if order.swapsBytes { wire = wire.map(\.byteSwapped) }
                    if order.lowWordFirst { wire.reverse() }
                    let answer = BlockAnswer(block: Block(.holding, 0, count: UInt16(count)), outcome: .words(wire))
                    let written = ExactDecimal(digits.map(String.init).joined())
                    #expect(own.decode([answer]).first?.value?.number == written, "\(encoding) \(order) \(digits)")
                }
            }
        }
    }

    /// Said again by other means than the decoder's.
    private func expected(_ encoding: Encoding, _ pattern: UInt64) -> ExactDecimal? {
        switch encoding {
        case .uint16, .uint32: ExactDecimal(String(pattern))
        case .uint64: pattern > Int64.max ? nil : ExactDecimal(String(pattern))
        case .int16: ExactDecimal(String(pattern > 0x7FFF ? Int64(pattern) - 0x1_0000 : Int64(pattern)))
        case .int32: ExactDecimal(String(pattern > 0x7FFF_FFFF ? Int64(pattern) - 0x1_0000_0000 : Int64(pattern)))
        case .int64: ExactDecimal(Int64(bitPattern: pattern))
        case .acc32, .acc64: pattern == 0 || pattern > Int64.max ? nil : ExactDecimal(String(pattern))
        case .float32:
            Float(bitPattern: UInt32(pattern)).isFinite ? ExactDecimal("\(Float(bitPattern: UInt32(pattern)))") : nil
        case .float64: Double(bitPattern: pattern).isFinite ? ExactDecimal("\(Double(bitPattern: pattern))") : nil
        case .schneider4q, .string, .bcd16, .bcd32, .bcd64: nil
        }
    }
}
