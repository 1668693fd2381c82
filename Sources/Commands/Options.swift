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

    var path: String {
        if let socket { return socket }
        if let variable = getenv("METERD_SOCKET"), variable[0] != 0 { return String(cString: variable) }
        return SocketFile.defaultPath
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
