import ArgumentParser
import Gateway
import Metering

struct ProfilesCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "profiles",
        abstract: "List the register maps, show one, or try one out.",
        discussion: """
            Example:
              meterctl profiles list
            """,
        subcommands: [ProfilesListCommand.self, ProfilesShowCommand.self, ProfilesTestCommand.self])
}

/// Where profiles are looked for.
struct ProfileOptions: ParsableArguments {
    @Option(
        help: .init("The configuration whose profile_path is used.", valueName: "file"), completion: .file(extensions: ["toml"]))
    var config = "/etc/meterd/meterd.toml"

    @Option(
        help: .init("Look in this directory instead; may be given several times, the first one wins.", valueName: "directory"),
        completion: .directory)
    var path: [String] = []

    var shelf: ProfileShelf { ProfileShelf(path: path.isEmpty ? ProfileShelf.path(configuration: config) : path) }

    /// - Throws: `Failure`: there is no such profile, or it is not valid, with every problem.
    func entry(_ name: String) throws -> ProfileShelf.Entry {
        let shelf = shelf
        guard let entry = shelf.entry(name) else {
            throw Failure.failed("no profile \"\(name)\" in \(shelf.path.joined(separator: ", "))\(shelf.hint(name))")
        }
        if !entry.problems.isEmpty { throw Failure.badData(entry.problems.joined(separator: "\n")) }
        if entry.file == nil {
            throw Failure.failed(
                "\(name) has no map of its own: a device is asked for it. Name the device: meterctl profiles test --device DEVICE")
        }
        return entry
    }
}

struct ProfilesListCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list",
        abstract: "List every profile, where it is from, and which file takes the place of which.",
        discussion: """
            Exits 65 when a file is not valid, and says what is wrong with it. The daemon need not run.

            Example:
              meterctl profiles list
            """)

    @OptionGroup var options: ProfileOptions

    @Flag(help: "Print the list as JSON (see docs/device-profiles.md).")
    var json = false

    @Flag(name: .shortAndLong, help: "Print names only, one a line.")
    var quiet = false

    func run() async throws {
        let shelf = options.shelf
        let listing = ProfileListing(shelf)
        if json {
            Standard.output.write(listing.json + [UInt8(ascii: "\n")])
        } else if quiet {
            Standard.output.print(shelf.entries.map(\.name))
        } else {
            let output = Standard.output
            output.print(listing.table.lines(width: output.width, paint: Paint(coloured: output.coloured)))
            Standard.error.print(listing.overrides)
        }
        if !listing.problems.isEmpty { throw Failure.badData(listing.problems.joined(separator: "\n")) }
    }
}

struct ProfilesShowCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show",
        abstract: "Show the points of a profile as a table.",
        discussion: """
            Addresses are those on the wire, counted from 0. FACTOR leads from the raw number to UNIT. The daemon need not run.

            Example:
              meterctl profiles show eastron-sdm630
            """)

    @Argument(help: .init("The profile.", valueName: "name"))
    var name: String

    @Flag(help: "Print the profile's file as it is, to make one of your own from it.")
    var toml = false

    @Flag(help: "Print it as JSON (see docs/device-profiles.md).")
    var json = false

    @OptionGroup var options: ProfileOptions

    func validate() throws {
        if json, toml { throw ValidationError("--json and --toml exclude each other.") }
    }

    func run() async throws {
        let entry = try options.entry(name)
        let output = Standard.output
        guard let card = ProfileCard(entry) else { throw Failure.badData("profile \"\(name)\" is not valid") }
        if toml {
            output.write(Array(entry.text.utf8))
        } else if json {
            output.write(card.json + [UInt8(ascii: "\n")])
        } else {
            output.print(card.lines(width: output.width, paint: Paint(coloured: output.coloured)))
        }
    }
}

struct ProfilesTestCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "test",
        abstract: "Decode the worked examples of a profile, or read every point of it from a device.",
        discussion: """
            With a name alone the examples in the file are decoded; the daemon need not run. With --device the running daemon reads every \
            point between its polls and shows the raw words, the value and whether that can be: compare with the display. The device is \
            one of the configuration, read by its own profile or by the one named, or BUS:UNIT and a name. Exits 1 when an example or a \
            point is wrong, 65 when the file is not valid.

            Example:
              meterctl profiles test eastron-sdm630 --device line-1:3
            """)

    @Argument(help: .init("The profile; without it the one that the device has.", valueName: "name"))
    var name: String?

    @Option(help: .init("A configured device, or a bus and a unit id.", valueName: "device|bus:unit"), transform: TargetArgument.parse)
    var device: TargetArgument?

    @Flag(help: "Print the outcome as JSON (see docs/device-profiles.md).")
    var json = false

    @OptionGroup var options: ProfileOptions
    @OptionGroup var socket: SocketOptions

    func validate() throws {
        if name == nil, device == nil { throw ValidationError("Name a profile, or a device with --device.") }
    }

    func run() async throws {
        if let device { try await run(on: device) } else if let name { try run(examplesOf: name) }
    }

    private func run(examplesOf name: String) throws {
        let entry = try options.entry(name)
        guard let profile = entry.profile else { throw Failure.badData("profile \"\(name)\" is not valid") }
        let test = ProfileTest(profile)
        let output = Standard.output
        if json {
            output.write(test.json + [UInt8(ascii: "\n")])
        } else if !test.outcomes.isEmpty {
            output.print(test.table.lines(width: output.width, paint: Paint(coloured: output.coloured)))
        }
        if test.outcomes.isEmpty { throw Failure.failed("\(name) has no worked example to test; add [[example]] tables to its file") }
        let wrong = test.outcomes.filter { !$0.passed }
        if !wrong.isEmpty { throw Failure.failed("\(name): \(wrong.count) of \(test.outcomes.count) examples are decoded wrongly") }
    }

    private func run(on device: TargetArgument) async throws {
        let query = device.query + (name.map { [(key: "profile", value: $0)] } ?? [])
        let body = try await DaemonClient.with(socket: socket.path) { client in
            try await client.get("/v1/trial", query: query, timeLimitSeconds: DaemonClient.searchTimeLimitSeconds)
        }
        let report = try DaemonClient.decode(TrialReport.self, body)
        let output = Standard.output
        if json {
            output.write(body)
        } else {
            output.print(report.table.lines(width: output.width, paint: Paint(coloured: output.coloured)))
            Standard.error.print(report.summary)
        }
        if !report.passed { throw Failure.failed("not every point of \(report.profile) came as a value that can be") }
    }
}
