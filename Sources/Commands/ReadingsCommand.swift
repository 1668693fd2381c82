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

    @Flag(help: "Go on until interrupted, every second.")
    var watch = false

    @Option(help: .init("With --watch: stop after so many rounds.", valueName: "n"))
    var count: Int?

    @Flag(help: "Print the daemon's answer as JSON (see docs/local-api.md).")
    var json = false

    @OptionGroup var socket: SocketOptions

    func validate() throws {
        if let count {
            guard watch else { throw ValidationError("--count needs --watch.") }
            guard count > 0 else { throw ValidationError("--count must be at least 1.") }
        }
    }

    func run() async throws {
        try await DaemonClient.with(socket: socket.path) { client in
            let body = try await ask(client)
            guard watch else { return try show(body) }
            try await keepWatch(client, first: body)
        }
    }

    private func ask(_ client: DaemonClient) async throws -> [UInt8] {
        try await client.get("/v1/readings", query: device.map { [("device", $0)] } ?? [])
    }

    private func show(_ body: [UInt8]) throws {
        if json { return Standard.output.write(body) }
        let output = Standard.output
        let table = ReadingListing(try DaemonClient.decode(ReadingsReport.self, body)).table
        guard !table.rows.isEmpty else { return Standard.error.print("nothing was read yet") }
        output.print(table.lines(width: output.width, paint: Paint(coloured: output.coloured)))
    }

    /// One round a second. A daemon that restarts is waited for; it is told once.
    private func keepWatch(_ client: DaemonClient, first: [UInt8]) async throws {
        let time = SystemTime()
        var next = time.uptime()
        var rounds = 0
        var body: [UInt8]? = first
        var before: ReadingsReport?
        var silent = false
        while true {
            if let body {
                before = try draw(body, after: before)
                silent = false
            }
            rounds += 1
            if let count, rounds >= count { return }
            next = max(next + .seconds(1), time.uptime())
            try await time.sleep(until: next)
            do {
                body = try await ask(client)
            } catch let failure as Failure where failure.code == .unreachable {
                body = nil
                if !silent { Standard.error.print("meterctl: \(failure.text); waiting for it") }
                silent = true
            }
        }
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
