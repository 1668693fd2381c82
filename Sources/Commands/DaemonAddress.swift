import FoundationEssentials
import Gateway

/// Where the daemon is asked.
enum DaemonAddress: Hashable, Sendable {
    case socket(String)
    /// `127.0.0.1:8471`, or a name; the token, when there is one, goes with each request.
    case tcp(String, token: String?)

    /// What stands before the path of a request.
    var base: String {
        switch self {
        case .socket(let path): "http+unix://\(DaemonClient.percentEncoded(DaemonAddress.absolute(path)))"
        case .tcp(let host, _): "http://\(host)"
        }
    }

    var token: String? {
        if case .tcp(_, let token) = self { token } else { nil }
    }

    /// The text of a failure when nobody can be there; nil when somebody may.
    func unreachable() -> String? {
        guard case .socket(let path) = self else { return nil }
        let number = SocketFile.probe(path)
        return number == 0 ? nil : UnreachableDaemon.text(socket: path, error: number)
    }

    func unreachable(_ reason: String) -> String {
        switch self {
        case .socket(let path): UnreachableDaemon.text(socket: path, reason: reason)
        case .tcp(let host, _): UnreachableDaemon.text(host: host, reason: reason)
        }
    }

    /// A host of a URL cannot start with a dot; an absolute path never does.
    private static func absolute(_ path: String) -> String {
        path.hasPrefix("/") ? path : "\(FileManager.default.currentDirectoryPath)/\(path)"
    }
}
