import ArgumentParser
import Gateway
import Host

struct DevicesCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "devices",
        abstract: "List the meters, inverters and sensors, and whether they answer.",
        discussion: """
            With --watch the table is drawn anew every second on a terminal; elsewhere each second gives a block, or with --json a line.

            Example:
              meterctl devices
            """)

    @OptionGroup var list: ListOptions
    @OptionGroup var watch: WatchOptions
    @OptionGroup var socket: SocketOptions

    func validate() throws {
        if watch.watch, list.quiet { throw ValidationError("--watch and --quiet exclude each other.") }
    }

    func run() async throws {
        if watch.watch { return try await keepWatch() }
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

    private func keepWatch() async throws {
        try await Watch(options: watch, json: list.json).run(socket.path, "/v1/devices") { body, width, paint in
            let devices = try DaemonClient.decode(DevicesReport.self, body).devices
            return DeviceListing(devices, now: SystemTime().wall()).table.lines(width: width, paint: paint)
        }
    }
}
