import Host
import Metering

/// A simulated factory: what every meter of it must show at any wall time, from a seed alone. Tests use it as the truth.
///
/// The plant has days of its own. `epoch` is the wall time of its first midnight; from there its time runs `speed` times as fast:
///
///     plant time = (wall − epoch) × speed        epoch 00:00, speed 24: at 00:30 wall it is noon in the plant
///
/// Power is constant, in whole watts, through each second of plant time; counters are its exact integral, since the epoch, on top of
/// start values. Before the epoch the plant stands still at its first instant. Two processes with the same three numbers agree.
package struct Plant: Sendable {
    /// How much faster than the wall a plant may run.
    package static let speeds = 1...100_000

    package let seed: UInt64
    package let epoch: Timestamp
    /// Kept within `speeds`.
    package let speed: Int
    private let day: PlantDay

    package init(seed: UInt64 = 1, epoch: Timestamp, speed: Int = 1) {
        self.seed = seed
        self.epoch = epoch
        self.speed = min(max(speed, Plant.speeds.lowerBound), Plant.speeds.upperBound)
        day = PlantDay.day(seed: seed)
    }

    /// 00:00 UTC of the day that holds `time`: the default epoch of metersim.
    package static func startOfDay(_ time: Timestamp) -> Timestamp {
        Timestamp(milliseconds: time.milliseconds.flooredQuotient(by: 86_400_000) * 86_400_000)
    }

    /// The wall clock of this machine, for programs that choose an epoch.
    package static func now() -> Timestamp { SystemTime().wall() }

    /// Milliseconds of plant time since the epoch; ≥ 0.
    package func elapsed(at time: Timestamp) -> Int64 {
        max(0, time.milliseconds - epoch.milliseconds) * Int64(speed)
    }

    /// The state at a wall time, in constant time (at most 60 steps).
    package func state(at time: Timestamp) -> PlantState {
        let elapsed = elapsed(at: time)
        let (days, millisecond) = elapsed.quotientAndRemainder(dividingBy: 86_400_000)
        let flows = day.flows(second: Int(millisecond / 1000))
        var energies = day.energies(millisecond: millisecond)
        energies.add(day.whole, times: days)
        var state = PlantState(
            elapsed: elapsed, electricity: electricity(second: elapsed / 1000), grid: flows.grid, load: flows.load,
            submeter: flows.submeter, pv: flows.pv, gridEnergy: start(1, imported: 12_345_000, exported: 3_210_000),
            submeterEnergy: start(2, imported: 8_765_000, exported: 0), pvEnergy: start(3, imported: 18_300_000, exported: 0))
        state.gridEnergy.add(energies.grid)
        state.submeterEnergy.add(energies.submeter)
        state.pvEnergy.add(energies.pv)
        return state
    }

    /// The power in one second of the plant's day, 0 ..< 86 400, as (grid, load, sub-meter, PV). The counters are the sum of these.
    package func power(second: Int) -> (grid: PhasePower, load: PhasePower, submeter: PhasePower, pv: PhasePower) {
        let flows = day.flows(second: second)
        return (flows.grid, flows.load, flows.submeter, flows.pv)
    }

    /// What the `extra`-th additional meter shows: the sub-meter's flows plus `extra` watts on each phase, so that no two meters agree.
    package func extraMeter(_ extra: Int, state: PlantState) -> MeterView {
        let offset = PhasePower(active: Phases(extra, extra, extra), reactive: Phases(0, 0, 0))
        var energy = state.submeterEnergy
        energy.add(start(1000 + UInt64(extra), imported: Int64(extra) * 1500, exported: 0))
        var own = MeterEnergy()
        own.add(offset, milliseconds: state.elapsed)
        energy.add(own)
        return MeterView(electricity: state.electricity, power: state.submeter + offset, energy: energy)
    }

    /// Counters of a meter that has run for some years; up to 999 Wh more by the seed.
    private func start(_ stream: UInt64, imported: Int64, exported: Int64) -> MeterEnergy {
        let more = Int64(PlantDay.noise(seed, 100 + stream, 0) % 1000)
        return MeterEnergy.start(imported: imported + more, exported: exported == 0 ? 0 : exported + more)
    }

    private func electricity(second: Int64) -> Electricity {
        let noise = PlantDay.noise(seed, 5, UInt64(second))
        func decivolts(_ shift: UInt64) -> Int { 2270 + Int(noise >> shift % 61) }
        return Electricity(decivolts: Phases(decivolts(0), decivolts(16), decivolts(32)), centihertz: 4995 + Int(noise >> 48 % 11))
    }
}

/// The voltages (phase to neutral, tenths of a volt) and the frequency (hundredths of a hertz), the same all over the plant.
package struct Electricity: Hashable, Sendable {
    package var decivolts: Phases<Int>
    package var centihertz: Int
}

/// Everything true of the plant at one instant. At every instant load = grid import − grid export + PV, per phase and in total.
package struct PlantState: Hashable, Sendable {
    /// The wall clock of this machine, for programs that choose an epoch.
    package static func now() -> Timestamp { SystemTime().wall() }

    /// Milliseconds of plant time since the epoch.
    package var elapsed: Int64
    package var electricity: Electricity
    package var grid: PhasePower
    package var load: PhasePower
    package var submeter: PhasePower
    /// + is generation.
    package var pv: PhasePower
    package var gridEnergy: MeterEnergy
    package var submeterEnergy: MeterEnergy
    /// Generation counts as imported: it is what the inverter's own counter shows.
    package var pvEnergy: MeterEnergy

    package var gridMeter: MeterView { MeterView(electricity: electricity, power: grid, energy: gridEnergy) }
    package var submeterView: MeterView { MeterView(electricity: electricity, power: submeter, energy: submeterEnergy) }
}

/// What one three-phase meter sees.
package struct MeterView: Hashable, Sendable {
    package var electricity: Electricity
    package var power: PhasePower
    package var energy: MeterEnergy

    package var volts: Phases<Double> {
        let v = electricity.decivolts
        return Phases(Double(v.l1) / 10, Double(v.l2) / 10, Double(v.l3) / 10)
    }
    package var hertz: Double { Double(electricity.centihertz) / 100 }

    /// Apparent power over voltage.
    package var amperes: Phases<Double> {
        let (s, v) = (power.apparentPhases, volts)
        return Phases(s.l1 / v.l1, s.l2 / v.l2, s.l3 / v.l3)
    }

    /// Phase to phase, with the phases 120° apart: √(a² + b² + ab). 230 V and 230 V: 398.4 V.
    package var lineVolts: Phases<Double> {
        func between(_ a: Double, _ b: Double) -> Double { (a * a + b * b + a * b).squareRoot() }
        let v = volts
        return Phases(between(v.l1, v.l2), between(v.l2, v.l3), between(v.l3, v.l1))
    }
}
