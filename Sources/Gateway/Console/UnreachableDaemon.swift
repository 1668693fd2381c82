import Glibc

/// Why `meterctl` cannot talk to the daemon, in a sentence that helps.
package enum UnreachableDaemon {
    /// - Parameter number: what `SocketFile.probe` returned, not 0.
    package static func text(socket: String, error number: Int32) -> String {
        switch number {
        case EACCES, EPERM:
            "no permission to use \(socket); join its group (sudo usermod -aG meterd $USER, then log in again) or use sudo"
        case ENOENT, ENOTDIR:
            "meterd is not running, or not on this socket: there is no \(socket); \(start); \(elsewhere)"
        case ECONNREFUSED:
            "meterd is not running: nothing listens on \(socket); \(start)"
        case ENAMETOOLONG:
            "\(socket) cannot be a socket: its path is longer than \(SocketFile.pathBytesLimit) bytes; \(elsewhere)"
        case EAGAIN:
            "meterd is too busy to answer on \(socket); try again"
        default:
            "meterd cannot be reached on \(socket): \(String(cString: strerror(number))); \(start); \(elsewhere)"
        }
    }

    /// The connection was made and then broke, or no answer came.
    package static func text(socket: String, reason: String) -> String {
        "meterd does not answer on \(socket): \(reason); see systemctl status meterd"
    }

    /// The same, over TCP.
    package static func text(host: String, reason: String) -> String {
        let words = reason.contains("refused") || reason.contains("errno: 111") ? "nothing listens there" : reason
        return "meterd does not answer on \(host): \(words); does [api] listen name this address, and does meterd run?"
    }

    private static let start = "see systemctl status meterd, start it with sudo systemctl start meterd"
    private static let elsewhere = "if it listens elsewhere, name the socket with --socket PATH or METERD_SOCKET"
}
