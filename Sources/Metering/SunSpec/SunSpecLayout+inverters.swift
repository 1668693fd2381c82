// Inverters count what flows out of them as positive; our sign at their terminals is + = import, so power is inverted.

extension SunSpecLayout {
    /// 101, 102 and 103 have one layout.
    static let integerInverter = SunSpecLayout(
        family: .inverter,
        rows: [
            Row("current_sum", 2, .uint16, "A", scale: 6), Row("current_l1", 3, .uint16, "A", scale: 6),
            Row("current_l2", 4, .uint16, "A", scale: 6), Row("current_l3", 5, .uint16, "A", scale: 6),
            Row("voltage_l12", 7, .uint16, "V", scale: 13), Row("voltage_l23", 8, .uint16, "V", scale: 13),
            Row("voltage_l31", 9, .uint16, "V", scale: 13), Row("voltage_l1", 10, .uint16, "V", scale: 13),
            Row("voltage_l2", 11, .uint16, "V", scale: 13), Row("voltage_l3", 12, .uint16, "V", scale: 13),
            Row("power_active", 14, .int16, "W", scale: 15, invert: true), Row("pv_power", 14, .int16, "W", scale: 15),
            Row("frequency", 16, .uint16, "Hz", scale: 17), Row("power_apparent", 18, .int16, "VA", scale: 19),
            Row("power_reactive", 20, .int16, "var", scale: 21, invert: true),
            Row("power_factor", 22, .int16, "%", scale: 23, invert: true), Row("pv_energy", 24, .acc32, "Wh", scale: 26),
            Row("dc_current", 27, .uint16, "A", scale: 28), Row("dc_voltage", 29, .uint16, "V", scale: 30),
            Row("dc_power", 31, .int16, "W", scale: 32), Row("inverter_temperature", 33, .int16, "Cel", scale: 37, read: .slow),
            Row("inverter_state", 38, .uint16), Row("inverter_event", 40, .uint32),
        ])

    /// 111, 112 and 113.
    static let floatInverter = SunSpecLayout(
        family: .inverter,
        rows: [
            Row("current_sum", 2, .float32, "A"), Row("current_l1", 4, .float32, "A"), Row("current_l2", 6, .float32, "A"),
            Row("current_l3", 8, .float32, "A"), Row("voltage_l12", 10, .float32, "V"), Row("voltage_l23", 12, .float32, "V"),
            Row("voltage_l31", 14, .float32, "V"), Row("voltage_l1", 16, .float32, "V"), Row("voltage_l2", 18, .float32, "V"),
            Row("voltage_l3", 20, .float32, "V"), Row("power_active", 22, .float32, "W", invert: true),
            Row("pv_power", 22, .float32, "W"), Row("frequency", 24, .float32, "Hz"), Row("power_apparent", 26, .float32, "VA"),
            Row("power_reactive", 28, .float32, "var", invert: true), Row("power_factor", 30, .float32, "%", invert: true),
            Row("pv_energy", 32, .float32, "Wh"), Row("dc_current", 34, .float32, "A"), Row("dc_voltage", 36, .float32, "V"),
            Row("dc_power", 38, .float32, "W"), Row("inverter_temperature", 40, .float32, "Cel", read: .slow),
            Row("inverter_state", 48, .uint16), Row("inverter_event", 50, .uint32),
        ])

    /// 701, of IEEE 1547-2018. Its states count from 0 where those of 103 count from 1.
    static let derMeasurement = SunSpecLayout(
        family: .inverter,
        rows: [
            Row("inverter_state", 4, .uint16, map: [0: 1, 1: 2, 2: 3, 3: 4, 4: 5, 5: 6, 6: 7, 7: 8]),
            Row("inverter_event", 6, .uint32), Row("power_active", 10, .int16, "W", scale: 116, invert: true),
            Row("pv_power", 10, .int16, "W", scale: 116), Row("power_apparent", 11, .int16, "VA", scale: 118),
            Row("power_reactive", 12, .int16, "var", scale: 119, invert: true),
            Row("power_factor", 13, .int16, "1", scale: 117, invert: true), Row("current_sum", 14, .int16, "A", scale: 113),
            Row("voltage_ll_mean", 15, .uint16, "V", scale: 114), Row("voltage_ln_mean", 16, .uint16, "V", scale: 114),
            Row("frequency", 17, .uint32, "Hz", scale: 115), Row("energy_active_export", 19, .uint64, "Wh", scale: 120),
            Row("pv_energy", 19, .uint64, "Wh", scale: 120), Row("energy_active_import", 23, .uint64, "Wh", scale: 120),
            Row("energy_reactive_export", 27, .uint64, "varh", scale: 121, read: .slow),
            Row("energy_reactive_import", 31, .uint64, "varh", scale: 121, read: .slow),
            Row("inverter_temperature", 36, .int16, "Cel", scale: 122, read: .slow),
            Row("power_active_l1", 41, .int16, "W", scale: 116, invert: true), Row("current_l1", 45, .int16, "A", scale: 113),
            Row("voltage_l12", 46, .uint16, "V", scale: 114), Row("voltage_l1", 47, .uint16, "V", scale: 114),
            Row("power_active_l2", 64, .int16, "W", scale: 116, invert: true), Row("current_l2", 68, .int16, "A", scale: 113),
            Row("voltage_l23", 69, .uint16, "V", scale: 114), Row("voltage_l2", 70, .uint16, "V", scale: 114),
            Row("power_active_l3", 87, .int16, "W", scale: 116, invert: true), Row("current_l3", 91, .int16, "A", scale: 113),
            Row("voltage_l31", 92, .uint16, "V", scale: 114), Row("voltage_l3", 93, .uint16, "V", scale: 114),
        ])
}
