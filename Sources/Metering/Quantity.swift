/// What is measured: an id of the vocabulary, its unit without prefix, and whether it counts or gauges.
///
/// Signed gauges: + flows from the grid or source into the load (import), − is export, at the point's own terminals.
package struct Quantity: Hashable, Sendable {
    package enum Kind: String, Hashable, Sendable {
        /// A momentary value.
        case gauge
        /// Cumulative and never falling, but for rollover, reset and exchange.
        case counter
        /// A code: an operating state or a set of event bits.
        case state
        /// Identity: a serial number, a firmware version.
        case text
    }

    package var id: String
    /// W, Wh, var, varh, VA, VAh, V, A, Hz, m3, Cel, Pa, s, 1 (ratio) ...; empty for text and states.
    package var unit: String
    package var kind: Kind

    package init(id: String, unit: String, kind: Kind) {
        self.id = id
        self.unit = unit
        self.kind = kind
    }
}

/// The canonical quantities. Sources: OBIS (IEC 62056-6-1) for the electrical ids, SunSpec models 101-103, 122, 160, 302, 307, 802 for
/// the inverter, weather and battery ids. Kind first, then qualifier, direction, phase, tariff.
package enum Vocabulary {
    /// The quantity of this id; nil when the vocabulary has none. `x_<vendor>_<name>` is a vendor's own gauge without a unit rule.
    package static func quantity(_ id: String) -> Quantity? {
        if let known = byID[id] { return known }
        if id.hasPrefix("x_"), id.utf8.count > 4, id.utf8.count <= 64 { return Quantity(id: id, unit: "", kind: .gauge) }
        return nil
    }

    /// Every id, in the order of the vocabulary.
    package static let all: [Quantity] = rows.flatMap { row in
        ([""] + row.suffixes).map { Quantity(id: row.id + $0, unit: row.unit, kind: row.kind) }
    }

    private static let byID = Dictionary(uniqueKeysWithValues: all.map { ($0.id, $0) })

    private struct Row {
        var id: String
        var unit: String
        var kind: Quantity.Kind
        var suffixes: [String]
        init(_ id: String, _ unit: String, _ kind: Quantity.Kind, _ suffixes: [String] = []) {
            self.id = id
            self.unit = unit
            self.kind = kind
            self.suffixes = suffixes
        }
    }

    private static let phases = ["_l1", "_l2", "_l3"]
    private static let tariffs = ["_t1", "_t2", "_t3"]
    private static let inputs = (1...16).map { "_i\($0)" }
    private static let strings = (1...24).map { "_s\($0)" }

    private static let rows: [Row] = [
        // Energy
        Row("energy_active_import", "Wh", .counter, phases + tariffs),
        Row("energy_active_export", "Wh", .counter, phases + tariffs),
        Row("energy_active_net", "Wh", .gauge, phases),
        Row("energy_active_abs", "Wh", .counter, phases),
        Row("energy_reactive_import", "varh", .counter, phases),
        Row("energy_reactive_export", "varh", .counter, phases),
        Row("energy_reactive_abs", "varh", .counter, phases),
        Row("energy_reactive_q1", "varh", .counter),
        Row("energy_reactive_q2", "varh", .counter),
        Row("energy_reactive_q3", "varh", .counter),
        Row("energy_reactive_q4", "varh", .counter),
        Row("energy_apparent_import", "VAh", .counter, phases),
        Row("energy_apparent_export", "VAh", .counter, phases),
        Row("energy_apparent_abs", "VAh", .counter),
        // Power
        Row("power_active", "W", .gauge, phases),
        Row("power_active_import", "W", .gauge, phases),
        Row("power_active_export", "W", .gauge, phases),
        Row("power_reactive", "var", .gauge, phases),
        Row("power_apparent", "VA", .gauge, phases),
        Row("power_factor", "1", .gauge, phases),
        Row("power_factor_displacement", "1", .gauge, phases),
        // Voltage, current, frequency
        Row("voltage_l1", "V", .gauge), Row("voltage_l2", "V", .gauge), Row("voltage_l3", "V", .gauge),
        Row("voltage_l12", "V", .gauge), Row("voltage_l23", "V", .gauge), Row("voltage_l31", "V", .gauge),
        Row("voltage_ln_mean", "V", .gauge), Row("voltage_ll_mean", "V", .gauge),
        Row("voltage_unbalance", "1", .gauge),
        Row("current_l1", "A", .gauge), Row("current_l2", "A", .gauge), Row("current_l3", "A", .gauge),
        Row("current_n", "A", .gauge), Row("current_mean", "A", .gauge), Row("current_sum", "A", .gauge),
        Row("frequency", "Hz", .gauge),
        Row("thd_voltage", "1", .gauge, phases),
        Row("thd_current", "1", .gauge, phases),
        // Demand
        Row("demand_active_import", "W", .gauge),
        Row("demand_active_import_running", "W", .gauge),
        Row("demand_active_import_max", "W", .gauge),
        Row("demand_active_export_max", "W", .gauge),
        Row("demand_apparent", "VA", .gauge),
        Row("demand_apparent_max", "VA", .gauge),
        // Identity and upkeep
        Row("ct_ratio", "1", .gauge), Row("vt_ratio", "1", .gauge),
        Row("device_clock_offset", "s", .gauge),
        Row("device_serial", "", .text), Row("device_firmware", "", .text),
        Row("device_manufacturer", "", .text), Row("device_model", "", .text),
        Row("device_calibration_date", "", .text),
        Row("power_fail_count", "1", .counter),
        // What an inverter says of the meter at the grid and of the loads behind it
        Row("grid_power", "W", .gauge, phases), Row("grid_energy_import", "Wh", .counter), Row("grid_energy_export", "Wh", .counter),
        Row("load_power", "W", .gauge), Row("load_energy", "Wh", .counter),
        // Solar and battery
        Row("pv_energy", "Wh", .counter), Row("pv_power", "W", .gauge), Row("pv_energy_day", "Wh", .gauge),
        Row("inverter_state", "", .state), Row("inverter_event", "", .state),
        Row("inverter_power_limit", "1", .gauge), Row("inverter_temperature", "Cel", .gauge),
        Row("insulation_resistance", "Ohm", .gauge),
        Row("dc_power", "W", .gauge, strings), Row("dc_voltage", "V", .gauge, strings),
        Row("dc_current", "A", .gauge, strings), Row("dc_energy", "Wh", .counter, strings),
        Row("irradiance_poa", "W/m2", .gauge), Row("irradiance_ghi", "W/m2", .gauge), Row("insolation_poa", "Wh/m2", .counter),
        Row("temperature_module", "Cel", .gauge), Row("temperature_ambient", "Cel", .gauge),
        Row("battery_soc", "1", .gauge), Row("battery_soh", "1", .gauge), Row("battery_power", "W", .gauge),
        Row("battery_voltage", "V", .gauge), Row("battery_current", "A", .gauge), Row("battery_temperature", "Cel", .gauge),
        Row("battery_energy_charge", "Wh", .counter), Row("battery_energy_discharge", "Wh", .counter),
        Row("genset_fuel", "L", .counter), Row("run_hours", "s", .counter),
        // Water, gas, heat, air
        Row("water_volume", "m3", .counter, inputs), Row("water_volume_reverse", "m3", .counter), Row("water_flow", "m3/h", .gauge),
        Row("hot_water_volume", "m3", .counter), Row("wastewater_volume", "m3", .counter), Row("rainwater_volume", "m3", .counter),
        Row("reservoir_level", "m", .gauge), Row("reservoir_volume", "m3", .gauge), Row("rainfall", "mm", .counter),
        Row("gas_volume", "m3", .counter),
        Row("heat_energy", "Wh", .counter), Row("heat_power", "W", .gauge), Row("heat_flow", "m3/h", .gauge),
        Row("temperature_supply", "Cel", .gauge), Row("temperature_return", "Cel", .gauge),
        Row("steam_mass", "kg", .counter), Row("compressed_air_volume", "m3", .counter),
        Row("pulse_count", "1", .counter, inputs), Row("production_count", "1", .counter),
    ]
}

