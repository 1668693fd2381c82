import Metering
import Testing

@testable import Simulators

/// A repeatable source of numbers; the seed is printed by the failing expectation.
struct Dice: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
        state &+= 1
        return PlantDay.noise(state, 77, state)
    }
}

@Suite struct PlantTests {
    let epoch = Timestamp(milliseconds: 1_795_478_400_000)  // 2026-11-24T00:00:00Z
    var plant: Plant { Plant(seed: 7, epoch: epoch) }

    private func times(_ count: Int, days: Int64, seed: UInt64 = 1) -> [Timestamp] {
        var dice = Dice(state: seed)
        return (0..<count).map { _ in epoch.advanced(by: .milliseconds(Int64.random(in: 0..<days * 86_400_000, using: &dice))) }
    }

    @Test func loadIsImportMinusExportPlusSunAtEveryInstant() {
        for time in times(300, days: 3) {
            let state = plant.state(at: time)
            for (load, (grid, pv)) in zip(state.load.active.all, zip(state.grid.active.all, state.pv.active.all)) {
                #expect(load == grid + pv)
            }
            #expect(state.load.active.total == state.grid.active.total + state.pv.active.total)
            #expect(state.submeter.active.total < state.load.active.total)
            #expect(state.load.reactive.total == state.grid.reactive.total)
        }
    }

    @Test func loadEnergyIsImportMinusExportPlusSun() {
        var dice = Dice(state: 3)
        let start = plant.state(at: epoch)
        for _ in 0..<3 {
            let millisecond = Int64.random(in: 0..<86_400_000, using: &dice)
            let state = plant.state(at: epoch.advanced(by: .milliseconds(millisecond)))
            var load: Int64 = 0
            for second in 0..<millisecond / 1000 { load += Int64(plant.power(second: Int(second)).load.active.total) * 1000 }
            load += Int64(plant.power(second: Int(millisecond / 1000)).load.active.total) * (millisecond % 1000)
            let imported = state.gridEnergy.active.imported - start.gridEnergy.active.imported
            let exported = state.gridEnergy.active.exported - start.gridEnergy.active.exported
            let sun = state.pvEnergy.active.imported - start.pvEnergy.active.imported
            #expect(load == imported - exported + sun)
        }
    }

    @Test func countersAreTheExactIntegralOfPower() {
        // A day and a half, second by second, by the signs of the power itself.
        let milliseconds: Int64 = 129_600_345
        var imported: Int64 = 0
        var exported: Int64 = 0
        var phase1: Int64 = 0
        var line: Int64 = 0
        for second in 0...milliseconds / 1000 {
            let span = min(1000, milliseconds - second * 1000)
            let power = plant.power(second: Int(second % 86_400))
            let grid = Int64(power.grid.active.total) * span
            if grid >= 0 { imported += grid } else { exported -= grid }
            phase1 += max(0, Int64(power.grid.active.l1)) * span
            line += Int64(power.submeter.active.total) * span
        }
        let (start, end) = (plant.state(at: epoch), plant.state(at: epoch.advanced(by: .milliseconds(milliseconds))))
        #expect(end.gridEnergy.active.imported - start.gridEnergy.active.imported == imported)
        #expect(end.gridEnergy.active.exported - start.gridEnergy.active.exported == exported)
        #expect(end.gridEnergy.activePhases.l1.imported - start.gridEnergy.activePhases.l1.imported == phase1)
        #expect(end.submeterEnergy.active.imported - start.submeterEnergy.active.imported == line)
        #expect(imported > 0 && exported > 0, "a plant that never exports proves nothing")
    }

    @Test func countersNeverFallAndStartAboveZero() {
        var previous = plant.state(at: epoch)
        #expect(previous.gridEnergy.active.imported > 0 && previous.pvEnergy.active.imported > 0)
        for time in times(300, days: 400, seed: 9).sorted() {
            let state = plant.state(at: time)
            #expect(state.gridEnergy.active.imported >= previous.gridEnergy.active.imported)
            #expect(state.gridEnergy.active.exported >= previous.gridEnergy.active.exported)
            #expect(state.submeterEnergy.active.imported >= previous.submeterEnergy.active.imported)
            #expect(state.pvEnergy.active.imported >= previous.pvEnergy.active.imported)
            previous = state
        }
    }

    @Test func theSunShinesAtNoonAndNotAtNight() {
        #expect(plant.state(at: epoch.advanced(by: .seconds(3 * 3600))).pv.active.total == 0)
        #expect(plant.state(at: epoch.advanced(by: .seconds(12 * 3600))).grid.active.total < 0)
        #expect(plant.state(at: epoch.advanced(by: .seconds(20 * 3600))).grid.active.total > 0)
    }

    @Test func currentAndApparentPowerFollowFromTheRest() {
        for time in times(50, days: 2) {
            let view = plant.state(at: time).gridMeter
            let apparent = view.power.apparentPhases
            #expect(abs(view.amperes.l2 * view.volts.l2 - apparent.l2) < 1e-9 * max(1, apparent.l2))
            let (p, q, s) = (Double(view.power.active.total), Double(view.power.reactive.total), view.power.apparent)
            #expect(abs(p * p + q * q - s * s) < 1e-6 * max(1, s * s))
            #expect(abs(view.power.factor * s - p) < 1e-6 * max(1, s))
            #expect((220...240).contains(view.volts.l1) && (49.9...50.1).contains(view.hertz))
            #expect((385...405).contains(view.lineVolts.l3))
        }
    }

    @Test func theSameThreeNumbersGiveTheSameFactory() {
        let time = epoch.advanced(by: .seconds(40_000))
        #expect(Plant(seed: 7, epoch: epoch).state(at: time) == plant.state(at: time))
        #expect(Plant(seed: 8, epoch: epoch).state(at: time) != plant.state(at: time))
    }

    @Test func speedRunsThePlantsTimeFaster() {
        let fast = Plant(seed: 7, epoch: epoch, speed: 1440)
        let wall = epoch.advanced(by: .milliseconds(31_234))
        #expect(fast.state(at: wall) == plant.state(at: epoch.advanced(by: .milliseconds(31_234 * 1440))))
    }

    @Test func beforeItsEpochThePlantStandsStill() {
        #expect(plant.state(at: epoch.advanced(by: .seconds(-5))) == plant.state(at: epoch))
    }
}
