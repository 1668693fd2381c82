import Glibc

/// A Unix socket as a file: what stands at its path, who may use it.
package enum SocketFile {
    package static let defaultPath = "/run/meterd/meterd.sock"
    /// `sun_path` holds 108 bytes, the last one 0.
    package static let pathBytesLimit = 107
    /// Owner and group may connect, others may not.
    static let mode: mode_t = 0o660

    /// Tries to connect. Returns 0 when somebody listens, else the errno: ENOENT no file, ECONNREFUSED nobody behind it, EACCES no right
    /// to it, EAGAIN somebody listens but is busy, ENAMETOOLONG.
    package static func probe(_ path: String) -> Int32 {
        guard let address = UnixAddress(path) else { return ENAMETOOLONG }
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { return errno }
        defer { close(descriptor) }
        return address.with { connect(descriptor, $0, $1) } == 0 ? 0 : errno
    }

    /// Checks that a socket can be made at this path; a socket that nobody listens on may stand there, the server will replace it.
    static func check(_ path: String) throws(LocalAPIError) {
        guard path.utf8.count <= pathBytesLimit else {
            throw LocalAPIError(
                .pathTooLong, path: path,
                "\(path) is \(path.utf8.count) bytes long, a socket's path may have \(pathBytesLimit); set [api] socket to a shorter path")
        }
        var status = stat()
        guard stat(directory(of: path), &status) == 0 else {
            throw errno == ENOENT || errno == ENOTDIR
                ? LocalAPIError(.directoryMissing, path: path, missingText(path), cause: errno) : .refusal(errno, path: path)
        }
        guard status.st_mode & S_IFMT == S_IFDIR else { throw LocalAPIError(.directoryMissing, path: path, missingText(path)) }
        guard lstat(path, &status) == 0 else { return }
        guard status.st_mode & S_IFMT == S_IFSOCK else {
            throw LocalAPIError(
                .notASocket, path: path, "\(path) exists and is not a socket; move it away, or set [api] socket to another path")
        }
        let answer = probe(path)
        if answer == 0 || answer == EAGAIN { throw LocalAPIError(.inUse, path: path, inUseText(path)) }
    }

    /// Opens a fresh socket file to its group. Until then only the owner can connect, since that needs the right to write and any usual
    /// umask takes it from the others.
    ///
    /// A group that does not exist, or that the process is not a member of, is left as it is: then the process's own group may connect.
    static func open(_ path: String, toGroup name: String?) throws(LocalAPIError) {
        if let name, let id = groupID(name) { _ = chown(path, uid_t.max, id) }
        guard chmod(path, mode) == 0 else { throw .refusal(errno, path: path) }
    }

    /// Removes a socket file that nobody listens on.
    static func removeUnlessInUse(_ path: String) {
        var status = stat()
        guard lstat(path, &status) == 0, status.st_mode & S_IFMT == S_IFSOCK, probe(path) == ECONNREFUSED else { return }
        unlink(path)
    }

    static func directory(of path: String) -> String {
        guard let slash = path.lastIndex(of: "/") else { return "." }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }

    static func missingText(_ path: String) -> String {
        let cure = "create it (systemd does with RuntimeDirectory=meterd), or set [api] socket to another path"
        return "\(directory(of: path)) is not a directory; \(cure)"
    }

    static func inUseText(_ path: String) -> String {
        "another process listens on \(path); stop it (systemctl status meterd), or set [api] socket to another path"
    }

    private static func groupID(_ name: String) -> gid_t? {
        var entry = group()
        var found: UnsafeMutablePointer<group>?
        var room = [CChar](repeating: 0, count: 16_384)
        guard getgrnam_r(name, &entry, &room, room.count, &found) == 0, found != nil else { return nil }
        return entry.gr_gid
    }
}