/// A unit as a profile writes it: the canonical unit, and the power of ten that leads to it. kWh is 10^3 Wh; % is 10^-2 of 1.
package enum Unit {
    /// Nil for a unit that nothing here knows.
    package static func parse(_ text: String) -> (canonical: String, exponent: Int)? {
        if let special = special[text] { return special }
        if canonical.contains(text) { return (text, 0) }
        for (prefix, exponent) in prefixes where text.hasPrefix(prefix) {
            let rest = String(text.dropFirst(prefix.count))
            if prefixable.contains(rest) { return (rest, exponent) }
        }
        return nil
    }

    private static let prefixes = [("m", -3), ("k", 3), ("M", 6), ("G", 9)]
    private static let prefixable: Set = ["W", "Wh", "var", "varh", "VA", "VAh", "V", "A", "Hz", "Ohm", "Pa", "s"]
    private static let canonical: Set = [
        "W", "Wh", "var", "varh", "VA", "VAh", "V", "A", "Hz", "m3", "m3/h", "Cel", "Pa", "s", "1", "W/m2", "Wh/m2", "Ohm", "kg", "L", "m",
        "mm",
        "",
    ]
    private static let special: [String: (canonical: String, exponent: Int)] = [
        "%": ("1", -2), "°C": ("Cel", 0), "C": ("Cel", 0), "l": ("L", 0), "mm": ("mm", 0),
    ]
}
