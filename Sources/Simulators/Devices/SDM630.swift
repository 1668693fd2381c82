import Metering

/// The register map of an Eastron SDM630-Modbus: float32 at even input registers, settings and serial number at holding registers.
///
/// Unused input registers between 0 and 381 read as zero. Not simulated, and zero too: demand (84-105, 258-269) and charge (82).
/// - Source: volkszaehler/mbmd `meters/rs485/sdm.go`, nmakel/sdm_modbus `sdm.py`; serial number at 0xFC00: openWB `sdm.py`.
enum SDM630 {
    static func image(_ view: MeterView, unit: UInt8, serial: UInt32) -> RegisterImage {
        var image = RegisterImage()
        image.open(.input, 0..<382)
        image.open(.holding, 10..<30)
        image.open(.holding, 64512..<64514)
        putGauges(view, &image)
        putEnergy(view.energy, &image)
        image.put(.holding, 10, float: 3)  // 3 phases, 4 wires
        image.put(.holding, 20, float: Double(unit))
        image.put(.holding, 28, float: 2)  // 9600 baud
        image.put(.holding, 64512, RegisterImage.words(serial))
        return image
    }

    private static func putGauges(_ view: MeterView, _ image: inout RegisterImage) {
        let (volts, amperes, power) = (view.volts, view.amperes, view.power)
        let apparent = power.apparentPhases
        let factors = Phases(
            PhasePower.factor(power.active.l1, apparent.l1), PhasePower.factor(power.active.l2, apparent.l2),
            PhasePower.factor(power.active.l3, apparent.l3))
        image.put(.input, 0, floats: volts)
        image.put(.input, 6, floats: amperes)
        image.put(.input, 12, floats: doubles(power.active))
        image.put(.input, 18, floats: apparent)
        image.put(.input, 24, floats: doubles(power.reactive))
        image.put(.input, 30, floats: factors)
        image.put(.input, 42, float: (volts.l1 + volts.l2 + volts.l3) / 3)
        image.put(.input, 46, float: (amperes.l1 + amperes.l2 + amperes.l3) / 3)
        image.put(.input, 48, float: amperes.l1 + amperes.l2 + amperes.l3)
        image.put(.input, 52, float: Double(power.active.total))
        image.put(.input, 56, float: power.apparent)
        image.put(.input, 60, float: Double(power.reactive.total))
        image.put(.input, 62, float: power.factor)
        image.put(.input, 70, float: view.hertz)
        let line = view.lineVolts
        image.put(.input, 200, floats: line)
        image.put(.input, 206, float: (line.l1 + line.l2 + line.l3) / 3)
        image.put(.input, 234, floats: Phases(2.1, 2.2, 2.0))  // total harmonic distortion, %
        image.put(.input, 240, floats: Phases(8.4, 8.1, 8.6))
        image.put(.input, 248, float: 2.1)
    }

    private static func putEnergy(_ energy: MeterEnergy, _ image: inout RegisterImage) {
        let active = energy.active.kiloHours
        let reactive = energy.reactive.kiloHours
        image.put(.input, 72, float: active.imported)
        image.put(.input, 74, float: active.exported)
        image.put(.input, 76, float: reactive.imported)
        image.put(.input, 78, float: reactive.exported)
        image.put(.input, 80, float: Double(energy.apparent) / 3.6e9)
        image.put(.input, 342, float: active.imported + active.exported)
        image.put(.input, 344, float: reactive.imported + reactive.exported)
        for (place, phase) in energy.activePhases.all.enumerated() {
            image.put(.input, 346 + 2 * place, float: phase.kiloHours.imported)
            image.put(.input, 352 + 2 * place, float: phase.kiloHours.exported)
            image.put(.input, 358 + 2 * place, float: phase.kiloHours.imported + phase.kiloHours.exported)
        }
        for (place, phase) in energy.reactivePhases.all.enumerated() {
            image.put(.input, 364 + 2 * place, float: phase.kiloHours.imported)
            image.put(.input, 370 + 2 * place, float: phase.kiloHours.exported)
            image.put(.input, 376 + 2 * place, float: phase.kiloHours.imported + phase.kiloHours.exported)
        }
    }

    private static func doubles(_ phases: Phases<Int>) -> Phases<Double> {
        Phases(Double(phases.l1), Double(phases.l2), Double(phases.l3))
    }
}
