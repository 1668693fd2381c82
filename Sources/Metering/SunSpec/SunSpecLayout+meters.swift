// Meters count what flows from the grid as positive, as we do.

extension SunSpecLayout {
    /// 201 to 204 have one layout.
    static let integerMeter = SunSpecLayout(
        family: .meter,
        rows: [
            Row("current_sum", 2, .int16, "A", scale: 6), Row("current_l1", 3, .int16, "A", scale: 6),
            Row("current_l2", 4, .int16, "A", scale: 6), Row("current_l3", 5, .int16, "A", scale: 6),
            Row("voltage_ln_mean", 7, .int16, "V", scale: 15), Row("voltage_l1", 8, .int16, "V", scale: 15),
            Row("voltage_l2", 9, .int16, "V", scale: 15), Row("voltage_l3", 10, .int16, "V", scale: 15),
            Row("voltage_ll_mean", 11, .int16, "V", scale: 15), Row("voltage_l12", 12, .int16, "V", scale: 15),
            Row("voltage_l23", 13, .int16, "V", scale: 15), Row("voltage_l31", 14, .int16, "V", scale: 15),
            Row("frequency", 16, .int16, "Hz", scale: 17), Row("power_active", 18, .int16, "W", scale: 22),
            Row("power_active_l1", 19, .int16, "W", scale: 22), Row("power_active_l2", 20, .int16, "W", scale: 22),
            Row("power_active_l3", 21, .int16, "W", scale: 22), Row("power_apparent", 23, .int16, "VA", scale: 27),
            Row("power_apparent_l1", 24, .int16, "VA", scale: 27), Row("power_apparent_l2", 25, .int16, "VA", scale: 27),
            Row("power_apparent_l3", 26, .int16, "VA", scale: 27), Row("power_reactive", 28, .int16, "var", scale: 32),
            Row("power_reactive_l1", 29, .int16, "var", scale: 32), Row("power_reactive_l2", 30, .int16, "var", scale: 32),
            Row("power_reactive_l3", 31, .int16, "var", scale: 32), Row("power_factor", 33, .int16, "%", scale: 37),
            Row("power_factor_l1", 34, .int16, "%", scale: 37), Row("power_factor_l2", 35, .int16, "%", scale: 37),
            Row("power_factor_l3", 36, .int16, "%", scale: 37), Row("energy_active_export", 38, .acc32, "Wh", scale: 54),
            Row("energy_active_export_l1", 40, .acc32, "Wh", scale: 54, read: .slow),
            Row("energy_active_export_l2", 42, .acc32, "Wh", scale: 54, read: .slow),
            Row("energy_active_export_l3", 44, .acc32, "Wh", scale: 54, read: .slow),
            Row("energy_active_import", 46, .acc32, "Wh", scale: 54),
            Row("energy_active_import_l1", 48, .acc32, "Wh", scale: 54, read: .slow),
            Row("energy_active_import_l2", 50, .acc32, "Wh", scale: 54, read: .slow),
            Row("energy_active_import_l3", 52, .acc32, "Wh", scale: 54, read: .slow),
            Row("energy_apparent_export", 55, .acc32, "VAh", scale: 71, read: .slow),
            Row("energy_apparent_import", 63, .acc32, "VAh", scale: 71, read: .slow),
            Row("energy_reactive_q1", 72, .acc32, "varh", scale: 104, read: .slow),
            Row("energy_reactive_q2", 80, .acc32, "varh", scale: 104, read: .slow),
            Row("energy_reactive_q3", 88, .acc32, "varh", scale: 104, read: .slow),
            Row("energy_reactive_q4", 96, .acc32, "varh", scale: 104, read: .slow),
        ])

    /// 211 to 214. The unit of their power factor is "PF", a ratio, where that of 201 to 204 is "Pct".
    static let floatMeter = SunSpecLayout(
        family: .meter,
        rows: [
            Row("current_sum", 2, .float32, "A"), Row("current_l1", 4, .float32, "A"), Row("current_l2", 6, .float32, "A"),
            Row("current_l3", 8, .float32, "A"), Row("voltage_ln_mean", 10, .float32, "V"), Row("voltage_l1", 12, .float32, "V"),
            Row("voltage_l2", 14, .float32, "V"), Row("voltage_l3", 16, .float32, "V"), Row("voltage_ll_mean", 18, .float32, "V"),
            Row("voltage_l12", 20, .float32, "V"), Row("voltage_l23", 22, .float32, "V"), Row("voltage_l31", 24, .float32, "V"),
            Row("frequency", 26, .float32, "Hz"), Row("power_active", 28, .float32, "W"), Row("power_active_l1", 30, .float32, "W"),
            Row("power_active_l2", 32, .float32, "W"), Row("power_active_l3", 34, .float32, "W"),
            Row("power_apparent", 36, .float32, "VA"), Row("power_apparent_l1", 38, .float32, "VA"),
            Row("power_apparent_l2", 40, .float32, "VA"), Row("power_apparent_l3", 42, .float32, "VA"),
            Row("power_reactive", 44, .float32, "var"), Row("power_reactive_l1", 46, .float32, "var"),
            Row("power_reactive_l2", 48, .float32, "var"), Row("power_reactive_l3", 50, .float32, "var"),
            Row("power_factor", 52, .float32, "1"), Row("power_factor_l1", 54, .float32, "1"),
            Row("power_factor_l2", 56, .float32, "1"), Row("power_factor_l3", 58, .float32, "1"),
            Row("energy_active_export", 60, .float32, "Wh"), Row("energy_active_export_l1", 62, .float32, "Wh", read: .slow),
            Row("energy_active_export_l2", 64, .float32, "Wh", read: .slow),
            Row("energy_active_export_l3", 66, .float32, "Wh", read: .slow),
            Row("energy_active_import", 68, .float32, "Wh"), Row("energy_active_import_l1", 70, .float32, "Wh", read: .slow),
            Row("energy_active_import_l2", 72, .float32, "Wh", read: .slow),
            Row("energy_active_import_l3", 74, .float32, "Wh", read: .slow),
            Row("energy_apparent_export", 76, .float32, "VAh", read: .slow),
            Row("energy_apparent_import", 84, .float32, "VAh", read: .slow),
            Row("energy_reactive_q1", 92, .float32, "varh", read: .slow), Row("energy_reactive_q2", 100, .float32, "varh", read: .slow),
            Row("energy_reactive_q3", 108, .float32, "varh", read: .slow), Row("energy_reactive_q4", 116, .float32, "varh", read: .slow),
        ])
}
