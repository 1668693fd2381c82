import Glibc

/// A secret in a file of its own. It is read anew for every request, so a changed file counts at once: one small file from the page cache
/// costs less than watching it.
package struct TokenFile: Hashable, Sendable {
    /// Longer files are no tokens.
    package static let sizeLimit = 16 * 1024

    package let path: String
    /// What sentences call it: the path, unless that may be the secret itself, written in the place of its file.
    package let name: String

    package init(path: String, name: String? = nil) {
        self.path = path
        self.name = name ?? path
    }

    /// Why there is no token. The sentences never hold a byte of the file.
    package enum Failure: Error, Hashable, CustomStringConvertible {
        case unreadable(path: String, errno: Int32)
        case tooLong(path: String)
        /// Empty, or with characters that no header may carry.
        case unusable(path: String)
        /// Empty, or with characters that no password may carry.
        case unusablePassword(path: String)

        package var description: String {
            switch self {
            case .unreadable(let path, let code): "the token file \(path) cannot be read: \(String(cString: strerror(code)))"
            case .tooLong(let path): "the token file \(path) is longer than \(TokenFile.sizeLimit) bytes"
            case .unusable(let path): "the token file \(path) must hold one line of printable ASCII characters without spaces"
            case .unusablePassword(let path): "the password file \(path) must hold one line of text"
            }
        }
    }

    /// The content without white space at its ends.
    ///
    /// - Parameter spaces: true for passwords, which may hold spaces and any characters but control characters.
    package func read(spaces: Bool = false) throws(Failure) -> String {
        let file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard file >= 0 else { throw .unreadable(path: name, errno: errno) }
        defer { close(file) }
        var bytes = [UInt8](repeating: 0, count: TokenFile.sizeLimit + 1)
        var count = 0
        while count < bytes.count {
            let got = bytes.withUnsafeMutableBytes { Glibc.read(file, $0.baseAddress?.advanced(by: count), $0.count - count) }
            if got < 0 {
                if errno == EINTR { continue }
                throw .unreadable(path: name, errno: errno)
            }
            if got == 0 { break }
            count += got
        }
        guard count <= TokenFile.sizeLimit else { throw .tooLong(path: name) }
        func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || (0x09...0x0D).contains(byte) }
        var token = bytes[..<count].drop(while: isSpace)
        while let last = token.last, isSpace(last) { token.removeLast() }
        if spaces {
            guard !token.isEmpty, token.allSatisfy({ $0 >= 0x20 && $0 != 0x7F }), let text = String(validating: token, as: UTF8.self) else {
                throw .unusablePassword(path: name)
            }
            return text
        }
        guard !token.isEmpty, token.allSatisfy({ (0x21...0x7E).contains($0) }) else { throw .unusable(path: name) }
        return String(decoding: token, as: UTF8.self)
    }
}
