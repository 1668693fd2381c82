import Fieldbus
import Metering
import Simulators
import Testing

/// SunSpec discovery and identification, on register images.
@Suite struct SearchTests {
    /// Runs a walk on holding registers; what is not there is exception 2.
    private func walk(_ registers: [Int: UInt16], bases: [UInt16] = SunSpecWalk.bases) -> SunSpecWalk {
        var walk = SunSpecWalk(bases: bases)
        while let block = walk.next {
            let words = block.range.compactMap { registers[$0] }
            walk.take(words.count == Int(block.count) ? .words(words) : .fault(.exception(2)))
        }
        return walk
    }

    private func image(at base: Int, _ words: [UInt16]) -> [Int: UInt16] {
        Dictionary(uniqueKeysWithValues: words.enumerated().map { (base + $0.offset, $0.element) })
    }

    private func model(_ id: UInt16, _ length: Int) -> [UInt16] { [id, UInt16(length)] + [UInt16](repeating: 0, count: length) }

    @Test(arguments: [0, 40_000, 50_000]) func chainIsFoundAtEveryUsualBase(base: Int) {
        let walk = walk(image(at: base, [0x5375, 0x6E53] + model(1, 66) + model(103, 50) + [0xFFFF, 0]))
        #expect(walk.ending == .complete)
        #expect(walk.base == UInt16(base))
        #expect(walk.models.map(\.id) == [1, 103])
        #expect(walk.models.map { Int($0.address) } == [base + 2, base + 70])
    }

    @Test func unknownModelsAndShortCommonModelsAreSteppedOverByTheirLength() {
        let walk = walk(image(at: 40_000, [0x5375, 0x6E53] + model(1, 65) + model(64_200, 17) + model(203, 105) + [0xFFFF, 0xFFFF]))
        #expect(walk.ending == .complete)
        #expect(walk.models.map { [Int($0.id), Int($0.address), Int($0.length)] }.last == [203, 40_088, 105])
    }

    @Test func deviceThatServesNothingAfterTheEndMarkerIsReadWhole() {
        let walk = walk(image(at: 40_000, [0x5375, 0x6E53] + model(1, 66) + [0xFFFF]))
        #expect(walk.ending == .complete)
    }

    @Test func chainWithoutEndEndsAtItsLimitsAndKeepsWhatWasGood() {
        let endless = walk(image(at: 0, [0x5375, 0x6E53] + (0..<100).flatMap { _ in model(160, 8) }))
        #expect(endless.models.count == SunSpecWalk.modelLimit)
        guard case .broken = endless.ending else { return #expect(Bool(false), "it has no end") }
        let beyond = walk(image(at: 50_000, [0x5375, 0x6E53, 1, 65_000]))
        #expect(beyond.models.count == 1)
        #expect(beyond.ending == .broken("the models run past address 65535"))
        let cut = walk(image(at: 40_000, [0x5375, 0x6E53] + model(1, 66)))
        #expect(cut.ending == .broken("exception 2 at 40070, before the end marker"))
    }

    @Test func zeroLengthDoesNotTrapTheWalk() {
        let walk = walk(image(at: 40_000, [0x5375, 0x6E53, 1, 0, 1, 0]))
        #expect(walk.models.isEmpty)
        #expect(walk.ending == .broken("model 1 at 40002 has length 0"))
    }

    @Test func deviceWithoutMarkerIsNoSunSpecDevice() {
        #expect(walk(image(at: 0, [1, 2, 3])).ending == .notSunSpec)
    }

    @Test func searchFindsOutWhatTheSimulatedInverterIs() async throws {
        let noon = Timestamp(milliseconds: 1_795_500_000_000)
        let inverter = SunSpecInverter(plant: Plant(seed: 3, epoch: noon), unit: 3, serial: "SIM-30K-0003")
        let image = inverter.image(at: noon, reset: nil)
        let own = IdentityCheck(block: Block(.holding, 40_070, count: 1), encoding: .uint16, expectation: .numbers([103]))
        let foreign = IdentityCheck(block: Block(.holding, 64_512, count: 2), encoding: .uint32, expectation: .numbers([5]))
        var fitting = profile([])
        fitting.identity = [own]
        var other = profile([])
        other.name = "other"
        other.identity = [own, foreign]
        let search = DeviceSearch(profiles: [other, fitting, profile([])]) { block in
            let outcome = image.words(block).map { BlockAnswer.Outcome.words($0) } ?? .fault(.exception(2))
            return Visit(
                answers: [BlockAnswer(block: block, outcome: outcome)], time: noon, uptime: Uptime(nanoseconds: 0), requests: 1)
        }
        let finding = try await search.run()
        #expect(finding.isPresent)
        #expect(finding.firstFault == .exception(2))
        #expect(finding.sunSpecBase == 40_000)
        #expect(finding.sunSpecModels.map(\.id) == [1, 103])
        #expect(finding.sunSpecIdentity?.manufacturer == "metersim")
        #expect(finding.sunSpecIdentity?.model == "Roof 30k")
        #expect(finding.sunSpecIdentity?.serial == "SIM-30K-0003")
        #expect(finding.profiles == ["test"])
    }

    @Test func unitThatIsNotThereCostsOneRequest() async throws {
        let search = DeviceSearch(profiles: [profile([])]) { block in
            let time = Timestamp(milliseconds: 0)
            return Visit(
                answers: [BlockAnswer(block: block, outcome: .fault(.timeout))], time: time, uptime: Uptime(nanoseconds: 0), requests: 1)
        }
        let finding = try await search.run()
        #expect(!finding.isPresent)
        #expect(finding.requests == 1)
    }

    @Test func everyPlausibleDecodingIsShownOnce() {
        let volts = Decoding.all([0x4366, 0x6666], at: 0)
        let float = volts.first { $0.encoding == .float32 && $0.order == .abcd }
        #expect(float?.value == ExactDecimal("230.4").map { Value.number($0) })
        #expect(!volts.contains { $0.encoding == .uint32 && $0.order == .abcd })
        let swapped = Decoding.all([0x614E, 0x00BC], at: 7)
        #expect(swapped.contains { $0.encoding == .uint32 && $0.order == .cdab && $0.value == .number(ExactDecimal(12_345_678)) })
        #expect(Decoding.all([0x5375, 0x6E53], at: 0).contains { $0.value == .text("SunS") })
        #expect(Decoding.one([0xFB50], at: 0, .int16, .abcd)?.value == .number(ExactDecimal(-1200)))
    }
}
