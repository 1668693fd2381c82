import CToml

/// Where something stands in a text, counted from 1.
package struct TextPlace: Hashable, Sendable, Comparable {
    package var line: Int
    package var column: Int

    package init(line: Int, column: Int) {
        self.line = line
        self.column = column
    }

    package static func < (a: TextPlace, b: TextPlace) -> Bool { (a.line, a.column) < (b.line, b.column) }
}

/// One value of a TOML document, with its place and that of its key.
package struct TomlNode: Hashable, Sendable {
    package enum Content: Hashable, Sendable {
        case table([String: TomlNode])
        case array([TomlNode])
        case string(String)
        case integer(Int64)
        case float(Double)
        case boolean(Bool)
        case date
    }

    package var content: Content
    package var place: TextPlace
    package var keyPlace: TextPlace?

    /// What a message calls it.
    package var kind: String {
        switch content {
        case .table: "a table"
        case .array: "an array"
        case .string: "a string"
        case .integer: "an integer"
        case .float: "a float"
        case .boolean: "a boolean"
        case .date: "a date"
        }
    }

    /// Parses a TOML 1.0 document into its root table.
    ///
    /// - Throws: one `Problem` with the place of the first syntax error; `file` is only named in it.
    package static func parse(_ text: String, file: String) throws(Problem) -> TomlNode {
        let builder = TomlBuilder()
        var failure = ctoml_error()
        var text = text
        let parsed = text.withUTF8 { bytes in
            bytes.withMemoryRebound(to: CChar.self) { characters in
                // An empty document has no base address; toml++ wants one.
                guard let base = characters.baseAddress else { return true }
                return ctoml_walk(base, characters.count, Unmanaged.passUnretained(builder).toOpaque(), visitTomlEvent, &failure)
            }
        }
        guard parsed else {
            let message = withUnsafeBytes(of: failure.message) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
            throw Problem(file: file, place: failure.place.textPlace, key: "", text: message)
        }
        return builder.root ?? TomlNode(content: .table([:]), place: TextPlace(line: 1, column: 1))
    }
}

extension ctoml_place {
    fileprivate var textPlace: TextPlace { TextPlace(line: Int(line), column: Int(column)) }
}

/// Puts the events of the walk together again.
private final class TomlBuilder {
    private var open: [(key: String?, node: TomlNode)] = []
    private(set) var root: TomlNode?

    func begin(_ node: TomlNode, key: String?) { open.append((key, node)) }

    func end() {
        guard let (key, node) = open.popLast() else { return }
        add(node, key: key)
    }

    func add(_ node: TomlNode, key: String?) {
        guard let parent = open.indices.last else {
            root = node
            return
        }
        switch open[parent].node.content {
        case .table(var members):
            open[parent].node.content = .date  // gives up its reference, so that the dictionary is changed in place
            if let key { members[key] = node }
            open[parent].node.content = .table(members)
        case .array(var elements):
            open[parent].node.content = .date
            elements.append(node)
            open[parent].node.content = .array(elements)
        case .string, .integer, .float, .boolean, .date:
            preconditionFailure("only tables and arrays are opened")
        }
    }
}

private func visitTomlEvent(context: UnsafeMutableRawPointer?, event: UnsafePointer<ctoml_event>?) {
    guard let context, let event = event?.pointee else { return }
    let builder = Unmanaged<TomlBuilder>.fromOpaque(context).takeUnretainedValue()
    func text(_ start: UnsafePointer<CChar>?, _ length: Int) -> String {
        String(decoding: UnsafeRawBufferPointer(start: start, count: length), as: UTF8.self)
    }
    let key = event.key.map { text($0, event.key_length) }
    func node(_ content: TomlNode.Content) -> TomlNode {
        TomlNode(content: content, place: event.place.textPlace, keyPlace: event.key == nil ? nil : event.key_place.textPlace)
    }
    switch event.kind {
    case CTOML_TABLE_BEGIN: builder.begin(node(.table([:])), key: key)
    case CTOML_ARRAY_BEGIN: builder.begin(node(.array([])), key: key)
    case CTOML_TABLE_END, CTOML_ARRAY_END: builder.end()
    case CTOML_STRING: builder.add(node(.string(text(event.text, event.text_length))), key: key)
    case CTOML_INTEGER: builder.add(node(.integer(event.integer)), key: key)
    case CTOML_FLOAT: builder.add(node(.float(event.number)), key: key)
    case CTOML_BOOLEAN: builder.add(node(.boolean(event.boolean)), key: key)
    default: builder.add(node(.date), key: key)
    }
}
