// Nameplate, status, controls, storage and strings.

extension SunSpecLayout {
    /// 120. The vocabulary has no ratings; they are read once.
    static let nameplate = SunSpecLayout(
        family: .other,
        rows: [
            Row("x_sunspec_rated_power_w", 3, .uint16, scale: 4, read: .once),
            Row("x_sunspec_rated_power_va", 5, .uint16, scale: 6, read: .once),
            Row("x_sunspec_rated_current_a", 12, .uint16, scale: 13, read: .once),
            Row("x_sunspec_rated_storage_wh", 19, .uint16, scale: 20, read: .once),
            Row("x_sunspec_rated_charge_w", 23, .uint16, scale: 24, read: .once),
            Row("x_sunspec_rated_discharge_w", 25, .uint16, scale: 26, read: .once),
        ])

    /// 122. Its energies are those of the inverter model again, in more digits.
    static let status = SunSpecLayout(
        family: .other,
        rows: [
            Row("x_sunspec_pv_connected", 2, .uint16, read: .slow), Row("x_sunspec_storage_connected", 3, .uint16, read: .slow),
            Row("x_sunspec_grid_connected", 4, .uint16, read: .slow), Row("energy_active_export", 5, .acc64, "Wh", read: .slow),
            Row("energy_apparent_export", 9, .acc64, "VAh", read: .slow),
            Row("insulation_resistance", 44, .uint16, "Ohm", scale: 45, read: .slow),
        ])

    /// 123.
    static let controls = SunSpecLayout(
        family: .other,
        rows: [
            Row("inverter_power_limit", 5, .uint16, "%", scale: 23, read: .slow),
            Row("x_sunspec_power_limit_enabled", 9, .uint16, read: .slow),
        ])

    /// 124.
    static let storage = SunSpecLayout(
        family: .storage,
        rows: [
            Row("battery_soc", 8, .uint16, "%", scale: 22), Row("battery_voltage", 10, .uint16, "V", scale: 24),
            Row("x_sunspec_battery_state", 11, .uint16, read: .slow),
        ])

    /// 713.
    static let derStorage = SunSpecLayout(
        family: .storage,
        rows: [
            Row("battery_soc", 4, .uint16, "%", scale: 8), Row("battery_soh", 5, .uint16, "%", scale: 8, read: .slow),
            Row("x_sunspec_battery_available_wh", 3, .uint16, scale: 7, read: .slow),
            Row("x_sunspec_battery_status", 6, .uint16, read: .slow),
        ])

    /// 802. Current and power are as the device counts them: the model does not say which way is positive.
    static let battery = SunSpecLayout(
        family: .storage,
        rows: [
            Row("battery_soc", 11, .uint16, "%", scale: 56), Row("battery_soh", 13, .uint16, "%", scale: 58, read: .slow),
            Row("battery_voltage", 34, .uint16, "V", scale: 59), Row("x_sunspec_battery_state", 16, .uint16, read: .slow),
            Row("x_sunspec_battery_cycles", 14, .uint32, read: .slow), Row("x_sunspec_battery_current_a", 44, .int16, scale: 61),
            Row("x_sunspec_battery_power_w", 47, .int16, scale: 63),
        ])

    /// 160: strings, and with some makers batteries.
    static let strings = SunSpecLayout(
        family: .strings, rows: [],
        group: Group(
            start: 10, size: 20,
            rows: [
                Row("dc_current", 9, .uint16, "A", scale: 2), Row("dc_voltage", 10, .uint16, "V", scale: 3),
                Row("dc_power", 11, .uint16, "W", scale: 4), Row("dc_energy", 12, .acc32, "Wh", scale: 5, read: .slow),
            ]))

    /// 714: ports of strings and batteries.
    static let derPorts = SunSpecLayout(
        family: .strings,
        rows: [Row("dc_current", 5, .int16, "A", scale: 15), Row("dc_power", 6, .int16, "W", scale: 17)],
        group: Group(
            start: 20, size: 25,
            rows: [
                Row("dc_current", 10, .int16, "A", scale: 15), Row("dc_voltage", 11, .uint16, "V", scale: 16),
                Row("dc_power", 12, .int16, "W", scale: 17), Row("dc_energy", 13, .uint64, "Wh", scale: 18, read: .slow),
            ]))
}
