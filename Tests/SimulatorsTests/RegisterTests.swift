import Metering
import Testing

@testable import Simulators

@Suite struct RegisterTests {
    let epoch = Timestamp(milliseconds: 1_795_478_400_000)
    let noon = Timestamp(milliseconds: 1_795_478_400_000 + 12 * 3_600_000 + 321)
    var plant: Plant { Plant(seed: 7, epoch: epoch) }

    private func float(_ image: RegisterImage, _ table: RegisterTable, _ address: UInt16) throws -> Float {
        let words = try #require(image.words(Block(table, address, count: 2)))
        return Float(bitPattern: UInt32(words[0]) << 16 | UInt32(words[1]))
    }

    @Test func theSDM630ShowsTheGrid() throws {
        let meter = SimulatedMeter(plant: plant, model: .sdm630, place: .grid, unit: 1, serial: 19_012_345)
        let image = meter.image(at: noon, reset: nil)
        let truth = plant.state(at: noon)
        #expect(try float(image, .input, 52) == Float(truth.grid.active.total))
        #expect(try float(image, .input, 52) < 0)
        #expect(try float(image, .input, 62) < 0, "the power factor has the sign of the power")
        #expect(try float(image, .input, 0) == Float(Double(truth.electricity.decivolts.l1) / 10))
        #expect(try float(image, .input, 72) == Float(Double(truth.gridEnergy.active.imported) / 3.6e9))
        #expect(try float(image, .input, 74) == Float(Double(truth.gridEnergy.active.exported) / 3.6e9))
        #expect(image.words(Block(.holding, 64512, count: 2)) == [0x0122, 0x1AF9])
        #expect(image.words(Block(.input, 381, count: 2)) == nil)
        #expect(image.words(Block(.holding, 0, count: 2)) == nil)
    }

    @Test func theIEM3155ShowsKilowattsAndWattHours() throws {
        let meter = SimulatedMeter(plant: plant, model: .iem3155, place: .submeter, unit: 2, serial: 5)
        let image = meter.image(at: noon, reset: nil)
        let truth = plant.state(at: noon)
        #expect(try float(image, .holding, 3059) == Float(Double(truth.submeter.active.total) / 1000))
        let energy = try #require(image.words(Block(.holding, 3203, count: 4)))
        #expect(energy.reduce(Int64(0)) { $0 << 16 | Int64($1) } == truth.submeterEnergy.active.imported / 3_600_000)
        #expect(image.words(Block(.holding, 49, count: 5)) == [0x6945, 0x4D33, 0x3135, 0x3500, 0])
        #expect(try float(image, .holding, 3071).isNaN, "what the meter has not is NaN, not zero")
    }

    @Test func schneidersPowerFactorFoldsLeadingOutwards() {
        func power(_ p: Int, _ q: Int) -> PhasePower { PhasePower(active: Phases(p, 0, 0), reactive: Phases(q, 0, 0)) }
        #expect(IEM3155.fourQuadrant(power(800, 600)) == 0.8)
        #expect(IEM3155.fourQuadrant(power(800, -600)) == 1.2)
        #expect(IEM3155.fourQuadrant(power(-800, -600)) == -0.8)
        #expect(IEM3155.fourQuadrant(power(-800, 600)) == -1.2)
    }

    @Test func theInverterIsAWalkableSunSpecMap() throws {
        let image = SunSpecInverter(plant: plant, unit: 3, serial: "SIM").image(at: noon, reset: nil)
        #expect(image.words(Block(.holding, 40000, count: 4)) == [0x5375, 0x6E53, 1, 66])
        #expect(image.words(Block(.holding, 40070, count: 2)) == [103, 50])
        #expect(image.words(Block(.holding, 40122, count: 2)) == [0xFFFF, 0])
        #expect(image.words(Block(.holding, 40123, count: 2)) == nil)
        let watts = try #require(image.words(Block(.holding, 40084, count: 2)))
        #expect(watts == [UInt16(plant.state(at: noon).pv.active.total), 0])
        let energy = try #require(image.words(Block(.holding, 40094, count: 3)))
        #expect(Int64(energy[0]) << 16 | Int64(energy[1]) == plant.state(at: noon).pvEnergy.active.imported / 3_600_000)
    }

    @Test func acc32WrapsToOneAndSkipsZero() {
        #expect(SunSpecInverter.accumulator(0) == 0)
        #expect(SunSpecInverter.accumulator(0xFFFF_FFFF) == 0xFFFF_FFFF)
        #expect(SunSpecInverter.accumulator(0x1_0000_0000) == 1)
    }

    @Test func resetCountersCountFromTheReset() {
        let meter = SimulatedMeter(plant: plant, model: .sdm630, place: .grid, unit: 1, serial: 1)
        let reset = noon.advanced(by: .seconds(-600))
        let (before, now) = (plant.state(at: reset).gridEnergy, plant.state(at: noon).gridEnergy)
        let shown = meter.view(at: noon, reset: reset).energy
        #expect(shown.active.exported == now.active.exported - before.active.exported)
        #expect(shown.active.exported > 0)
    }

    @Test func noTwoExtraMetersAgree() {
        let state = plant.state(at: noon)
        let views = (1...20).map { plant.extraMeter($0, state: state) }
        #expect(Set(views.map(\.power.active.total)).count == 20)
        #expect(Set(views.map(\.energy.active.imported)).count == 20)
    }

    @Test func theImageOfEveryInstantCanBeMade() {
        // Narrow integers in the maps: a value that does not fit would end the process here.
        var dice = Dice(state: 5)
        let site: [any SimulatedDevice] = [
            SimulatedMeter(plant: plant, model: .sdm630, place: .grid, unit: 1, serial: 1),
            SimulatedMeter(plant: plant, model: .iem3155, place: .extra(200), unit: 2, serial: 1),
            SunSpecInverter(plant: plant, unit: 3, serial: "A serial number longer than its thirty-two characters"),
            LoadDevice(number: 400),
        ]
        for _ in 0..<200 {
            let time = epoch.advanced(by: .milliseconds(Int64.random(in: -1000..<4_000_000_000_000, using: &dice)))
            for device in site {
                let words = device.image(at: time, reset: nil).words(Block(.holding, device is SunSpecInverter ? 40000 : 29, count: 1))
                #expect(words != nil || device is SimulatedMeter)
            }
        }
    }
}
