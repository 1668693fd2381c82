import ArgumentParser
import FoundationEssentials
import Gateway
import Glibc
import Host
import Logging
import Metering

struct Meterd: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "meterd",
        abstract: "Polls energy meters over Modbus, keeps every reading in SQLite and hands them on.",
        discussion: """
            Runs in the foreground until SIGTERM; meterctl asks it for its state. Exits 65 when the config is not valid, with every problem \
            on stderr, and 1 when the data directory cannot be used.

            Example:
              meterd --config /etc/meterd/meterd.toml
            """,
        version: Gateway.version)

    @Option(help: ArgumentHelp("The config file; conf.d/*.toml beside it is read too.", valueName: "file"))
    var config = "/etc/meterd/meterd.toml"

    @Option(help: "The least level that is logged: debug, info, notice, warning, error.")
    var logLevel = Logger.Level.info

    @Option(
        help: ArgumentHelp(
            "Where to read what is known of the kernel's clock while the daemon itself may not ask the kernel.", valueName: "file"))
    var clockState = ClockStateFile.standardPath

    @Option(
        help: ArgumentHelp(
            "Do nothing but ask the kernel for its clock and publish the answer in this directory, for a daemon that may not ask.",
            valueName: "dir"))
    var watchClock: String?

    func run() async throws {
        if let watchClock { return try await Meterd.watchClock(in: watchClock) }
        // A trial with 100 devices: 2 MiB less of anonymous memory, the same CPU time.
        Heap.shareAmongThreads()
        // A peer that closed a connection must not end the daemon.
        signal(SIGPIPE, SIG_IGN)
        // Nor a file that may become no larger: writing to it fails, and that is dealt with.
        signal(SIGXFSZ, SIG_IGN)
        // Nor a terminal that is closed, without the last commit; once it runs, the signal means: read the config again.
        signal(SIGHUP, SIG_IGN)
        let time = SystemTime(enquiry: ClockEnquiry(file: ClockStateFile(path: clockState)))
        let environment = ProcessInfo.processInfo.environment
        let control = LogLevelControl(logLevel)
        let handler = JournalLogHandler(control: control, time: time, prefixed: environment["JOURNAL_STREAM"] != nil)
        let logger = Logger(label: "meterd") { _ in handler }
        let configuration = try load()
        do {
            let file = config
            try await Gateway.serve(
                configuration, reload: { () throws(Problems) in try Configuration.load(file: file) }, environment: environment, time: time,
                logger: logger, logLevel: control)
        } catch {
            Meterd.complain("meterd: \(error)")
            throw ExitCode.failure
        }
    }

    private static func watchClock(in directory: String) async throws {
        let companion = ClockCompanion(
            directory: directory, notifier: ServiceNotifier(environment: ProcessInfo.processInfo.environment), time: SystemTime())
        do throws(ClockCompanion.Failure) {
            try await companion.run()
        } catch {
            complain("meterd: \(error)")
            // Where the call is forbidden, starting again does not allow it: sysexits.h, EX_NOPERM.
            if case .refused = error { throw ExitCode(77) }
            throw ExitCode.failure
        }
    }

    private func load() throws -> Configuration {
        do throws(Problems) {
            return try Configuration.load(file: config)
        } catch {
            for problem in error.list { Meterd.complain("\(problem)") }
            throw ExitCode(65)
        }
    }

    private static func complain(_ line: String) {
        // journald shows it among the errors.
        let prefix = ProcessInfo.processInfo.environment["JOURNAL_STREAM"] == nil ? "" : "<3>"
        let bytes = Array((prefix + line + "\n").utf8)
        _ = bytes.withUnsafeBytes { write(STDERR_FILENO, $0.baseAddress, $0.count) }
    }
}

extension Logger.Level: @retroactive ExpressibleByArgument {}
