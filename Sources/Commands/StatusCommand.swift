import ArgumentParser
import Gateway
import Host

struct StatusCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status",
        abstract: "Show whether all is well: health, problems, clock, journal, buses, devices, outputs.",
        discussion: """
            With --watch it is drawn anew every second on a terminal; elsewhere each second gives a block, or with --json a line.

            Exits 0 when the health is ok or degraded, 1 when it is failed, 69 when the daemon is not reachable.

            Example:
              meterctl status --json
            """)

    @Flag(help: "Print the daemon's answer as JSON (see docs/local-api.md).")
    var json = false

    @OptionGroup var watch: WatchOptions
    @OptionGroup var socket: SocketOptions

    func run() async throws {
        var health = StatusReport.Health.ok
        try await Watch(options: watch, json: json).run(socket.path, "/v1/status") { body, width, paint in
            let report = try DaemonClient.decode(StatusReport.self, body)
            health = report.health
            return StatusScreen(report, now: SystemTime().wall()).lines(width: width, paint: paint)
        }
        if health == .failed { throw ExitCode.failure }
    }
}
