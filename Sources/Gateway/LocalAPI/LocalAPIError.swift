import Glibc

/// Why the local API cannot listen. The daemon can go on without it.
package struct LocalAPIError: Error, Hashable, Sendable, CustomStringConvertible {
    package enum Code: String, Hashable, Sendable {
        case pathTooLong = "path_too_long"
        case directoryMissing = "directory_missing"
        /// Something that is no socket stands at the path.
        case notASocket = "not_a_socket"
        /// Another process listens there.
        case inUse = "in_use"
        case permission
        case system
    }

    package var code: Code
    package var path: String
    /// What is wrong and how to mend it; names the path.
    package var text: String
    /// errno, where the kernel refused; 0 otherwise.
    package var cause: Int32

    package var description: String { text }

    init(_ code: Code, path: String, _ text: String, cause: Int32 = 0) {
        self.code = code
        self.path = path
        self.text = text
        self.cause = cause
    }

    /// The kernel's refusal to listen.
    static func refusal(_ number: Int32, at door: LocalAPIDoor) -> LocalAPIError {
        guard case .tcp(let address, _) = door else { return refusal(number, path: door.name) }
        let reason = String(cString: strerror(number))
        switch number {
        case EADDRINUSE:
            return .init(
                .inUse, path: address.text,
                "another program listens on \(address.text), which sudo ss -tlnp names; stop it, or set [api] listen to another port and "
                    + "restart meterd", cause: number)
        case EACCES, EPERM:
            return .init(
                .permission, path: address.text,
                "cannot listen on \(address.text): \(reason); set [api] listen to a port above 1023 and restart meterd",
                cause: number)
        default:
            return .init(
                .system, path: address.text,
                "cannot listen on \(address.text): \(reason); set [api] listen to an address of this machine and restart meterd",
                cause: number)
        }
    }

    /// The kernel's refusal to make or prepare the socket.
    static func refusal(_ number: Int32, path: String) -> LocalAPIError {
        let reason = String(cString: strerror(number))
        let directory = SocketFile.directory(of: path)
        switch number {
        case EACCES, EPERM, EROFS:
            return LocalAPIError(
                .permission, path: path,
                "cannot make \(path): \(reason); give meterd's user write access to \(directory), or set [api] socket to a path elsewhere",
                cause: number)
        case EADDRINUSE:
            return .init(.inUse, path: path, SocketFile.inUseText(path), cause: number)
        default:
            return .init(.system, path: path, "cannot listen on \(path): \(reason); set [api] socket to another path", cause: number)
        }
    }
}
