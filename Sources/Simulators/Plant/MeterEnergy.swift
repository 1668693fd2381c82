/// What flowed each way, in watt-milliseconds (or var- or VA-milliseconds): 3 600 000 are one Wh. Whole numbers, so sums are exact.
package struct Directional: Hashable, Sendable {
    package var imported: Int64
    package var exported: Int64

    package init(imported: Int64 = 0, exported: Int64 = 0) {
        self.imported = imported
        self.exported = exported
    }

    mutating func add(_ power: Int, milliseconds: Int64) {
        if power >= 0 { imported += Int64(power) * milliseconds } else { exported -= Int64(power) * milliseconds }
    }

    mutating func add(_ other: Directional, times: Int64) {
        imported += other.imported * times
        exported += other.exported * times
    }
}

/// The counters of one meter. Totals follow the sign of the sum of the phases, phase counters the sign of their own phase; so the
/// phases of one direction need not sum to its total, but import minus export does.
package struct MeterEnergy: Hashable, Sendable {
    /// How many watt-milliseconds are one Wh.
    package static let wattHour: Int64 = 3_600_000

    package var active = Directional()
    package var activePhases = Phases(Directional(), Directional(), Directional())
    package var reactive = Directional()
    package var reactivePhases = Phases(Directional(), Directional(), Directional())
    package var apparent: Int64 = 0

    package init() {}

    mutating func add(_ power: PhasePower, milliseconds: Int64) {
        active.add(power.active.total, milliseconds: milliseconds)
        activePhases.l1.add(power.active.l1, milliseconds: milliseconds)
        activePhases.l2.add(power.active.l2, milliseconds: milliseconds)
        activePhases.l3.add(power.active.l3, milliseconds: milliseconds)
        reactive.add(power.reactive.total, milliseconds: milliseconds)
        reactivePhases.l1.add(power.reactive.l1, milliseconds: milliseconds)
        reactivePhases.l2.add(power.reactive.l2, milliseconds: milliseconds)
        reactivePhases.l3.add(power.reactive.l3, milliseconds: milliseconds)
        apparent += Int64(power.apparent) * milliseconds
    }

    mutating func add(_ other: MeterEnergy, times: Int64 = 1) {
        active.add(other.active, times: times)
        activePhases.l1.add(other.activePhases.l1, times: times)
        activePhases.l2.add(other.activePhases.l2, times: times)
        activePhases.l3.add(other.activePhases.l3, times: times)
        reactive.add(other.reactive, times: times)
        reactivePhases.l1.add(other.reactivePhases.l1, times: times)
        reactivePhases.l2.add(other.reactivePhases.l2, times: times)
        reactivePhases.l3.add(other.reactivePhases.l3, times: times)
        apparent += other.apparent * times
    }

    /// Counters that have run before: `imported` and `exported` Wh, split evenly over the phases.
    static func start(imported: Int64, exported: Int64) -> MeterEnergy {
        let third = Directional(imported: imported / 3 * wattHour, exported: exported / 3 * wattHour)
        let total = Directional(imported: third.imported * 3, exported: third.exported * 3)
        var energy = MeterEnergy()
        energy.active = total
        energy.activePhases = Phases(third, third, third)
        energy.reactive = Directional(imported: total.imported / 2, exported: total.exported / 8)
        let part = Directional(imported: third.imported / 2, exported: third.exported / 8)
        energy.reactivePhases = Phases(part, part, part)
        energy.apparent = total.imported + total.exported
        return energy
    }
}
