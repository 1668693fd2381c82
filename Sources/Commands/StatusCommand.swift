import ArgumentParser
import Gateway
import Host

struct StatusCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status",
        abstract: "Show whether all is well: health, problems, clock, journal, buses, devices, outputs.",
        discussion: """
            Exits 0 when the health is ok or degraded, 1 when it is failed, 69 when the daemon is not reachable.

            Example:
              meterctl status --json
            """)

    @Flag(help: "Print the daemon's answer as JSON (see docs/local-api.md).")
    var json = false

    @OptionGroup var socket: SocketOptions

    func run() async throws {
        let body = try await DaemonClient.with(socket: socket.path) { try await $0.get("/v1/status") }
        let report = try DaemonClient.decode(StatusReport.self, body)
        if json {
            Standard.output.write(body)
        } else {
            let output = Standard.output
            let screen = StatusScreen(report, now: SystemTime().wall())
            output.print(screen.lines(width: output.width, paint: Paint(coloured: output.coloured)))
        }
        if report.health == .failed { throw ExitCode.failure }
    }
}
