/// One thing wrong in a text that people write: where, which key, what is wrong and how to mend it.
///
/// Prints as `meterd.toml:6:8: device[0].unit: 300 is outside 1 ... 247; the meter's display shows its address`.
package struct Problem: Error, Hashable, Sendable, CustomStringConvertible {
    package var file: String
    /// Nil when the file as a whole is meant.
    package var place: TextPlace?
    /// The key path, `bus[0].url`; empty for syntax errors.
    package var key: String
    package var text: String
    /// False when what was read can be used all the same: what is wrong is outside the text, and can be mended while it is in use.
    package var isFatal: Bool

    package init(file: String, place: TextPlace?, key: String, text: String, isFatal: Bool = true) {
        self.file = file
        self.place = place
        self.key = key
        self.text = text
        self.isFatal = isFatal
    }

    package var description: String {
        let position = place.map { ":\($0.line):\($0.column)" } ?? ""
        return "\(file)\(position): \(key.isEmpty ? "" : "\(key): ")\(text)"
    }
}

/// Every problem of a file or a set of files, in the order of their places. Never empty when thrown.
package struct Problems: Error, Hashable, Sendable, CustomStringConvertible {
    package var list: [Problem]

    package init(_ list: [Problem]) { self.list = list }

    package var description: String { list.map(\.description).joined(separator: "\n") }
}
