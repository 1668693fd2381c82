import Metering

/// A three-phase inverter by SunSpec: "SunS" at 40000, model 1 (L 66), model 103 (L 50), end marker. Reading past it is exception 2.
///
/// - Source: sunspec/models `model_1.json`, `model_103.json`.
package struct SunSpecInverter: SimulatedDevice {
    package static let base = 40000

    package var plant: Plant
    package var unit: UInt8
    package var serial: String

    package init(plant: Plant, unit: UInt8, serial: String) {
        self.plant = plant
        self.unit = unit
        self.serial = serial
    }

    package var requestLimit: Int { 125 }

    package func image(at time: Timestamp, reset: Timestamp?) -> RegisterImage {
        let state = plant.state(at: time)
        var energy = state.pvEnergy
        if let reset { energy = energy.since(plant.state(at: reset).pvEnergy) }
        var image = RegisterImage()
        image.open(.holding, SunSpecInverter.base..<SunSpecInverter.base + 124)
        image.put(.holding, 40000, [0x5375, 0x6E53])  // "SunS"
        putCommon(&image, at: 40002)
        putInverter(MeterView(electricity: state.electricity, power: state.pv, energy: energy), &image, at: 40070)
        image.put(.holding, 40122, [0xFFFF, 0])
        return image
    }

    private func putCommon(_ image: inout RegisterImage, at start: Int) {
        image.put(.holding, start, [1, 66])
        image.put(.holding, start + 2, text: "metersim", registers: 16)
        image.put(.holding, start + 18, text: "Roof 30k", registers: 16)
        image.put(.holding, start + 34, text: "", registers: 8)
        image.put(.holding, start + 42, text: "1.0.0", registers: 8)
        image.put(.holding, start + 50, text: serial, registers: 16)
        image.put(.holding, start + 66, [UInt16(unit), 0x8000])
    }

    /// Scale factors: A −2, V −1, W 0, Hz −2, VA 0, var 0, PF −2 (in percent), Wh 0, DC A −2, DC V −1, DC W 0, temperature −1.
    private func putInverter(_ view: MeterView, _ image: inout RegisterImage, at start: Int) {
        let (amperes, line, volts) = (view.amperes, view.lineVolts, view.electricity.decivolts)
        let watts = view.power.active.total
        func scale(_ power: Int16) -> UInt16 { UInt16(bitPattern: power) }
        func centi(_ value: Double) -> UInt16 { UInt16((value * 100).rounded()) }
        func deci(_ value: Double) -> UInt16 { UInt16((value * 10).rounded()) }
        image.put(.holding, start, [103, 50])
        image.put(.holding, start + 2, [centi(amperes.l1 + amperes.l2 + amperes.l3)])
        image.put(.holding, start + 3, [centi(amperes.l1), centi(amperes.l2), centi(amperes.l3), scale(-2)])
        image.put(.holding, start + 7, [deci(line.l1), deci(line.l2), deci(line.l3)])
        image.put(.holding, start + 10, [UInt16(volts.l1), UInt16(volts.l2), UInt16(volts.l3), scale(-1)])
        image.put(.holding, start + 14, [UInt16(watts), scale(0)])
        image.put(.holding, start + 16, [UInt16(view.electricity.centihertz), scale(-2)])
        image.put(.holding, start + 18, [UInt16(view.power.apparent.rounded()), scale(0)])
        image.put(.holding, start + 20, [UInt16(bitPattern: Int16(view.power.reactive.total)), scale(0)])
        image.put(.holding, start + 22, [centi(view.power.factor * 100), scale(-2)])
        image.put(.holding, start + 24, RegisterImage.words(SunSpecInverter.accumulator(view.energy.wattHours)))
        image.put(.holding, start + 26, [scale(0)])
        let dcWatts = Double(watts) / 0.975
        let dcVolts = watts == 0 ? 0.0 : 620.0
        image.put(.holding, start + 27, [watts == 0 ? 0 : centi(dcWatts / dcVolts), scale(-2), deci(dcVolts), scale(-1)])
        image.put(.holding, start + 31, [UInt16(dcWatts.rounded()), scale(0)])
        // Cabinet and heat sink warm up with the load; there is no transformer and no fourth sensor.
        image.put(.holding, start + 33, [UInt16(250 + watts / 200), UInt16(280 + watts / 150), 0x8000, 0x8000, scale(-1)])
        image.put(.holding, start + 38, [watts == 0 ? 2 : 4, 0xFFFF])  // sleeping, or tracking the sun
        image.put(.holding, start + 40, [0, 0, 0, 0])
        image.put(.holding, start + 44, [UInt16](repeating: 0xFFFF, count: 8))
    }

    /// acc32 wraps from its maximum to 1, since 0 means that there is no counter.
    static func accumulator(_ wattHours: Int64) -> UInt32 {
        wattHours == 0 ? 0 : UInt32((wattHours - 1) % 0xFFFF_FFFF + 1)
    }
}
