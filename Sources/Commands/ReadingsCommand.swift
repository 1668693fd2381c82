import ArgumentParser
import Gateway
import Host
import Metering

struct ReadingsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "readings",
        abstract: "Show the newest reading of every point.",
        discussion: """
            With --watch the table is drawn anew every second on a terminal; elsewhere each new reading is printed as a line: time, \
            device, quantity, value, unit, quality. With --watch --json each second gives one JSON object on a line.

            Example:
              meterctl readings main --watch
            """)

    @Argument(help: .init("Show this device only.", valueName: "device"))
    var device: String?

    @Flag(help: "Print the daemon's answer as JSON (see docs/local-api.md).")
    var json = false

    @OptionGroup var watch: WatchOptions
    @OptionGroup var socket: SocketOptions

    func run() async throws {
        let query = device.map { [(key: "device", value: $0)] } ?? []
        var before: ReadingsReport?
        try await Watch(options: watch, json: json).rounds(socket.path, "/v1/readings", query: query) { body in
            guard watch.watch else { return try show(body) }
            before = try draw(body, after: before)
        }
    }

    private func show(_ body: [UInt8]) throws {
        if json { return Standard.output.write(body) }
        let output = Standard.output
        let table = ReadingListing(try DaemonClient.decode(ReadingsReport.self, body)).table
        guard !table.rows.isEmpty else { return Standard.error.print("nothing was read yet") }
        output.print(table.lines(width: output.width, paint: Paint(coloured: output.coloured)))
    }

    private func draw(_ body: [UInt8], after before: ReadingsReport?) throws -> ReadingsReport {
        let output = Standard.output
        let report = try DaemonClient.decode(ReadingsReport.self, body)
        if json {
            output.write(body)
        } else if let height = output.height {
            let lines = ReadingListing(report).table.lines(width: output.width, paint: Paint(coloured: output.coloured))
            output.write(Array(Screen.redraw(lines, height: height).utf8))
        } else {
            output.print(ReadingListing(report).news(since: before))
        }
        return report
    }
}
