/// Files in one tar, as every tar reads it: plain files of one time, for the owner's eyes.
///
/// - Source: POSIX.1-2017, pax, "ustar Interchange Format".
package struct TarArchive {
    static let block = 512
    /// Of a name without its folder.
    static let nameBytes = 100

    private var bytes: [UInt8] = []
    private let seconds: Int64

    /// - Parameter seconds: since 1970, of all files.
    package init(seconds: Int64) { self.seconds = max(0, seconds) }

    /// - Parameter name: at most 100 bytes, relative.
    package mutating func add(_ name: String, _ content: [UInt8]) {
        var header = [UInt8](repeating: 0, count: TarArchive.block)
        func put(_ text: String, at offset: Int) { for (index, byte) in text.utf8.enumerated() { header[offset + index] = byte } }
        func octal(_ number: Int64, digits: Int) -> String {
            let text = String(number, radix: 8)
            return String(repeating: "0", count: max(0, digits - text.utf8.count)) + text
        }
        put(String(decoding: Array(name.utf8.prefix(TarArchive.nameBytes)), as: UTF8.self), at: 0)
        put(octal(0o600, digits: 7), at: 100)
        put(octal(0, digits: 7), at: 108)
        put(octal(0, digits: 7), at: 116)
        put(octal(Int64(content.count), digits: 11), at: 124)
        put(octal(seconds, digits: 11), at: 136)
        put("        ", at: 148)
        put("0", at: 156)
        put("ustar", at: 257)
        put("00", at: 263)
        // The sum is taken with blanks in its own place.
        put(octal(header.reduce(0) { $0 + Int64($1) }, digits: 6), at: 148)
        header[154] = 0
        bytes += header + content + [UInt8](repeating: 0, count: (TarArchive.block - content.count % TarArchive.block) % TarArchive.block)
    }

    /// With the two empty blocks that end it.
    package var whole: [UInt8] { bytes + [UInt8](repeating: 0, count: 2 * TarArchive.block) }
}
