import ArgumentParser
import Gateway

/// The companion of the daemon: asks it over its Unix socket, shows the answer on stdout and everything else on stderr.
struct Meterctl: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "meterctl",
        abstract: "Ask the meterd daemon how it is and what the meters say.",
        discussion: """
            Exit status: 0 done, 1 failed (also when status says failed), 64 wrong usage, 65 bad data, 69 daemon not reachable.

            Example:
              meterctl status
            """,
        version: Gateway.version,
        subcommands: [
            StatusCommand.self, BusesCommand.self, DevicesCommand.self, ReadingsCommand.self, OutputsCommand.self, DeadLettersCommand.self,
            JournalCommand.self, ConfigCommand.self, ReloadCommand.self, DoctorCommand.self, SupportBundleCommand.self,
            LogLevelCommand.self, IntervalsCommand.self, ReadCommand.self, ScanCommand.self, IdentifyCommand.self, ProfilesCommand.self,
        ])

    static func main() async {
        do {
            let arguments = socketLast(Array(CommandLine.arguments.dropFirst()))
            if let text = UnknownCommand.text(arguments, of: Meterctl.self) {
                Standard.error.print(text)
                exit(withErrorCode: .validationFailure)
            }
            var command = try parseAsRoot(arguments)
            if var asynchronous = command as? any AsyncParsableCommand {
                try await asynchronous.run()
            } else {
                try command.run()
            }
        } catch let failure as Failure {
            let lines = failure.text.split(separator: "\n").map { String($0).withoutControls }
            Standard.error.print("meterctl: \(lines.joined(separator: "\n"))")
            exit(withErrorCode: failure.code)
        } catch {
            let code = exitCode(for: error)
            let text = HelpPage.examplesLast(fullMessage(for: error))
            if !text.isEmpty { (code.isSuccess ? Standard.output : Standard.error).print(text) }
            exit(withErrorCode: code)
        }
    }

    /// `--socket PATH` is an option of each command that asks the daemon, and so are `--host` and `--token-file`; said before the command they
    /// mean the same.
    static func socketLast(_ arguments: [String]) -> [String] {
        let options = ["--socket", "--host", "--token-file"]
        var count = 0
        while count < arguments.count {
            let word = arguments[count]
            if options.contains(word) {
                count += 2
            } else if options.contains(where: { word.hasPrefix($0 + "=") }) {
                count += 1
            } else {
                break
            }
        }
        guard count > 0, arguments.count > count else { return arguments }
        let rest = Array(arguments.dropFirst(count))
        if rest.first == "help" { return rest }
        let end = rest.firstIndex(of: "--") ?? rest.endIndex
        return Array(rest[..<end] + arguments.prefix(count) + rest[end...])
    }

    private static func exit(withErrorCode code: ExitCode) -> Never { exit(withError: code) }
}

/// An end of the program that is not a success, with its exit status.
struct Failure: Error {
    var code: ExitCode
    var text: String

    static func failed(_ text: String) -> Failure { Failure(code: .failure, text: text) }
    static func badData(_ text: String) -> Failure { Failure(code: .badData, text: text) }
    static func unreachable(_ text: String) -> Failure { Failure(code: .unreachable, text: text) }
}

extension ExitCode {
    /// EX_DATAERR of sysexits.h
    static let badData = ExitCode(65)
    /// EX_UNAVAILABLE of sysexits.h
    static let unreachable = ExitCode(69)
}
