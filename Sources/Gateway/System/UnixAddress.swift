import Glibc

/// The address of a Unix socket, as the calls of C want it.
package struct UnixAddress {
    private var address = sockaddr_un()
    private let length: socklen_t

    /// Nil for a path longer than `SocketFile.pathBytesLimit`.
    ///
    /// - Parameter abstract: a path that begins with `@` names a socket without a file.
    package init?(_ path: String, abstract: Bool = false) {
        var bytes = Array(path.utf8)
        guard bytes.count <= SocketFile.pathBytesLimit else { return nil }
        let isAbstract = abstract && bytes.first == UInt8(ascii: "@")
        if isAbstract { bytes[0] = 0 }
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
        // An abstract name ends where the length says, a path at its 0.
        length = socklen_t(MemoryLayout<sa_family_t>.size + bytes.count + (isAbstract ? 0 : 1))
    }

    package func with<Result>(_ body: (UnsafePointer<sockaddr>, socklen_t) -> Result) -> Result {
        withUnsafePointer(to: address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, length) }
        }
    }
}
