import Metering

/// What a device of a profile might show at a moment: quantities that agree with each other, from the time alone.
///
/// 230 V; the total is the sum of the phases; current, apparent and reactive power and power factor belong together; counters are the
/// exact integral of the power on top of some years. A device with solar quantities delivers, all others draw.
///
///     P(t) = base ± 1 %, changing sides each half minute: ∫P = base × t + base / 100 × min(t mod 60 s, 60 s − t mod 60 s)
struct PlausibleValues {
    private let profile: Profile
    private let shares: [Double]
    private let strings: Int
    private let isSource: Bool

    private static let base = 3000.0
    /// Reactive power is three tenths of the active: S = P × √1.09.
    private static let reactiveShare = 0.3
    private static let apparentShare = 1.044_030_650_891_055
    private static let volts = 230.0

    init(_ profile: Profile) {
        self.profile = profile
        let ids = Set(profile.points.map(\.quantity.id))
        let isThreePhase = ["voltage_l2", "current_l2", "power_active_l2", "grid_power_l2"].contains(where: ids.contains)
        shares = isThreePhase ? [0.4, 0.35, 0.25] : [1, 0, 0]
        strings = max(1, (1...24).last { ids.contains("dc_power_s\($0)") || ids.contains("dc_current_s\($0)") } ?? 1)
        isSource = ["pv_power", "pv_energy", "dc_power", "dc_power_s1"].contains(where: ids.contains)
    }

    /// - Parameter seconds: since the start of the device, at least 0.
    func value(of point: PointDefinition, seconds: Int64) -> Value {
        let id = point.quantity.id
        if point.quantity.kind == .text { return .text(text(point)) }
        if id.hasPrefix("x_") {
            return .number(point.map.min { $0.key < $1.key }?.value ?? ExactDecimal(1).multiplied(by: point.factor) ?? .zero)
        }
        var number = electrical(id, seconds) ?? other(id, seconds)
        // Registers without a sign hold one side only.
        if point.encoding.integers?.lowerBound ?? -1 >= 0, point.signFlag == nil, point.terms.isEmpty {
            number = point.invert ? -abs(number) : abs(number)
        }
        return .number(ExactDecimal(shortest: (number * 1_000_000).rounded() / 1_000_000) ?? .zero)
    }

    private func text(_ point: PointDefinition) -> String {
        if let name = point.names.min(by: { $0.key < $1.key })?.value { return name }
        guard point.encoding == .string else { return point.encoding.wordCount == 1 ? "1234" : "12345678" }
        let text: String
        switch point.quantity.id {
        case "device_manufacturer": text = profile.vendor
        case "device_model": text = profile.models.first ?? profile.name
        case "device_firmware": text = "1.0"
        case "device_calibration_date": text = "2026-01-01"
        default: text = "SIM12345"
        }
        var fitting = text.utf8.filter { $0 >= 0x20 && $0 < 0x7F }.prefix(Int(point.block.count) * 2)
        while fitting.last == 0x20 { fitting.removeLast() }
        return String(decoding: fitting, as: UTF8.self)
    }

    // MARK: - Electricity

    private func watts(_ seconds: Int64) -> Double {
        PlausibleValues.base + (seconds % 60 < 30 ? 1 : -1) * PlausibleValues.base / 100
    }

    /// The integral of `watts`, in Wh.
    private func wattHours(_ seconds: Int64) -> Double {
        let phase = seconds % 60
        return (PlausibleValues.base * Double(seconds) + PlausibleValues.base / 100 * Double(min(phase, 60 - phase))) / 3600
    }

    /// The share of a phase or tariff that the id names; all of it without one.
    private func split(_ id: String) -> (base: String, share: Double) {
        for (place, suffix) in ["_l1", "_l2", "_l3"].enumerated() where id.hasSuffix(suffix) {
            return (String(id.dropLast(3)), shares[place])
        }
        for (place, suffix) in ["_t1", "_t2", "_t3"].enumerated() where id.hasSuffix(suffix) {
            return (String(id.dropLast(3)), place == 0 ? 1 : 0)
        }
        return (id, 1)
    }

