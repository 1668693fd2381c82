/// Writes the profile of a device from the SunSpec models it was found to have: TOML as a person would write it, so that the catalog keeps
/// it, history decodes by it, and nothing else needs to know where it came from.
///
/// - Each point is bound to its model: with another id in the model's first register it has no value, for then the map is another one.
/// - A scale factor comes from the value's own answer; only where a model is too long for one (strings beyond the sixth), from the same poll.
/// - The first inverter has the canonical quantities and the first meter beside it those of the grid; a device without an inverter is a
///   meter. What comes a second time is `x_sunspec_meter2_…`.
package struct SunSpecProfile: Sendable {
    package static let name = "sunspec"
    /// Points of a profile; what is beyond is left out.
    static let pointLimit = 512
    /// Scale factors beyond these are none.
    static let scaleRange = -10...10

    private let chain: SunSpecChain
    private var lines: [String] = []
    private var used: Set<String> = []
    private let hasInverter: Bool
    private var inverters = 0
    private var meters = 0

    /// The text of the profile. Nil where the chain has no model that holds a point.
    package static func text(of chain: SunSpecChain) -> String? {
        var writer = SunSpecProfile(chain)
        writer.writePoints()
        guard !writer.used.isEmpty else { return nil }
        return (writer.head + writer.lines).joined(separator: "\n") + "\n"
    }

    private init(_ chain: SunSpecChain) {
        self.chain = chain
        hasInverter = chain.models.contains { SunSpecLayout.of($0.id)?.family == .inverter }
    }

    // MARK: The file but for its points

    private var head: [String] {
        let who = chain.parts.compactMap { $0.first }.compactMap { chain.identities[$0.address] }
        let models = who.map { identity in [identity.model, identity.version].compactMap { $0 }.joined(separator: " ") }
        let serials = who.compactMap(\.serial)
        let found = chain.models.map { "\($0.id) at \($0.address) (\($0.length))" }.joined(separator: ", ")
        let serial = serials.isEmpty ? "" : ", serial " + serials.joined(separator: ", ")
        let source = "SunSpec models as the device\(serial) lists them: \(found); layouts of sunspec/models, 7abdf898"
        var head = [
            "profile = \"\(SunSpecProfile.name)\"", "version = 1",
            "vendor = \(SunSpecProfile.quoted(who.first?.manufacturer ?? "unknown"))",
            "models = [\((models.isEmpty ? ["unknown"] : models).map(SunSpecProfile.quoted).joined(separator: ", "))]",
            "source = \(SunSpecProfile.quoted(source))", "", "[read]", "max_registers = 125", "max_gap = 0",
        ]
        for model in chain.models where model.id == 1 || SunSpecLayout.of(model.id) != nil {
            head += [
                "", "[[read.window]]", "table = \"holding\"", "first = \(model.address)", "last = \(Int(model.address) + model.count - 1)",
            ]
        }
        head += ["", "[defaults]", "table = \"holding\"", "absent = \"sunspec\""]
        head += ["", "[[detect]]", "type = \"uint32\"", "address = \(chain.base)", "equals = [0x53756E53]"]
        for model in chain.models where SunSpecLayout.of(model.id) != nil {
            head += ["", "[[detect]]", "type = \"uint16\"", "address = \(model.address)", "equals = [\(model.id)]"]
        }
        return head
    }

    private static func quoted(_ text: String) -> String {
        "\"" + text.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"") + "\""
    }

    // MARK: Points

    private mutating func writePoints() {
        for (index, part) in chain.parts.enumerated() {
            let identity = part.first.flatMap { chain.identities[$0.address] }
            let deviation = SunSpecDeviation(identity)
            if index == 0, let common = part.first, identity != nil { writeIdentity(common) }
            var hasInverter = false
            for model in part {
                guard let layout = SunSpecLayout.of(model.id) else { continue }
                if layout.family == .inverter {
                    // One inverter has its values in models of several kinds: the first is enough.
                    if hasInverter { continue }
                    hasInverter = true
                }
                write(layout, model, prefix(layout.family), deviation)
            }
        }
    }

    private mutating func writeIdentity(_ common: SunSpecModel) {
        let rows: [(String, Int, Int)] = [
            ("device_manufacturer", 2, 16), ("device_model", 18, 16), ("device_firmware", 42, 8), ("device_serial", 50, 16),
        ]
        for (quantity, offset, length) in rows where offset + length <= common.count {
            used.insert(quantity)
            lines += [
                "", "[[point]]", "quantity = \"\(quantity)\"", "type = \"string\"", "address = \(Int(common.address) + offset)",
                "length = \(length)", "class = \"once\"",
            ]
        }
    }

    /// What the names of the n-th of its kind begin with.
    private mutating func prefix(_ family: SunSpecLayout.Family) -> String? {
        switch family {
        case .inverter:
            inverters += 1
            return inverters == 1 ? nil : "x_sunspec_inverter\(inverters)_"
        case .meter:
            meters += 1
            if hasInverter { return "x_sunspec_meter\(meters)_" }
            return meters == 1 ? nil : "x_sunspec_meter\(meters)_"
        case .storage, .strings, .other:
            // Of a second inverter.
            return inverters > 1 ? "x_sunspec_inverter\(inverters)_" : nil
        }
    }

    private mutating func write(_ layout: SunSpecLayout, _ model: SunSpecModel, _ prefix: String?, _ deviation: SunSpecDeviation) {
        for row in layout.rows { write(row, model, base: 0, name(row.quantity, layout.family, prefix), deviation) }
        guard let group = layout.group else { return }
        for instance in 0..<SunSpecLayout.instances(of: model) {
            for row in group.rows {
                write(row, model, base: group.start + instance * group.size, (prefix ?? "") + "\(row.quantity)_s\(instance + 1)", deviation)
            }
        }
        if model.id == 160, chain.hasStorage, prefix == nil { writeStorage(group, model, deviation) }
    }

    /// The canonical name where there is one for this place; nil for what would say something else than it seems to.
    private func name(_ quantity: String, _ family: SunSpecLayout.Family, _ prefix: String?) -> String? {
        if family == .meter, hasInverter, meters == 1, let grid = SunSpecProfile.gridQuantities[quantity] { return grid }
        if family == .inverter, chain.hasStorage {
            // What leaves a hybrid inverter comes from its battery too.
            if quantity == "pv_power" { return nil }
            if quantity == "pv_energy" { return (prefix ?? "") + "energy_active_export" }
        }
        guard let prefix else { return quantity }
        return prefix + quantity.replacing("x_sunspec_", with: "")
    }

    private static let gridQuantities = [
        "power_active": "grid_power", "power_active_l1": "grid_power_l1", "power_active_l2": "grid_power_l2",
        "power_active_l3": "grid_power_l3", "energy_active_import": "grid_energy_import", "energy_active_export": "grid_energy_export",
    ]

    /// - Parameter base: offset of the group's instance that the row is of.
    private mutating func write(
        _ row: SunSpecLayout.Row, _ model: SunSpecModel, base: Int, _ name: String?, _ deviation: SunSpecDeviation, plus: [Int] = [],
        factor: Int = 1
    ) {
        let (row, absent) = deviation.applied(to: row, of: model.id)
        let offset = base + row.offset
        // A model shorter than the standard's has the points that fit.
        guard let name, Vocabulary.quantity(name) != nil, !used.contains(name), used.count < SunSpecProfile.pointLimit,
            offset + (row.encoding.wordCount ?? 1) <= model.count, (row.scale ?? 0) < model.count
        else { return }
        used.insert(name)
        let start = Int(model.address)
        lines += ["", "[[point]]", "quantity = \"\(name)\"", "address = \(start + offset)", "type = \"\(row.encoding.rawValue)\""]
        if row.encoding == .float32, chain.floatOrder == .cdab { lines.append("order = \"CDAB\"") }
        if row.pointClass != .live { lines.append("class = \"\(row.pointClass.rawValue)\"") }
        let isOwn = name.hasPrefix("x_")
        if !row.unit.isEmpty, !isOwn { lines.append("unit = \"\(row.unit)\"") }
        if isOwn, row.unit == "%" { lines.append("scale = 0.01") }
        if row.invert { lines.append("invert = true") }
        if let absent { lines.append("absent = [\(absent.map(String.init).joined(separator: ", "))]") }
        if !row.map.isEmpty {
            lines.append("map = { \(row.map.sorted { $0.key < $1.key }.map { "\($0.key) = \($0.value)" }.joined(separator: ", ")) }")
        }
        if !plus.isEmpty {
            lines.append("plus = [\(plus.map { "{ address = \(start + $0), scale = \(factor) }" }.joined(separator: ", "))]")
        }
        if name == "inverter_state" { lines.append("names = { \(SunSpecProfile.stateNames) }") }
        var ratios = ["{ address = \(start), map = { \(model.id) = 1 } }"]
        if let scale = row.scale {
            let run = [scale, offset, offset + (row.encoding.wordCount ?? 1) - 1] + plus
            if (run.max() ?? 0) - (run.min() ?? 0) < RegisterTable.holding.requestLimit {
                lines.append("scale_register = \(start + scale)")
            } else {
                ratios.append("{ address = \(start + scale), type = \"int16\", map = { \(SunSpecProfile.powers) } }")
            }
        }
        lines.append("multiply = [\(ratios.joined(separator: ", "))]")
    }

    private static let stateNames =
        "1 = \"off\", 2 = \"sleeping\", 3 = \"starting\", 4 = \"producing\", 5 = \"throttled\", 6 = \"shutting down\", "
        + "7 = \"fault\", 8 = \"standby\""

    /// `-10 = 1e-10, … 10 = 1e10`.
    private static let powers = scaleRange.map { "\($0) = 1e\($0)" }.joined(separator: ", ")

    /// Fronius hybrids list the battery among the strings: `StCha 3` charges, `StDisCha 4` discharges.
    private mutating func writeStorage(_ group: SunSpecLayout.Group, _ model: SunSpecModel, _ deviation: SunSpecDeviation) {
        let names = (chain.moduleNames[model.address] ?? []).map { $0.lowercased() }
        guard !names.isEmpty, !names.contains("") else { return }
        func base(_ index: Int) -> Int { group.start + index * group.size }
        let charge = names.indices.first { names[$0].hasPrefix("stcha") }
        let discharge = names.indices.first { names[$0].hasPrefix("stdischa") }
        let strings = names.indices.filter { !names[$0].hasPrefix("st") }
        guard let power = group.rows.first(where: { $0.quantity == "dc_power" }),
            let energy = group.rows.first(where: { $0.quantity == "dc_energy" })
        else { return }
        if let first = strings.first {
            write(power, model, base: base(first), "pv_power", deviation, plus: strings.dropFirst().map { base($0) + power.offset })
        }
        guard let charge, let discharge else { return }
        write(power, model, base: base(charge), "battery_power", deviation, plus: [base(discharge) + power.offset], factor: -1)
        write(energy, model, base: base(charge), "battery_energy_charge", deviation)
        write(energy, model, base: base(discharge), "battery_energy_discharge", deviation)
    }
}
