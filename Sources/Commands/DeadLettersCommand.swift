import ArgumentParser
import Gateway
import Host

struct DeadLettersCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "dead-letters",
        abstract: "Look after records that a receiver refused: list, show, replay, drop.",
        discussion: """
            A record that a receiver refuses for good is kept with the receiver's answer, and the records behind it go on.

            Example:
              meterctl dead-letters list park
            """,
        subcommands: [
            DeadLettersListCommand.self, DeadLettersShowCommand.self, DeadLettersReplayCommand.self, DeadLettersDropCommand.self,
        ])
}

/// The output whose dead letters are meant.
struct OutputArgument: ParsableArguments {
    @Argument(help: .init("The output, as `meterctl outputs` names it.", valueName: "output"))
    var output: String
}

/// Which of an output's dead letters are meant.
struct LetterChoice: ParsableArguments {
    @Argument(help: .init("The dead letters by their seq.", valueName: "seq"))
    var seqs: [Int64] = []

    @Flag(help: "All of the output's dead letters.")
    var all = false

    func validate() throws {
        if all != seqs.isEmpty { throw ValidationError("Name dead letters by their seq, or say --all.") }
    }

    var query: [(key: String, value: String)] { all ? [("all", "true")] : seqs.map { ("seq", String($0)) } }
}

struct DeadLettersListCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list",
        abstract: "List an output's dead letters, oldest first.",
        discussion: """
            Example:
              meterctl dead-letters list park
            """)

    @OptionGroup var output: OutputArgument

    @Option(help: .init("Begin with this seq.", valueName: "seq"))
    var from: Int64 = 0

    @Option(help: .init("Show at most so many, 1 to 1000.", valueName: "n"))
    var limit = 100

    @OptionGroup var list: ListOptions
    @OptionGroup var socket: SocketOptions

    func run() async throws {
        let query = [("output", output.output), ("from", String(from)), ("limit", String(limit))]
        let body = try await DaemonClient.with(socket: socket.path) { try await $0.get("/v1/dead-letters", query: query) }
        if list.json { return Standard.output.write(body) }
        let report = try DaemonClient.decode(DeadLettersReport.self, body)
        let standard = Standard.output
        let table = DeadLetterListing(report.deadLetters, now: SystemTime().wall()).table
        ListAnswer(
            names: report.deadLetters.map { String($0.seq) },
            lines: table.lines(width: standard.width, paint: Paint(coloured: standard.coloured)),
            nothing: "\(report.output) has no dead letters"
        ).print(quiet: list.quiet)
        if let next = report.next { Standard.error.print("there are more: --from \(next)") }
    }
}

struct DeadLettersShowCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show",
        abstract: "Show one dead letter with its record and the receiver's whole answer.",
        discussion: """
            Example:
              meterctl dead-letters show park 1041
            """)

    @OptionGroup var output: OutputArgument

    @Argument(help: .init("The dead letter by its seq.", valueName: "seq"))
    var seq: Int64

    @Flag(help: "Print the daemon's answer as JSON (see docs/local-api.md).")
    var json = false

    @OptionGroup var socket: SocketOptions

    func run() async throws {
        let query = [("output", output.output), ("seq", String(seq))]
        let body = try await DaemonClient.with(socket: socket.path) { try await $0.get("/v1/dead-letters/letter", query: query) }
        if json { return Standard.output.write(body) }
        let letter = try DaemonClient.decode(DeadLetterReport.self, body)
        Standard.output.print(
            [
                "seq       \(letter.seq)\(letter.replaying ? ", is being handed on again" : "")",
                "device    \(letter.device?.withoutControls ?? "unknown")",
                "read      \(letter.time?.rfc3339 ?? "unknown: no copy of the poll is left")",
                "rejected  \(letter.rejected.rfc3339)",
                "reason    \(letter.reason.withoutControls)",
            ])
        Standard.error.print("--json shows the record itself")
    }
}

struct DeadLettersReplayCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "replay",
        abstract: "Hand dead letters on again, when the receiver was mended.",
        discussion: """
            They go out beside the output's other records, under the seq they have always had. One that is accepted is no dead letter \
            any more; one that is refused again stays, with the new answer.

            Example:
              meterctl dead-letters replay park --all
            """)

    @OptionGroup var output: OutputArgument
    @OptionGroup var choice: LetterChoice

    @Flag(help: "Print the daemon's answer as JSON (see docs/local-api.md).")
    var json = false

    @OptionGroup var socket: SocketOptions

    func run() async throws {
        try await OutputAction("/v1/dead-letters/replay", [("output", output.output)] + choice.query).run(socket, json: json) { report in
            let count = Humanize.count(report.deadLetters ?? 0, "dead letter")
            return "\(report.output) hands on \(count) again; meterctl dead-letters list \(report.output) shows those that stay"
        }
    }
}

struct DeadLettersDropCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "drop",
        abstract: "Remove dead letters for good.",
        discussion: """
            The polls stay in the journal as long as its retention keeps them; this output does not hand them on any more.

            Example:
              meterctl dead-letters drop park 1041 1042
            """)

    @OptionGroup var output: OutputArgument
    @OptionGroup var choice: LetterChoice

    @Flag(help: "Print the daemon's answer as JSON (see docs/local-api.md).")
    var json = false

    @OptionGroup var socket: SocketOptions

    func run() async throws {
        try await OutputAction("/v1/dead-letters/drop", [("output", output.output)] + choice.query).run(socket, json: json) { report in
            "\(Humanize.count(report.deadLetters ?? 0, "dead letter")) of \(report.output) removed"
        }
    }
}

/// Something the daemon is to do to an output.
struct OutputAction {
    var path: String
    var query: [(key: String, value: String)]

    init(_ path: String, _ query: [(key: String, value: String)]) {
        self.path = path
        self.query = query
    }

    /// - Parameter tell: the answer in words.
    func run(_ socket: SocketOptions, json: Bool, tell: (OutputActionReport) -> String) async throws {
        let body = try await DaemonClient.with(socket: socket.path) { try await $0.post(path, query: query) }
        if json { return Standard.output.write(body) }
        Standard.output.print(tell(try DaemonClient.decode(OutputActionReport.self, body)))
    }
}