    private func electrical(_ id: String, _ seconds: Int64) -> Double? {
        let (base, share) = split(id)
        let power = (isSource ? -1 : 1) * watts(seconds) * share
        let (drawn, delivered) = energies(seconds, share)
        switch base {
        case "power_active": return power
        case "power_active_import": return max(power, 0)
        case "power_active_export": return max(-power, 0)
        case "power_reactive": return abs(power) * PlausibleValues.reactiveShare
        case "power_apparent", "demand_apparent": return abs(power) * PlausibleValues.apparentShare
        case "power_factor", "power_factor_displacement": return (isSource ? -1 : 1) / PlausibleValues.apparentShare
        case "demand_active_import", "demand_active_import_running": return max(power, 0)
        case "demand_active_import_max": return 4200
        case "demand_active_export_max": return 100
        case "demand_apparent_max": return 4400
        case "energy_active_import": return drawn
        case "energy_active_export": return delivered
        case "energy_active_net": return drawn - delivered
        case "energy_active_abs": return drawn + delivered
        case "energy_reactive_import", "energy_reactive_q1": return drawn * PlausibleValues.reactiveShare
        case "energy_reactive_export", "energy_reactive_q4": return delivered * PlausibleValues.reactiveShare
        case "energy_reactive_abs": return (drawn + delivered) * PlausibleValues.reactiveShare
        case "energy_apparent_import": return drawn * PlausibleValues.apparentShare
        case "energy_apparent_export": return delivered * PlausibleValues.apparentShare
        case "energy_apparent_abs": return (drawn + delivered) * PlausibleValues.apparentShare
        case "voltage", "voltage_ln_mean": return PlausibleValues.volts
        case "voltage_l12", "voltage_l23", "voltage_l31", "voltage_ll_mean": return 398.4
        case "current": return abs(power) * PlausibleValues.apparentShare / PlausibleValues.volts
        case "current_sum": return abs(power) * PlausibleValues.apparentShare / PlausibleValues.volts
        case "current_mean":
            return abs(power) * PlausibleValues.apparentShare / PlausibleValues.volts / Double(shares.filter { $0 > 0 }.count)
        case "current_n": return 0.5
        case "frequency": return 50
        case "thd_voltage": return 0.021
        case "thd_current": return 0.084
        case "voltage_unbalance": return 0.004
        case "grid_power": return 800 * share
        default: return nil
        }
    }

    /// What went in and what came out, in Wh.
    private func energies(_ seconds: Int64, _ share: Double) -> (drawn: Double, delivered: Double) {
        let much = (1_234_567 + wattHours(seconds)) * share
        return isSource ? (98_765 * share, much) : (much, 98_765 * share)
    }

    // MARK: - The rest

    private func other(_ id: String, _ seconds: Int64) -> Double {
        let (base, number) = PlausibleValues.numbered(id)
        let produced = watts(seconds)
        let part = number > 0 && number <= strings ? 1 / Double(strings) : number > 0 ? 0 : 1
        let hours = Double(seconds) / 3600
        switch base {
        case "pv_power", "dc_power": return produced * part
        case "dc_voltage": return part > 0 ? 600 : 0
        case "dc_current": return produced * part / 600
        case "pv_energy", "dc_energy": return (1_234_567 + wattHours(seconds)) * part
        case "pv_energy_day": return 12_000 + wattHours(seconds % 36_000)
        case "battery_power": return 500
        case "battery_voltage": return 51.2
        case "battery_current": return 500 / 51.2
        case "battery_soc": return 0.62
        case "battery_soh": return 0.99
        case "battery_temperature", "temperature_ambient": return 25
        case "inverter_temperature", "temperature_module", "temperature_supply": return 40
        case "temperature_return": return 30
        case "battery_energy_charge": return 345_000 + 500 * hours
        case "battery_energy_discharge": return 300_000
        case "load_power": return produced + 800 - 500
        case "load_energy": return 2_000_000 + 3300 * hours
        case "grid_energy_import": return 765_000 + 800 * hours
        case "grid_energy_export": return 54_000
        case "inverter_state": return 4
        case "inverter_power_limit": return 1
        case "insulation_resistance": return 1_000_000
        case "ct_ratio": return 40
        case "vt_ratio": return 1
        case "water_flow", "heat_flow": return 1.8
        case "run_hours": return 36_000 + Double(seconds)
        case "heat_energy": return 1_000_000 + 8000 * hours
        case "heat_power": return 8000
        case "pulse_count", "production_count": return 1000 * Double(max(number, 1)) + Double(seconds / 2)
        case "irradiance_poa", "irradiance_ghi": return 650
        case "reservoir_level": return 1.5
        case "reservoir_volume": return 12
        // Volumes, masses, rain: half a litre a second on top of what was.
        default: return id.contains("volume") ? 1234 + Double(seconds) / 2000 : Double(seconds / 60)
        }
    }

    /// `dc_power_s2` is ("dc_power", 2), `dc_power` is ("dc_power", 0).
    private static func numbered(_ id: String) -> (String, Int) {
        guard let mark = id.lastIndex(of: "_"), let kind = id[id.index(after: mark)...].first, kind == "s" || kind == "i",
            let number = Int(id[id.index(mark, offsetBy: 2)...])
        else { return (id, 0) }
        return (String(id[..<mark]), number)
    }
}
