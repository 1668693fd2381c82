import ArgumentParser
import Gateway
import Metering

struct ConfigShowCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show",
        abstract: "Show the whole configuration, with the origin of each value.",
        discussion: """
            Each key is shown with the value that holds and a comment that says where it comes from: a line of a file, a table that it is \
            taken over from, or the default. Secrets are hidden: files of tokens are named, passwords and tokens within a URL and the \
            values of header fields are ***. Exits 65 with every problem when the files are not valid. The daemon need not run; with \
            --running it is asked for what it has in force.

            Example:
              meterctl config show
            """)

    @Argument(help: .init("The file to show.", valueName: "file"), completion: .file(extensions: ["toml"]))
    var file = "/etc/meterd/meterd.toml"

    @Flag(help: "Show what the running daemon has in force, not the file.")
    var running = false

    @Flag(help: "Show the keys that are not set, too.")
    var all = false

    @Flag(help: "Print JSON: {\"files\":[...],\"entries\":[...]} (see docs/local-api.md).")
    var json = false

    @OptionGroup var socket: SocketOptions

    func run() async throws {
        var listing: ConfigurationListing
        if running {
            let body = try await DaemonClient.with(socket: socket.path) { try await $0.get("/v1/config") }
            if json { return Standard.output.write(body) }
            listing = try DaemonClient.decode(ConfigurationListing.self, body)
        } else {
            let (configuration, problems) = Configuration.examine(file: file)
            if !problems.isEmpty { throw Failure.badData(problems.map(\.description).joined(separator: "\n")) }
            listing = configuration.listing
            if json { return Standard.output.write(listing.json + [UInt8(ascii: "\n")]) }
        }
        if !all { listing.entries.removeAll { $0.value == nil } }
        let output = Standard.output
        output.print(ConfigurationScreen(listing).lines(width: output.width, paint: Paint(coloured: output.coloured)))
    }
}

struct ConfigDiffCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "diff",
        abstract: "Show how the config files differ from what the running daemon has in force.",
        discussion: """
            The daemon reads its files anew and compares: nothing is applied. A line for each key that is added, changed or removed, and \
            one for a bus, device or output that comes or goes. Exits 0 when nothing differs, 1 when something does, 65 when the files \
            are not valid.

            Example:
              meterctl config diff || meterctl reload
            """)

    @Flag(help: "Print the daemon's answer as JSON (see docs/local-api.md).")
    var json = false

    @OptionGroup var socket: SocketOptions

    func run() async throws {
        let body = try await DaemonClient.with(socket: socket.path) { try await $0.get("/v1/config/diff") }
        let report = try DaemonClient.decode(ConfigurationDifferences.self, body)
        if json {
            Standard.output.write(body)
        } else {
            Standard.output.print(ConfigurationDifferenceScreen(report).lines(paint: Paint(coloured: Standard.output.coloured)))
        }
        if !report.differences.isEmpty { throw ExitCode.failure }
    }
}
