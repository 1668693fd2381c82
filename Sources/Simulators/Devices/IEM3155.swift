import Metering

/// The register map of a Schneider iEM3155: holding registers, power in kW as float32, energy in Wh as int64.
///
/// Addresses are one below the manual's. Unused registers of the measuring block read as NaN.
/// - Source: Schneider DOCA0005EN-15; volkszaehler/mbmd `meters/rs485/iem3000.go`.
enum IEM3155 {
    static func image(_ view: MeterView, serial: UInt32) -> RegisterImage {
        var image = RegisterImage()
        image.open(.holding, 29..<131)
        image.open(.holding, 2999..<3111, filler: 0xFFFF)
        image.open(.holding, 3203..<3227)
        image.open(.holding, 3517..<3529)
        image.open(.holding, 45099..<45103)
        image.put(.holding, 29, text: "Energy Meter", registers: 20)
        image.put(.holding, 49, text: "iEM3155", registers: 20)
        image.put(.holding, 69, text: "Schneider Electric", registers: 20)
        image.put(.holding, 129, RegisterImage.words(serial))
        putGauges(view, &image)
        putEnergy(view.energy, &image)
        return image
    }

    private static func putGauges(_ view: MeterView, _ image: inout RegisterImage) {
        let (volts, amperes, power, line) = (view.volts, view.amperes, view.power, view.lineVolts)
        image.put(.holding, 2999, floats: amperes)
        image.put(.holding, 3009, float: (amperes.l1 + amperes.l2 + amperes.l3) / 3)
        image.put(.holding, 3019, floats: line)
        image.put(.holding, 3025, float: (line.l1 + line.l2 + line.l3) / 3)
        image.put(.holding, 3027, floats: volts)
        image.put(.holding, 3035, float: (volts.l1 + volts.l2 + volts.l3) / 3)
        let active = power.active
        image.put(.holding, 3053, floats: Phases(Double(active.l1) / 1000, Double(active.l2) / 1000, Double(active.l3) / 1000))
        image.put(.holding, 3059, float: Double(active.total) / 1000)
        image.put(.holding, 3067, float: Double(power.reactive.total) / 1000)
        image.put(.holding, 3075, float: power.apparent / 1000)
        image.put(.holding, 3083, float: fourQuadrant(power))
        image.put(.holding, 3109, float: view.hertz)
    }

    /// Schneider's 4Q_FP_PF: |x| ≤ 1 is lagging; beyond, 2 − |PF| is folded outwards and means leading. The sign is that of P.
    ///
    ///     P > 0, Q > 0, PF 0.9:  0.9        P > 0, Q < 0, PF 0.9:  2 − 0.9 = 1.1        P < 0, Q > 0, PF 0.9: −1.1
    static func fourQuadrant(_ power: PhasePower) -> Double {
        let factor = power.factor
        let (active, reactive) = (power.active.total, power.reactive.total)
        let leading = reactive != 0 && (active >= 0) != (reactive >= 0)
        guard leading else { return factor }
        return active >= 0 ? 2 - factor : -2 - factor
    }

    private static func putEnergy(_ energy: MeterEnergy, _ image: inout RegisterImage) {
        image.put(.holding, 3203, int64: energy.active.hours.imported)
        image.put(.holding, 3207, int64: energy.active.hours.exported)
        image.put(.holding, 3219, int64: energy.reactive.hours.imported)
        image.put(.holding, 3223, int64: energy.reactive.hours.exported)
        for (place, phase) in energy.activePhases.all.enumerated() {
            image.put(.holding, 3517 + 4 * place, int64: phase.hours.imported)
        }
        image.put(.holding, 45099, float: energy.active.kiloHours.imported)
        image.put(.holding, 45101, float: energy.active.kiloHours.exported)
    }
}
