import ArgumentParser
import Gateway
import Host
import Metering

struct IntervalsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "intervals",
        abstract: "Show what each counter counted in each quarter hour.",
        discussion: """
            Made from the journal: what was read, not what should have been. Where nothing was read the row says so. Times are in UTC. \
            CSV and JSON have the gauges and the readings at the boundaries as well.

            Example:
              meterctl intervals main --last 24h
            """)

    @Argument(help: .init("Show this device only.", valueName: "device"))
    var device: String?

    @Option(help: .init("Quarter hours that begin at this time or later: a date or a time in UTC.", valueName: "time"))
    var from: String?

    @Option(help: .init("Quarter hours that begin before this time; now without it.", valueName: "time"))
    var to: String?

    @Option(help: .init("Quarter hours of so long until now, such as 90m, 24h or 7d (default: 24h).", valueName: "duration"))
    var last: String?

    @Flag(help: "Print an object for each quarter hour of a device on a line of its own (see docs/local-api.md).")
    var json = false

    @Flag(help: "Print a row for each counter and gauge of each quarter hour as CSV (see docs/local-api.md).")
    var csv = false

    @OptionGroup var socket: SocketOptions

    func validate() throws {
        if json, csv { throw ValidationError("--json and --csv exclude each other.") }
        for (option, text) in [("--from", from), ("--to", to)] {
            guard let text else { continue }
            guard TimeText.whole(text) != nil else { throw ValidationError("\(option) must be \(TimeText.forms).") }
        }
        guard let last else { return }
        if from != nil || to != nil { throw ValidationError("--last means until now; it excludes --from and --to.") }
        guard let span = Measures.duration(last), span > .zero else {
            throw ValidationError("--last must be a whole number with m, h or d, such as 24h.")
        }
    }

    func run() async throws {
        var query = [("format", json ? "jsonl" : "csv")] + (device.map { [("device", $0)] } ?? [])
        if let from { query.append(("from", TimeText.whole(from) ?? from)) }
        if let to { query.append(("until", TimeText.whole(to) ?? to)) }
        if let last, let span = Measures.duration(last) {
            // To the beginning of its quarter hour: a row that was begun is told whole.
            let start = SystemTime().wall().milliseconds - span.milliseconds
            let first = start - start % Interval.milliseconds
            query.append(("from", Timestamp(milliseconds: first).rfc3339))
        }
        let request = query.map { (key: $0.0, value: $0.1) }
        let isText = json || csv
        var table = IntervalTable()
        try await DaemonClient.with(socket: socket.path) { client in
            try await client.stream("/v1/intervals", query: request) { piece in
                if isText { return Standard.output.write(piece) }
                table.add(piece)
                IntervalsCommand.print(table.take(atEnd: false))
            }
        }
        guard !isText else { return }
        if table.count == 0 { Standard.error.print("no counter was read in that time") }
        IntervalsCommand.print(table.take(atEnd: true))
    }

    private static func print(_ table: Table?) {
        guard let table else { return }
        let output = Standard.output
        output.print(table.lines(width: output.width, paint: Paint(coloured: output.coloured)))
    }
}
