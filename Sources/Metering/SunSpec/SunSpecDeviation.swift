/// Where a maker does not follow the models.
///
/// - Source: Tinkerforge esp32-firmware, `modules/meters_sun_spec` (its parser's quirks), by the manufacturer's name in the common model.
struct SunSpecDeviation: Sendable {
    private let maker: String
    private let version: [Int]

    init(_ identity: SunSpecIdentity?) {
        maker = identity?.manufacturer.lowercased() ?? ""
        version = (identity?.version ?? "").split(separator: ".").map { part in Int(part.filter(\.isNumber)) ?? 0 }
    }

    /// The row as this maker means it, with the patterns that are absent beside those of the standard.
    func applied(to row: SunSpecLayout.Row, of model: UInt16) -> (row: SunSpecLayout.Row, absent: [Int64]?) {
        var row = row
        var absent: [Int64]?
        let isMeter = (201...214).contains(model)
        if row.quantity.hasPrefix("power_factor"), sendsRatios(isMeter) { row.unit = "1" }
        if maker.hasPrefix("sma"), (101...103).contains(model), row.quantity.hasPrefix("current_") { row.encoding = .int16 }
        if isMeter, maker.hasPrefix("solaredge") || maker.hasPrefix("wattnode"), row.quantity.hasPrefix("power_active") {
            row.invert.toggle()
        }
        if (201...204).contains(model), maker.hasPrefix("wattnode"), ["voltage_l12", "voltage_l23", "voltage_l31"].contains(row.quantity) {
            row.encoding = .uint16
        }
        if model == 701, maker.hasPrefix("solaredge"), row.quantity.hasPrefix("current_l") || row.quantity == "power_factor" {
            absent = [0x8000, 0xFFFF]
        }
        if isMeter, row.encoding == .acc32, countsSigned { row.encoding = .int32 }
        return (row, absent)
    }

    /// Power factors from -1 to 1 where the model wants percent.
    private func sendsRatios(_ isMeter: Bool) -> Bool {
        maker.hasPrefix("sma") || maker.hasPrefix("sungrow") || maker.hasPrefix("tq") || (isMeter && maker.hasPrefix("kostal"))
    }

    /// Accumulators that hold an int32: zero counts, and it may be negative.
    private var countsSigned: Bool {
        maker.hasPrefix("tq") || (maker.hasPrefix("kostal") && version.lexicographicallyPrecedes([2, 6]))
    }
}
