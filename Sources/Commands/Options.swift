import ArgumentParser
import Gateway
import Glibc

/// Where the daemon listens.
struct SocketOptions: ParsableArguments {
    @Option(
        help: .init(
            "The daemon's socket (default: METERD_SOCKET if set, else \(SocketFile.defaultPath)).", valueName: "path"),
        completion: .file())
    var socket: String?

    @Option(help: .init("Ask over TCP, where [api] listen allows it: 127.0.0.1:8471.", valueName: "host:port"))
    var host: String?

    @Option(help: .init("With --host: a file that holds the token.", valueName: "file"), completion: .file())
    var tokenFile: String?

    /// Where to ask.
    var path: DaemonAddress {
        get throws { try named ?? .socket(SocketFile.defaultPath) }
    }

    /// Where to ask when the daemon's config is at hand.
    /// - Parameter socket: the one that the config names.
    func address(configured socket: String) throws -> DaemonAddress { try named ?? .socket(socket) }

    /// What the caller says; nil when that is nothing. The token is read here, so that it stands in no argument.
    private var named: DaemonAddress? {
        get throws {
            if let host {
                guard let tokenFile else { return .tcp(host, token: nil) }
                do throws(CallerToken.Refusal) {
                    return .tcp(host, token: try CallerToken.read(tokenFile))
                } catch {
                    throw Failure.failed(error.text)
                }
            }
            if let socket { return .socket(socket) }
            if let variable = getenv("METERD_SOCKET"), variable[0] != 0 { return .socket(String(cString: variable)) }
            return nil
        }
    }

    func validate() throws {
        if tokenFile != nil, host == nil { throw ValidationError("--token-file needs --host.") }
        guard let host else { return }
        if socket != nil { throw ValidationError("--socket and --host exclude each other.") }
        let isHost = host.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F && !"/?#@\\\"".utf8.contains($0) }
        guard isHost, let colon = host.lastIndex(of: ":"), let port = UInt16(host[host.index(after: colon)...]), port > 0 else {
            throw ValidationError("\"\(host)\" is no host:port; give one such as 127.0.0.1:8471 or [::1]:8471.")
        }
    }
}

/// How a list is shown.
struct ListOptions: ParsableArguments {
    @Flag(help: "Print the daemon's answer as JSON (see docs/local-api.md).")
    var json = false

    @Flag(name: .shortAndLong, help: "Print names only, one a line; nothing when there are none.")
    var quiet = false

    func validate() throws {
        if json, quiet { throw ValidationError("--json and --quiet exclude each other.") }
    }
}

/// Prints one answer: names, a table, or on stderr that there is nothing.
struct ListAnswer {
    var names: [String]
    var lines: [String]
    /// What to say of an empty list.
    var nothing: String

    func print(quiet: Bool) {
        if quiet {
            Standard.output.print(names)
        } else if names.isEmpty {
            Standard.error.print(nothing)
        } else {
            Standard.output.print(lines)
        }
    }
}
