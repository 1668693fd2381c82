/// Whether a value can be what it says it is: for whoever compares a new device with its display. It never changes or drops a reading.
package enum Plausibility {
    /// Why no meter of this world shows this value; nil where one may.
    ///
    ///     voltage_l1 2.7e23 V → "a voltage of 0 to 1000 V was expected": wrong address or word order
    package static func objection(to value: ExactDecimal, of quantity: Quantity) -> String? {
        let number = value.double
        guard let (range, what) = expectation(quantity) else { return nil }
        return range.contains(number) ? nil : "\(what) was expected; check address, type, word order and scale"
    }

    private static func expectation(_ quantity: Quantity) -> (ClosedRange<Double>, String)? {
        switch quantity.id {
        case "frequency": return (40...70, "40 to 70 Hz")
        case "battery_soc", "battery_soh", "inverter_power_limit": return (0...1, "a ratio of 0 to 1")
        case "ct_ratio", "vt_ratio": return (0...1e6, "a ratio of 0 to 1000000")
        default: break
        }
        if quantity.id.hasPrefix("power_factor") { return (-1...1, "a power factor of -1 to 1") }
        if quantity.id.hasPrefix("thd_") { return (0...20, "a distortion of 0 to 2000 %") }
        if quantity.id.hasPrefix("dc_voltage") { return (-10...2000, "0 to 2000 V") }
        if quantity.kind == .counter { return (0...1e15, "a counter that is not negative") }
        switch quantity.unit {
        case "V": return (0...50_000, "0 to 50 kV")
        case "A": return (-50_000...50_000, "up to 50 kA")
        case "W", "var", "VA": return (-1e10...1e10, "up to 10 GW")
        case "Cel": return (-80...400, "-80 to 400 degrees Celsius")
        case "m3/h": return (-1e5...1e5, "up to 100000 m3/h")
        case "W/m2": return (-50...2000, "0 to 2000 W/m2")
        default: return nil
        }
    }
}
