import ArgumentParser
import Gateway
import Host

struct OutputsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "outputs",
        abstract: "List where readings are handed on, and how far each output has come.",
        discussion: """
            Example:
              meterctl outputs
            """)

    @OptionGroup var list: ListOptions
    @OptionGroup var socket: SocketOptions

    func run() async throws {
        let body = try await DaemonClient.with(socket: socket.path) { try await $0.get("/v1/outputs") }
        if list.json { return Standard.output.write(body) }
        let outputs = try DaemonClient.decode(OutputsReport.self, body).outputs
        let output = Standard.output
        let listing = OutputListing(outputs, now: SystemTime().wall())
        ListAnswer(
            names: outputs.map(\.name), lines: listing.lines(width: output.width, paint: Paint(coloured: output.coloured)),
            nothing: "no outputs are configured; see docs/configuration.md"
        ).print(quiet: list.quiet)
    }
}
