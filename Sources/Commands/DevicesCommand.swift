import ArgumentParser
import Gateway
import Host

struct DevicesCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "devices",
        abstract: "List the meters, inverters and sensors, and whether they answer; show how one of them is asked.",
        discussion: """
            With a name: the requests it is asked as they are now, what was learned of it (registers it refuses or leaves unanswered), \
            how fast it answers and how long it is waited for, and its points.

            Example:
              meterctl devices main
            """)

    @Argument(help: .init("Show this device, in full.", valueName: "device"))
    var device: String?

    @OptionGroup var list: ListOptions
    @OptionGroup var socket: SocketOptions

    func run() async throws {
        if let device { return try await show(device) }
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
    private func show(_ device: String) async throws {
        let body = try await DaemonClient.with(socket: socket.path) { try await $0.get("/v1/device", query: [("device", device)]) }
        if list.json { return Standard.output.write(body) }
        let report = try DaemonClient.decode(DeviceDetailReport.self, body)
        let output = Standard.output
        let screen = DeviceScreen(report, now: SystemTime().wall())
        ListAnswer(
            names: [report.device.name], lines: screen.lines(width: output.width, paint: Paint(coloured: output.coloured)), nothing: ""
        ).print(quiet: list.quiet)
    }
}
