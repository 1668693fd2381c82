import ArgumentParser
import Gateway

struct LogLevelCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "log-level",
        abstract: "Show the least level that the daemon logs, or set it until the next start.",
        discussion: """
            The levels are trace, debug, info, notice, warning, error and critical. What the daemon starts with is its option --log-level.

            Example:
              meterctl log-level debug
            """)

    @Argument(
        help: .init("The level from now on; without it the level is shown.", valueName: "level"),
        completion: .list(["trace", "debug", "info", "notice", "warning", "error", "critical"]))
    var level: String?

    @Flag(help: "Print the daemon's answer as JSON (see docs/local-api.md).")
    var json = false

    @OptionGroup var socket: SocketOptions

    func run() async throws {
        let body = try await DaemonClient.with(socket: socket.path) { client in
            guard let level else { return try await client.get("/v1/log-level") }
            return try await client.post("/v1/log-level", query: [(key: "level", value: level)])
        }
        if json { return Standard.output.write(body) }
        Standard.output.print(try DaemonClient.decode(LogLevelReport.self, body).word)
    }
}
