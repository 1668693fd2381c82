import ArgumentParser
import Gateway

struct IdentifyCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "identify",
        abstract: "Find out what a unit is: which profiles fit, and what SunSpec says.",
        discussion: """
            The daemon asks for the registers by which its profiles know their devices, between its polls. Profiles that name no such \
            registers cannot be told this way. Exits 1 when the unit does not answer.

            Example:
              meterctl identify line-1:3
            """)

    @Argument(help: .init("A configured device, or a bus and a unit id.", valueName: "device|bus:unit"), transform: TargetArgument.parse)
    var target: TargetArgument

    @Flag(help: "Print the daemon's answer as JSON (see docs/local-api.md).")
    var json = false

    @OptionGroup var socket: SocketOptions

    func run() async throws {
        let body = try await DaemonClient.with(socket: socket.path) { client in
            try await client.get("/v1/identify", query: target.query, timeLimitSeconds: DaemonClient.searchTimeLimitSeconds)
        }
        let report = try DaemonClient.decode(IdentifyReport.self, body)
        let output = Standard.output
        if json {
            output.write(body)
        } else if report.present {
            output.print(IdentifyListing([report]).table.lines(width: output.width, paint: Paint(coloured: output.coloured)))
        }
        if !report.present {
            throw Failure.failed("unit \(report.unit) on \(report.bus) does not answer: \(report.fault?.text ?? "nothing came")")
        }
    }
}
