/// A table as it was read: what it holds, and every key that was asked for, there or not, in the order of asking.
package struct TomlTable: Hashable, Sendable {
    package var file: String
    /// `bus[0]`, `output[1].filter`.
    package var path: String
    package var keys: [String]
    package var members: [String: TomlNode]
    /// Where a key comes from that stands in another table.
    package var origins: [String: TomlOrigin]
}

/// A table that another one takes a key over from.
package struct TomlOrigin: Hashable, Sendable {
    package var file: String
    /// `defaults.device`.
    package var path: String
}
