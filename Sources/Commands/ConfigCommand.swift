import ArgumentParser
import Gateway

struct ConfigCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "config",
        abstract: "Look at the daemon's configuration.",
        discussion: """
            Example:
              meterctl config check
            """,
        subcommands: [ConfigCheckCommand.self, ConfigShowCommand.self, ConfigDiffCommand.self])
}

struct ConfigCheckCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check",
        abstract: "Check a configuration file without starting anything.",
        discussion: """
            Every problem is printed, each as file:line:column: key: what is wrong; how to mend it. Exits 0 when the file is valid, 65 \
            when it is not. The daemon need not run.

            Of a valid file the load of each bus is shown: requests and bytes a second, how long one round takes, the share of the time. \
            Periods that cannot be met are warnings, each with one that can.

            Example:
              meterctl config check /etc/meterd/meterd.toml
            """)

    @Argument(help: .init("The file to check.", valueName: "file"), completion: .file(extensions: ["toml"]))
    var file = "/etc/meterd/meterd.toml"

    @Flag(help: "Print the verdict as JSON: {\"valid\":...,\"file\":...,\"problems\":[...],\"buses\":[...],\"warnings\":[...]}.")
    var json = false

    func run() async throws {
        let verdict = checkConfiguration(file: file)
        if json {
            Standard.output.write(verdict.json + [UInt8(ascii: "\n")])
        } else if verdict.valid {
            let output = Standard.output
            output.print(verdict.lines(width: output.width, paint: Paint(coloured: output.coloured)))
            if !verdict.warnings.isEmpty { Standard.error.print(verdict.warnings.map { "warning: \($0)" }) }
        } else {
            Standard.error.print(verdict.problems)
        }
        if !verdict.valid { throw ExitCode.badData }
    }
}
