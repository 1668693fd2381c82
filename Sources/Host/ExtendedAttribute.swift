import CHost

/// A short text that hangs on a file or directory itself, beside its content: copies of what is in a directory do not bring it along.
package enum ExtendedAttribute {
    /// Bytes of a value that are read.
    static let limit = 256

    /// - Returns: nil where there is none, or the file system has none.
    package static func value(_ name: String, of path: String) -> String? {
        var bytes = [UInt8](repeating: 0, count: limit)
        let count = getxattr(path, name, &bytes, bytes.count)
        return count < 0 ? nil : String(decoding: bytes[..<count], as: UTF8.self)
    }

    /// - Returns: whether the file system took it.
    @discardableResult
    package static func set(_ name: String, to value: String, of path: String) -> Bool {
        setxattr(path, name, value, value.utf8.count, 0) == 0
    }
}
