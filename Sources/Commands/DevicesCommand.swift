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
            With --watch the table is drawn anew every second on a terminal; elsewhere each second gives a block, or with --json a line.

            Example:
              meterctl devices main
            """)

    @Argument(help: .init("Show this device, in full.", valueName: "device"))
    var device: String?

    @OptionGroup var list: ListOptions
    @OptionGroup var watch: WatchOptions
    @OptionGroup var socket: SocketOptions

    func validate() throws {
        if watch.watch, list.quiet { throw ValidationError("--watch and --quiet exclude each other.") }
    }

    func run() async throws {
        if watch.watch { return try await keepWatch() }
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

    private func keepWatch() async throws {
        let watch = Watch(options: watch, json: list.json)
        if let device {
            return try await watch.run(socket.path, "/v1/device", query: [(key: "device", value: device)]) { body, width, paint in
                let report = try DaemonClient.decode(DeviceDetailReport.self, body)
                return DeviceScreen(report, now: SystemTime().wall()).lines(width: width, paint: paint)
            }
        }
        try await watch.run(socket.path, "/v1/devices") { body, width, paint in
            let devices = try DaemonClient.decode(DevicesReport.self, body).devices
            return DeviceListing(devices, now: SystemTime().wall()).table.lines(width: width, paint: paint)
        }
    }
}
