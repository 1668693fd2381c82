import Metering

/// Writes JSON by hand, since a contract wants what an encoder does not promise: the order of the keys, `null` where a value is absent,
/// and numbers digit for digit (30.2, and counters beyond 2^53).
///
///     var json = JSONWriter()
///     json.object { $0.field(Key.name, "main"); $0.field(Key.lastPoll, nil as Timestamp?) }     {"name":"main","last_poll":null}
package struct JSONWriter {
    package private(set) var bytes: [UInt8] = []
    private var needsComma = false

    package init() {}

    package mutating func object(_ members: (inout JSONWriter) -> Void) {
        enclose("{", "}", members)
    }

    package mutating func array<Element: JSONValue>(_ elements: [Element]) {
        enclose("[", "]") { json in
            for element in elements { element.write(to: &json) }
        }
    }

    package mutating func field(_ key: some CodingKey, _ value: some JSONValue) {
        string(key.stringValue)
        bytes.append(UInt8(ascii: ":"))
        needsComma = false
        value.write(to: &self)
    }

    /// Text that is JSON already: a number, `true`, `null`.
    package mutating func literal(_ text: String) {
        separate()
        bytes.append(contentsOf: text.utf8)
        needsComma = true
    }

    package mutating func number(_ number: ExactDecimal) {
        separate()
        number.write(to: &bytes)
        needsComma = true
    }

    package mutating func string(_ text: String) {
        separate()
        bytes.append(UInt8(ascii: "\""))
        for byte in text.utf8 { escape(byte) }
        bytes.append(UInt8(ascii: "\""))
        needsComma = true
    }

    private mutating func escape(_ byte: UInt8) {
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"):
            bytes.append(UInt8(ascii: "\\"))
            bytes.append(byte)
        case UInt8(ascii: "\n"):
            bytes.append(contentsOf: "\\n".utf8)
        case 0..<0x20:
            let hex = String(byte, radix: 16)
            bytes.append(contentsOf: "\\u00\(hex.utf8.count < 2 ? "0" : "")\(hex)".utf8)
        default:
            bytes.append(byte)
        }
    }

    private mutating func enclose(_ open: Unicode.Scalar, _ close: Unicode.Scalar, _ body: (inout JSONWriter) -> Void) {
        separate()
        bytes.append(UInt8(ascii: open))
        needsComma = false
        body(&self)
        bytes.append(UInt8(ascii: close))
        needsComma = true
    }

    private mutating func separate() {
        if needsComma { bytes.append(UInt8(ascii: ",")) }
        needsComma = false
    }
}

/// What a `JSONWriter` can write.
package protocol JSONValue {
    func write(to json: inout JSONWriter)
}

extension JSONValue {
    /// The value as UTF-8 JSON without a newline.
    package var json: [UInt8] {
        var writer = JSONWriter()
        write(to: &writer)
        return writer.bytes
    }
}

extension String: JSONValue {
    package func write(to json: inout JSONWriter) { json.string(self) }
}

extension Bool: JSONValue {
    package func write(to json: inout JSONWriter) { json.literal(self ? "true" : "false") }
}

extension JSONValue where Self: FixedWidthInteger {
    package func write(to json: inout JSONWriter) { json.literal(String(self)) }
}

extension Int: JSONValue {}
extension Int64: JSONValue {}
extension UInt16: JSONValue {}

extension Timestamp: JSONValue {
    package func write(to json: inout JSONWriter) { json.string(rfc3339) }
}

extension Array: JSONValue where Element: JSONValue {
    package func write(to json: inout JSONWriter) { json.array(self) }
}

extension Optional: JSONValue where Wrapped: JSONValue {
    package func write(to json: inout JSONWriter) {
        if let self { self.write(to: &json) } else { json.literal("null") }
    }
}

extension JSONValue where Self: RawRepresentable, RawValue == String {
    package func write(to json: inout JSONWriter) { json.string(rawValue) }
}
