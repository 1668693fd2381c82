import Metering
import Testing

/// Chains of SunSpec models, the profiles that are written of them, and what those make of words.
@Suite struct SunSpecProfileTests {
    private static let wye: [(UInt16, Int)] = [(1, 66), (103, 50)]

    private func chain(
        _ models: [(id: UInt16, length: Int)], base: Int = 40_000, maker: String = "metersim", version: String = "1.0.0"
    ) -> SunSpecChain {
        var address = base + 2
        var list: [SunSpecModel] = []
        for (id, length) in models {
            list.append(SunSpecModel(id: id, address: UInt16(address), length: UInt16(length)))
            address += 2 + length
        }
        var chain = SunSpecChain(base: UInt16(base), models: list)
        for model in list where model.id == 1 {
            chain.identities[model.address] = SunSpecIdentity(manufacturer: maker, model: "M-1", version: version, serial: "S 1")
        }
        return chain
    }

    private func profile(_ chain: SunSpecChain) throws -> Profile {
        try Profile(toml: try #require(SunSpecProfile.text(of: chain)), file: "sunspec.toml")
    }

    /// The reading of one quantity, with these words at their offsets in a model, everything else of it being 0.
    private func reading(
        _ quantity: String, _ chain: SunSpecChain, in id: UInt16, _ words: [Int: UInt16], header: UInt16? = nil
    ) throws -> Reading {
        let profile = try profile(chain)
        let index = try #require(profile.points.firstIndex { $0.quantity.id == quantity }, "\(quantity)")
        let model = try #require(chain.models.first { $0.id == id })
        var registers = [UInt16](repeating: 0, count: model.count)
        registers[0] = header ?? id
        for (offset, word) in words { registers[offset] = word }
        let answers = stride(from: 0, to: registers.count, by: 125).map { start in
            BlockAnswer(
                block: Block(.holding, model.address + UInt16(start), count: UInt16(min(125, registers.count - start))),
                outcome: .words(Array(registers[start..<min(start + 125, registers.count)])))
        }
        return try #require(ReadingDecoder(profile: profile).decode(answers).first { $0.point == index })
    }

    private func number(_ text: String) -> Value? { ExactDecimal(text).map { .number($0) } }

    @Test func workedExamplesOfTheInverterModelsGiveTheirValues() throws {
        let plain = chain(Self.wye)
        #expect(try reading("pv_power", plain, in: 103, [14: 0x0BB8, 15: 0xFFFF]).value == number("300"))
        #expect(try reading("power_active", plain, in: 103, [14: 0x0BB8, 15: 0xFFFF]).value == number("-300"))
        #expect(try reading("pv_energy", plain, in: 103, [24: 0x00BC, 25: 0x614E]).value == number("12345678"))
        #expect(try reading("current_l2", plain, in: 103, [4: 0xFFFF]).quality == .badValue)
        #expect(try reading("pv_power", plain, in: 103, [14: 0x8000]).quality == .badValue)
        #expect(try reading("pv_power", plain, in: 103, [14: 1, 15: 0x8000]).quality == .badValue)
        let float = chain([(1, 65), (113, 60)])
        #expect(try reading("pv_power", float, in: 113, [22: 0x4497, 23: 0x5000]).value == number("1210.5"))
    }

    @Test func accumulatorAtZeroIsNotAccumulatedAndNoReset() throws {
        #expect(try reading("pv_energy", chain(Self.wye), in: 103, [24: 0, 25: 0]).quality == .badValue)
        let meter = chain([(1, 66), (203, 105)])
        #expect(try reading("energy_active_import", meter, in: 203, [46: 0, 47: 0]).value == nil)
        #expect(try reading("energy_active_import", meter, in: 203, [46: 0, 47: 7, 54: 1]).value == number("70"))
    }

    @Test(arguments: [101, 102, 103, 111, 112, 113, 120, 122, 123, 124, 160, 201, 202, 203, 204, 211, 212, 213, 214, 701, 713, 714, 802])
    func everyModelOfTheListHasPointsAtItsOwnRegisters(id: Int) throws {
        let lengths = [
            101: 50, 102: 50, 103: 50, 111: 60, 112: 60, 113: 60, 120: 26, 122: 44, 123: 24, 124: 24, 160: 8 + 3 * 20, 701: 153, 713: 7,
            714: 18 + 2 * 25, 802: 62,
        ]
        let length = lengths[id] ?? (id < 210 ? 105 : 124)
        let chain = chain([(64_001, 40), (UInt16(id), length), (1, 66)])
        let profile = try profile(chain)
        let model = chain.models[1]
        let own = profile.points.filter { $0.quantity.kind != .text }
        #expect(own.count >= 2)
        for point in own {
            #expect(point.run.lowerBound >= Int(model.address) + 2, "\(point.quantity.id)")
            #expect(point.run.upperBound <= Int(model.address) + 2 + length, "\(point.quantity.id)")
            #expect(point.ratios.first?.block == Block(.holding, model.address, count: 1), "\(point.quantity.id) is bound to no model")
        }
    }

    /// What another model at the same place would mean is not told as a value of this one.
    @Test func wordsOfAnotherModelHaveNoValue() throws {
        let plain = chain(Self.wye)
        let reading = try reading("pv_power", plain, in: 103, [14: 3000], header: 113)
        #expect(reading.value == nil && reading.quality == .badValue)
    }

    @Test func unknownModelsAreSteppedOverAndNamed() throws {
        let chain = chain([(1, 65), (64_200, 17), (203, 105), (17, 12)])
        #expect(chain.unknown.map(\.id) == [64_200, 17])
        #expect(try reading("voltage_l1", chain, in: 203, [8: 2301, 15: 0xFFFF]).value == number("230.1"))
    }

    @Test func shortModelHasThePointsThatFitAndALongOneThePointsItHad() throws {
        let short = try profile(chain([(1, 66), (103, 20)]))
        #expect(short.points.contains { $0.quantity.id == "power_active" } && !short.points.contains { $0.quantity.id == "pv_energy" })
        // Its scale factor is beyond the end.
        let cut = try profile(chain([(1, 66), (103, 13)]))
        #expect(!cut.points.contains { $0.quantity.id == "power_active" })
        #expect(try profile(chain([(1, 66), (103, 58)])).points.count == profile(chain(Self.wye)).points.count)
    }

    @Test func powerFactorIsPercentUnlessTheMakerSendsARatio() throws {
        let words: [Int: UInt16] = [22: 9800, 23: 0xFFFE]
        #expect(try reading("power_factor", chain(Self.wye), in: 103, words).value == number("-0.98"))
        let ratio: [Int: UInt16] = [22: 98, 23: 0xFFFE]
        for maker in ["SMA", "SUNGROW", "TQ-Systems"] {
            #expect(try reading("power_factor", chain(Self.wye, maker: maker), in: 103, ratio).value == number("-0.98"), "\(maker)")
        }
        let meter = chain([(1, 66), (203, 105)], maker: "KOSTAL", version: "2.7.1")
        #expect(try reading("power_factor", meter, in: 203, [33: 98, 37: 0xFFFE]).value == number("0.98"))
    }

    @Test func deviationsOfTheMakersAreAppliedToThemAlone() throws {
        let meter: [(UInt16, Int)] = [(1, 65), (203, 105)]
        let export: [Int: UInt16] = [18: 0xFB50]
        #expect(try reading("power_active", chain(meter, maker: "SolarEdge"), in: 203, export).value == number("1200"))
        #expect(try reading("power_active", chain(meter, maker: "WattNode"), in: 203, export).value == number("1200"))
        #expect(try reading("power_active", chain(meter, maker: "Fronius"), in: 203, export).value == number("-1200"))
        #expect(try reading("voltage_l12", chain(meter, maker: "WattNode"), in: 203, [12: 40_000, 15: 0xFFFE]).value == number("400"))
        #expect(try reading("current_l1", chain(Self.wye, maker: "SMA"), in: 103, [3: 0x8000]).quality == .badValue)
        #expect(try reading("current_l1", chain(Self.wye, maker: "SMA"), in: 103, [3: 0xFFFF]).value == number("-1"))
        let kostal = chain(meter, maker: "KOSTAL", version: "2.5.9")
        #expect(try reading("energy_active_import", kostal, in: 203, [46: 0, 47: 0]).value == number("0"))
        let newer = chain(meter, maker: "KOSTAL", version: "2.6.0")
        #expect(try reading("energy_active_import", newer, in: 203, [46: 0, 47: 0]).value == nil)
        let der = chain([(1, 66), (701, 153)], maker: "SolarEdge")
        #expect(try reading("current_l1", der, in: 701, [45: 0xFFFF]).quality == .badValue)
    }

    @Test func swappedFloatsAreToldByAVoltageAndByNothingElse() throws {
        var swapped = chain([(1, 66), (113, 60)])
        let question = try #require(swapped.questions.last)
        #expect(question.block == Block(.holding, 40_070 + 16, count: 2))
        swapped.take([0, 0x4366], for: question)
        #expect(swapped.floatOrder == .cdab)
        #expect(try reading("pv_power", swapped, in: 113, [22: 0x5000, 23: 0x4497]).value == number("1210.5"))
        swapped.take([0, 0], for: question)
        #expect(swapped.floatOrder == nil)
        swapped.take([0x7FC0, 0], for: question)
        #expect(swapped.floatOrder == nil)
    }

    @Test func meterBehindAnInverterIsTheGridAndFurtherOnesAreCounted() throws {
        let chain = chain([(1, 65), (103, 50), (1, 65), (203, 105), (1, 65), (203, 105)], maker: "SolarEdge")
        let profile = try profile(chain)
        let ids = Set(profile.points.map(\.quantity.id))
        #expect(ids.isSuperset(of: ["pv_power", "grid_power", "grid_energy_import", "x_sunspec_meter2_power_active", "voltage_l1"]))
        #expect(ids.contains("x_sunspec_meter1_voltage_l1"))
        #expect(!ids.contains("energy_active_import"))
        let grid = profile.points.first { $0.quantity.id == "grid_power" }
        #expect(grid?.block.address == chain.models[3].address + 18 && grid?.invert == true)
    }

    @Test func hybridInverterSaysNothingOfTheSunThatItDoesNotKnow() throws {
        var hybrid = chain([(1, 65), (103, 50), (124, 24), (160, 8 + 4 * 20)], maker: "Fronius")
        #expect(try !profile(hybrid).points.contains { $0.quantity.id == "pv_power" })
        #expect(try !profile(hybrid).points.contains { $0.quantity.id == "pv_energy" })
        let names = hybrid.questions.filter { if case .moduleName = $0 { true } else { false } }
        #expect(names.count == 4)
        for (question, name) in zip(names, ["MPPT 1", "MPPT 2", "StCha 3", "StDisCha 4"]) {
            var bytes = Array(name.utf8)
            bytes += [UInt8](repeating: 0, count: 16 - bytes.count)
            hybrid.take((0..<8).map { UInt16(bytes[2 * $0]) << 8 | UInt16(bytes[2 * $0 + 1]) }, for: question)
        }
        func module(_ number: Int) -> Int { 10 + 20 * (number - 1) + 11 }
        let watts: [Int: UInt16] = [module(1): 1000, module(2): 500, module(3): 0, module(4): 250]
        #expect(try reading("pv_power", hybrid, in: 160, watts).value == number("1500"))
        #expect(try reading("battery_power", hybrid, in: 160, watts).value == number("-250"))
        #expect(try reading("battery_soc", hybrid, in: 124, [8: 6250, 22: 0xFFFE]).value == number("0.625"))
    }

    /// Twelve strings are longer than one answer: their scale factor comes from the same poll.
    @Test func stringsBeyondOneAnswerHaveTheirScaleFactorToo() throws {
        let many = chain([(1, 66), (160, 8 + 12 * 20)])
        let last = 10 + 11 * 20 + 10
        #expect(try reading("dc_voltage_s12", many, in: 160, [last: 6000, 3: 0xFFFF]).value == number("600"))
        #expect(try reading("dc_voltage_s12", many, in: 160, [last: 6000, 3: 0x8000]).value == nil)
        #expect(try reading("dc_voltage_s1", many, in: 160, [20: 6000, 3: 1]).value == number("60000"))
    }

    @Test func textsOfTheDeviceCannotBreakTheFile() throws {
        var odd = chain(Self.wye)
        odd.identities[40_002] = SunSpecIdentity(manufacturer: "A \"B\" \\", model: "[[point]]", version: "#1", serial: "'''")
        let profile = try profile(odd)
        #expect(profile.vendor == "A \"B\" \\" && profile.models == ["[[point]] #1"])
    }

    @Test func chainWithoutAKnownModelHasNoProfile() {
        var unknown = chain([(1, 66), (64_001, 10)])
        unknown.identities = [:]
        #expect(SunSpecProfile.text(of: unknown) == nil)
        #expect(SunSpecProfile.text(of: chain([])) == nil)
    }
}
