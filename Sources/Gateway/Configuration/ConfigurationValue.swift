import Metering

/// A value as a config holds it. Written as JSON it is TOML too.
package indirect enum ConfigurationValue: Hashable, Sendable {
    case text(String)
    case integer(Int64)
    case number(Double)
    case boolean(Bool)
    case list([ConfigurationValue])
    case table([String: ConfigurationValue])

    /// Nil for a date: no key takes one.
    init?(_ node: TomlNode) {
        switch node.content {
        case .string(let text): self = .text(text)
        case .integer(let value): self = .integer(value)
        case .float(let value): self = .number(value)
        case .boolean(let value): self = .boolean(value)
        case .array(let elements): self = .list(elements.compactMap { ConfigurationValue($0) })
        case .table(let members): self = .table(members.compactMapValues { ConfigurationValue($0) })
        case .date: return nil
        }
    }

    /// As it would stand in a config: `"5s"`, `500`, `["a", "b"]`.
    package var literal: String {
        switch self {
        case .text, .integer, .number, .boolean: String(decoding: json, as: UTF8.self)
        case .list(let elements): "[\(elements.map(\.literal).joined(separator: ", "))]"
        case .table(let members):
            "{ \(members.sorted { $0.key < $1.key }.map { "\($0.key) = \($0.value.literal)" }.joined(separator: ", ")) }"
        }
    }
}

extension ConfigurationValue: JSONValue, Decodable {
    private struct Key: CodingKey {
        var stringValue: String
        var intValue: Int? { nil }
        init(stringValue: String) { self.stringValue = stringValue }
        init?(intValue: Int) { nil }
    }

    package func write(to json: inout JSONWriter) {
        switch self {
        case .text(let text): json.string(text)
        case .integer(let value): json.literal(String(value))
        // JSON has no word for what is no number.
        case .number(let value): if value.isFinite { json.literal("\(value)") } else { json.string("\(value)") }
        case .boolean(let value): json.literal(value ? "true" : "false")
        case .list(let elements): json.array(elements)
        case .table(let members):
            json.object { json in
                for (key, value) in members.sorted(by: { $0.key < $1.key }) { json.field(Key(stringValue: key), value) }
            }
        }
    }

    package init(from decoder: any Decoder) throws {
        if let members = try? decoder.container(keyedBy: Key.self) {
            var table: [String: ConfigurationValue] = [:]
            for key in members.allKeys { table[key.stringValue] = try members.decode(ConfigurationValue.self, forKey: key) }
            self = .table(table)
            return
        }
        let container = try decoder.singleValueContainer()
        if let list = try? container.decode([ConfigurationValue].self) {
            self = .list(list)
        } else if let text = try? container.decode(String.self) {
            self = .text(text)
        } else if let flag = try? container.decode(Bool.self) {
            self = .boolean(flag)
        } else if let value = try? container.decode(Int64.self) {
            self = .integer(value)
        } else {
            self = .number(try container.decode(Double.self))
        }
    }
}
