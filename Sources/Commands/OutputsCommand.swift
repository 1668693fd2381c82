import ArgumentParser
import Gateway
import Host

struct OutputsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "outputs",
        abstract: "List where readings are handed on and how far each output has come; pause, resume or rewind one.",
        discussion: """
            pause holds an output, also over restarts, until resume: its data are kept. rewind hands on again what was read since a time \
            or from a seq on; an output is never set ahead.

            With --watch the table is drawn anew every second on a terminal; elsewhere each second gives a block, or with --json a line.

            Example:
              meterctl outputs park rewind --to-time 2026-11-24T06:00Z
            """)

    enum Action: String, ExpressibleByArgument, CaseIterable { case pause, resume, rewind }

    @Argument(help: .init("This output only.", valueName: "output"))
    var output: String?

    @Argument(help: .init("What to do to it: pause, resume or rewind.", valueName: "action"))
    var action: Action?

    @Option(help: .init("With rewind: the first seq to hand on again.", valueName: "seq"))
    var toSeq: Int64?

    @Option(help: .init("With rewind: hand on again what was read at this time or later.", valueName: "time"))
    var toTime: String?

    @OptionGroup var list: ListOptions
    @OptionGroup var watch: WatchOptions
    @OptionGroup var socket: SocketOptions

    func validate() throws {
        let places = (toSeq == nil ? 0 : 1) + (toTime == nil ? 0 : 1)
        if action == .rewind, places != 1 { throw ValidationError("rewind needs either --to-seq or --to-time.") }
        if action != .rewind, places > 0 { throw ValidationError("--to-seq and --to-time need rewind.") }
        if let toTime, TimeText.whole(toTime) == nil { throw ValidationError("--to-time must be \(TimeText.forms).") }
        if watch.watch, list.quiet || action != nil { throw ValidationError("--watch is for the whole table.") }
        if action != nil, list.quiet { throw ValidationError("--quiet is for lists.") }
    }

    func run() async throws {
        guard let output, let action else { return try await show() }
        let name = [(key: "output", value: output)]
        switch action {
        case .pause:
            try await OutputAction("/v1/outputs/pause", name).run(socket, json: list.json) { report in
                "\(report.output) is paused; go on with: meterctl outputs \(report.output) resume"
            }
        case .resume:
            try await OutputAction("/v1/outputs/resume", name).run(socket, json: list.json) { "\($0.output) goes on" }
        case .rewind:
            let place = toSeq.map { [(key: "seq", value: String($0))] } ?? [(key: "time", value: toTime.flatMap(TimeText.whole) ?? "")]
            try await OutputAction("/v1/outputs/rewind", name + place).run(socket, json: list.json) { report in
                "\(report.output) hands on again from seq \(report.nextSeq ?? 0)"
            }
        }
    }

    private func show() async throws {
        if watch.watch { return try await keepWatch() }
        let body = try await DaemonClient.with(socket: socket.path) { try await $0.get("/v1/outputs") }
        if list.json, output == nil { return Standard.output.write(body) }
        var outputs = try DaemonClient.decode(OutputsReport.self, body).outputs
        if let output {
            outputs = outputs.filter { $0.name == output }
            guard !outputs.isEmpty else {
                throw Failure.failed("no output is called \"\(output)\" (meterctl outputs lists them)")
            }
            if list.json { return Standard.output.write(OutputsReport(outputs: outputs).json + [UInt8(ascii: "\n")]) }
        }
        let standard = Standard.output
        let listing = OutputListing(outputs, now: SystemTime().wall())
        ListAnswer(
            names: outputs.map(\.name), lines: listing.lines(width: standard.width, paint: Paint(coloured: standard.coloured)),
            nothing: "no outputs are configured; see docs/configuration.md"
        ).print(quiet: list.quiet)
    }

    private func keepWatch() async throws {
        try await Watch(options: watch, json: list.json).run(socket.path, "/v1/outputs") { body, width, paint in
            let outputs = try DaemonClient.decode(OutputsReport.self, body).outputs
            let shown = outputs.filter { output == nil || $0.name == output }
            if let output, shown.isEmpty { throw Failure.failed("no output is called \"\(output)\" (meterctl outputs lists them)") }
            return OutputListing(shown, now: SystemTime().wall()).lines(width: width, paint: paint)
        }
    }
}
