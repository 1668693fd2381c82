import ArgumentParser
import Gateway

struct ReloadCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "reload",
        abstract: "Have the daemon read its config again and apply it.",
        discussion: """
            Buses and outputs that did not change go on untouched; changed ones are stopped and started, and no reading is lost. A file \
            that is not valid changes nothing: every problem is printed and the exit status is 65.

            Example:
              meterctl config check && meterctl reload
            """)

    @Flag(help: "Print the daemon's answer as JSON (see docs/local-api.md).")
    var json = false

    @OptionGroup var socket: SocketOptions

    func run() async throws {
        let body = try await DaemonClient.with(socket: socket.path) { try await $0.post("/v1/reload") }
        if json { return Standard.output.write(body) }
        Standard.output.print(ReloadVerdict(try DaemonClient.decode(ReloadReport.self, body)).lines.joined(separator: "\n"))
    }
}
