import ArgumentParser
import Gateway
import Host

struct DevicesCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "devices",
        abstract: "List the meters, inverters and sensors, and whether they answer.",
        discussion: """
            Example:
              meterctl devices
            """)

    @OptionGroup var list: ListOptions
    @OptionGroup var socket: SocketOptions

    func run() async throws {
        let body = try await DaemonClient.with(socket: socket.path) { try await $0.get("/v1/devices") }
        if list.json { return Standard.output.write(body) }
        let devices = try DaemonClient.decode(DevicesReport.self, body).devices
        let output = Standard.output
        let table = DeviceListing(devices, now: SystemTime().wall()).table
        ListAnswer(
            names: devices.map(\.name), lines: table.lines(width: output.width, paint: Paint(coloured: output.coloured)),
            nothing: "no devices are configured; see docs/configuration.md"
        ).print(quiet: list.quiet)
    }
}
