import Metering

/// One key of the configuration, with the value that is in force and where that comes from.
package struct ConfigurationEntry: Hashable, Sendable {
    package enum Origin: Hashable, Sendable {
        case file(String, line: Int)
        /// Taken over from another table: `[defaults.device]`.
        case inherited(from: String, file: String, line: Int)
        /// Nobody wrote it; the note says what the default is made of, where that is not a fixed value.
        case standard(note: String?)
    }

    /// `gateway`, `bus`, `device`.
    package var table: String
    /// Which bus, device or output; nil where there is one table only.
    package var name: String?
    package var key: String
    /// As it may be shown, without secrets; nil when it is not set.
    package var value: ConfigurationValue?
    package var origin: Origin
    /// What a comparison goes by. It never leaves the process.
    var exact: ConfigurationValue?
    /// The content of what the value names, where that counts too: the text of a profile.
    var content: String?

    var place: String { "\(table)\u{0}\(name ?? "")" }
}

/// The whole configuration key by key, in the order of its files.
package struct ConfigurationListing: Hashable, Sendable {
    package var files: [String] = []
    package var entries: [ConfigurationEntry] = []

    package init(files: [String] = [], entries: [ConfigurationEntry] = []) {
        self.files = files
        self.entries = entries
    }

    /// - Parameter tables: as they were read, file by file.
    init(_ tables: [TomlTable], of configuration: Configuration, files: [String]) {
        self.files = files
        for table in ["gateway", "journal", "api"] {
            entries += ConfigurationListing.merged(table, tables.filter { $0.path == table }, configuration)
        }
        for kind in ["bus", "device", "output"] {
            let profiles = kind == "device" ? Dictionary(configuration.devices.map { ($0.name, $0.profileText) }) { $1 } : [:]
            for table in tables where table.path.hasPrefix(kind + "[") && !table.path.contains(".") {
                let inner = tables.filter { $0.file == table.file && $0.path.hasPrefix(table.path + ".") }
                var own = ConfigurationListing.entries(kind, table, inner)
                if let name = own.first?.name, let text = profiles[name] {
                    for index in own.indices where own[index].key == "profile" { own[index].content = text }
                }
                entries += own
            }
        }
    }

    /// A table that each file may have: later files win, key by key.
    private static func merged(_ kind: String, _ tables: [TomlTable], _ configuration: Configuration) -> [ConfigurationEntry] {
        var keys = ConfigurationDefaults.keys(of: kind)
        for table in tables { keys += table.keys.filter { !keys.contains($0) } }
        return keys.map { key in
            if let table = tables.last(where: { $0.members[key] != nil }) { return entry(kind, nil, key, table, []) }
            let standard = key == "id" ? .text(configuration.gateway.id) : ConfigurationDefaults.value(kind, key)
            return ConfigurationEntry(
                table: kind, name: nil, key: key, value: standard, origin: .standard(note: ConfigurationDefaults.note(kind, key)),
                exact: standard)
        }
    }

    /// One of many tables, with the tables inside it.
    private static func entries(_ kind: String, _ table: TomlTable, _ inner: [TomlTable]) -> [ConfigurationEntry] {
        func text(_ key: String) -> String? {
            guard case .string(let text)? = table.members[key]?.content else { return nil }
            return text
        }
        let name = text("name") ?? table.path
        let variants = [text("url").map { String($0.prefix { $0 != ":" }) }, text("type"), text("preset")].compactMap { $0 }
        let inside = Set(inner.map { String($0.path.dropFirst(table.path.count + 1).prefix { $0 != "." && $0 != "[" }) })
        let own = table.keys.filter { !inside.contains($0) && $0 != "units" }.map { entry(kind, name, $0, table, variants) }
        return own
            + inner.flatMap { part in
                let prefix = part.path.dropFirst(table.path.count + 1)
                return part.keys.map { key in
                    var entry = entry(kind, name, key, part, variants, under: "\(prefix).")
                    entry.key = "\(prefix).\(key)"
                    return entry
                }
            }
    }

    private static func entry(
        _ kind: String, _ name: String?, _ key: String, _ table: TomlTable, _ variants: [String], under prefix: String = ""
    ) -> ConfigurationEntry {
        guard let node = table.members[key] else {
            let value = ConfigurationDefaults.value(kind, prefix + key, variants)
            return ConfigurationEntry(
                table: kind, name: name, key: key, value: value,
                origin: .standard(note: ConfigurationDefaults.note(kind, prefix + key)), exact: value)
        }
        let value = ConfigurationValue(node)
        let line = (node.keyPlace ?? node.place).line
        let origin: ConfigurationEntry.Origin =
            switch table.origins[key] {
            case let other? where other.path.hasPrefix("defaults."): .inherited(from: "[\(other.path)]", file: other.file, line: line)
            case let other?: .file(other.file, line: line)
            // A line of [device.units] has a name of its own; what it has not said itself stands in the table above.
            case nil where table.origins["name"] != nil: .inherited(from: "[[\(kind)]]", file: table.file, line: line)
            case nil: .file(table.file, line: line)
            }
        return ConfigurationEntry(
            table: kind, name: name, key: key, value: value.map { Redaction.value($0, key: key, in: table.file) }, origin: origin,
            exact: value)
    }
}

extension ConfigurationListing: JSONValue, Decodable {
    private enum CodingKeys: String, CodingKey { case files, entries }

    package func write(to json: inout JSONWriter) {
        json.object {
            $0.field(CodingKeys.files, files)
            $0.field(CodingKeys.entries, entries)
        }
    }
}

extension ConfigurationEntry: JSONValue, Decodable {
    private enum CodingKeys: String, CodingKey {
        case table, name, key, value, origin, file, line, note
        case inheritedFrom = "inherited_from"
    }

    package func write(to json: inout JSONWriter) {
        json.object {
            $0.field(CodingKeys.table, table)
            $0.field(CodingKeys.name, name)
            $0.field(CodingKeys.key, key)
            $0.field(CodingKeys.value, value)
            switch origin {
            case .file(let file, let line):
                $0.field(CodingKeys.origin, "file")
                $0.field(CodingKeys.file, file)
                $0.field(CodingKeys.line, line)
            case .inherited(let table, let file, let line):
                $0.field(CodingKeys.origin, "inherited")
                $0.field(CodingKeys.inheritedFrom, table)
                $0.field(CodingKeys.file, file)
                $0.field(CodingKeys.line, line)
            case .standard(let note):
                $0.field(CodingKeys.origin, "default")
                if let note { $0.field(CodingKeys.note, note) }
            }
        }
    }

    package init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        table = try container.decode(String.self, forKey: .table)
        name = try container.decodeIfPresent(String.self, forKey: .name)
        key = try container.decode(String.self, forKey: .key)
        value = try container.decodeIfPresent(ConfigurationValue.self, forKey: .value)
        if let file = try container.decodeIfPresent(String.self, forKey: .file) {
            let line = try container.decode(Int.self, forKey: .line)
            let other = try container.decodeIfPresent(String.self, forKey: .inheritedFrom)
            origin = other.map { .inherited(from: $0, file: file, line: line) } ?? .file(file, line: line)
        } else {
            origin = .standard(note: try container.decodeIfPresent(String.self, forKey: .note))
        }
    }
}
