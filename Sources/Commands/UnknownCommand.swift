import ArgumentParser
import Metering

/// A word in a command's place that is none. The parser calls it an unexpected argument; people want to hear what they may have meant.
enum UnknownCommand {
    /// The message in the parser's form; nil when the words begin with commands there are.
    static func text(_ arguments: [String], of root: any ParsableCommand.Type) -> String? {
        var command = root
        var path = name(root)
        for word in arguments.first == "help" ? arguments.dropFirst() : arguments[...] {
            let commands = command.configuration.subcommands
            guard !commands.isEmpty, !word.hasPrefix("-") else { return nil }
            guard let next = commands.first(where: { name($0) == word }) else {
                let hint = Spelling.nearest(word, among: commands.map(name)).map { "; did you mean \"\($0)\"?" } ?? ""
                return
                    "Error: \(path) has no command \"\(word.withoutControls)\"\(hint)\nUsage: \(path) <subcommand>\n  See '\(path) --help' for more information."
            }
            command = next
            path += " \(word)"
        }
        return nil
    }

    private static func name(_ command: any ParsableCommand.Type) -> String { command.configuration.commandName ?? command._commandName }
}
