import FoundationEssentials

/// What meterctl says of its own commands, for tools.
struct CommandTree: Decodable {
    struct Command: Decodable {
        struct Argument: Decodable {
            struct Name: Decodable {
                var kind: String
                var name: String
            }
            var names: [Name]?
        }
        var commandName: String
        var discussion: String?
        var arguments: [Argument]?
        var subcommands: [Command]?
    }

    /// A command by the words that call it; the program itself is the empty one.
    struct Called {
        var path: String
        var command: Command
        /// `--json`, `--socket`.
        var options: [String] {
            (command.arguments ?? []).flatMap { $0.names ?? [] }.filter { $0.kind == "long" }.map { "--" + $0.name }
        }
    }

    var command: Command

    static func read() async throws -> CommandTree {
        let run = try await meterctl(["--experimental-dump-help"])
        return try JSONDecoder().decode(CommandTree.self, from: Data(run.output.utf8))
    }

    /// The program and all its commands but `help`.
    var all: [Called] { CommandTree.under(command, path: "") }

    private static func under(_ command: Command, path: String) -> [Called] {
        let own = Called(path: path, command: command)
        return [own]
            + (command.subcommands ?? []).filter { $0.commandName != "help" }.flatMap { part in
                under(part, path: path.isEmpty ? part.commandName : "\(path) \(part.commandName)")
            }
    }
}
