import Metering

/// `meterctl profiles show`: what a profile says, as people compare it with a vendor's table.
package struct ProfileCard: Sendable {
    let entry: ProfileShelf.Entry
    let profile: Profile

    /// Nil for an entry without a valid profile.
    package init?(_ entry: ProfileShelf.Entry) {
        guard let profile = entry.profile else { return nil }
        self.entry = entry
        self.profile = profile
    }

    package func lines(width: Int?, paint: Paint) -> [String] {
        var lines = [
            "\(profile.name), version \(profile.version): \(profile.vendor) \(profile.models.joined(separator: ", "))",
            "  file      \(entry.file ?? "built in")", "  source    \(profile.source)",
        ]
        let limits = profile.limits
        var read = ["at most \(limits.maxRegisters) registers a request, gaps of \(limits.maxGap)"]
        if limits.requestPause > .zero { read.append("\(Measures.text(limits.requestPause)) between requests") }
        if limits.connectDelay > .zero { read.append("\(Measures.text(limits.connectDelay)) after connecting") }
        if limits.losesFirstRequest { read.append("loses the first request") }
        lines.append("  read      \(read.joined(separator: ", "))")
        if let new = ProfileCard.whenNew(profile.hints) { lines.append("  when new  \(new)") }
        lines.append("  examples  \(profile.examples.count), identity checks \(profile.identity.count)")
        lines.append("")
        return lines.map(\.withoutControls) + table.lines(width: width, paint: paint)
    }

    private static func whenNew(_ hints: ConnectionHints) -> String? {
        let parts = [
            hints.baud.map { "\($0) \(hints.format ?? "")" }, hints.port.map { "port \($0)" }, hints.unit.map { "unit \($0)" },
            hints.singleClient ? "one TCP client only" : nil, hints.setup,
        ]
        let known = parts.compactMap { $0 }
        return known.isEmpty ? nil : known.joined(separator: ", ")
    }

    private var table: Table {
        Table(
            [
                .init("ADDRESS", .right, matters: true), .init("KIND"), .init("TYPE", matters: true), .init("ORDER"),
                .init("FACTOR", .right, matters: true), .init("UNIT"), .init("CLASS"), .init("QUANTITY", cut: .middle, matters: true),
                .init("BESIDES", cut: .end),
            ],
            rows: profile.points.map { point in
                [
                    .init(String(point.block.address)), .init(point.block.table.name), .init(point.typeName),
                    .init(point.block.count == 1 && point.parts.isEmpty ? "-" : point.order.rawValue), .init(point.factor.description),
                    .init(point.quantity.unit.isEmpty ? "-" : point.quantity.unit), .init(point.pointClass.rawValue),
                    .init(point.quantity.id), .init(point.besides.joined(separator: "; ")),
                ]
            })
    }
}

extension PointDefinition {
    var typeName: String { encoding == .string ? "string(\(block.count))" : encoding.rawValue }

    /// What else makes the value, in words.
    var besides: [String] {
        var parts: [String] = []
        if invert { parts.append("inverted") }
        if let scaleRegister { parts.append("10^register \(scaleRegister.address)") }
        if !self.parts.isEmpty { parts.append("further words at \(self.parts.map { String($0.address) }.joined(separator: " "))") }
        parts += terms.map { "plus \($0.block.address) x \($0.factor)" }
        parts += ratios.map { "times \($0.block.address)\($0.map.isEmpty ? "" : " (mapped)")" }
        if let signFlag { parts.append("negative by register \(signFlag.block.address)") }
        if let mask { parts.append("bits 0x\(String(mask, radix: 16))") }
        if !map.isEmpty { parts.append("\(map.count) codes mapped") }
        if offset != .zero { parts.append("offset \(offset)") }
        return parts
    }
}

extension ProfileCard: JSONValue {
    private enum Keys: String, CodingKey { case profile, version, vendor, models, source, file, points, examples }

    package func write(to json: inout JSONWriter) {
        json.object {
            $0.field(Keys.profile, profile.name)
            $0.field(Keys.version, profile.version)
            $0.field(Keys.vendor, profile.vendor)
            $0.field(Keys.models, profile.models)
            $0.field(Keys.source, profile.source)
            $0.field(Keys.file, entry.file)
            $0.field(Keys.points, profile.points)
            $0.field(Keys.examples, profile.examples.count)
        }
    }
}

extension PointDefinition: JSONValue {
    private enum Keys: String, CodingKey {
        case quantity, unit, kind, address, registers, type, order, factor, offset
        case pointClass = "class"
        case scaleRegister = "scale_register"
        case besides
    }

    package func write(to json: inout JSONWriter) {
        json.object {
            $0.field(Keys.quantity, quantity.id)
            $0.field(Keys.unit, quantity.unit)
            $0.field(Keys.kind, block.table.name)
            $0.field(Keys.address, block.address)
            $0.field(Keys.registers, Int(block.count) + parts.count)
            $0.field(Keys.type, encoding.rawValue)
            $0.field(Keys.order, order.rawValue)
            $0.field(Keys.factor, factor)
            $0.field(Keys.offset, offset)
            $0.field(Keys.pointClass, pointClass.rawValue)
            $0.field(Keys.scaleRegister, scaleRegister?.address)
            $0.field(Keys.besides, besides)
        }
    }
}
