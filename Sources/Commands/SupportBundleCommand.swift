import ArgumentParser
import FoundationEssentials
import Gateway
import Glibc
import Host
import Metering

struct SupportBundleCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "support-bundle",
        abstract: "Put what a helper needs into one file: state, config, log, doctor; no readings, no secrets.",
        discussion: """
            Holds the status, what the journal keeps, the configuration with its origins and how it differs from what is in force, \
            versions, the list of profiles, the newest lines of the log and the doctor's report. Secrets are hidden, and what the files of \
            tokens and passwords hold is looked for in all of it and taken out: run it with sudo, so that it can read them. The daemon \
            need not run; it is asked on the socket that the config names, unless you name another. Look through the file before you send \
            it.

            Example:
              meterctl support-bundle meterd.tar.gz
            """)

    static let journalctl = "/usr/bin/journalctl"
    static let logBytes = 8 << 20
    static let logBound: Duration = .seconds(20)

    @Argument(
        help: .init("The file to write, which must not exist (default: meterd-support-ID-TIME.tar.gz here).", valueName: "file"),
        completion: .file(extensions: ["gz"]))
    var file: String?

    @Option(help: .init("The daemon's config file.", valueName: "file"), completion: .file(extensions: ["toml"]))
    var config = "/etc/meterd/meterd.toml"

    @Option(help: .init("Take the log from this file instead of asking journalctl.", valueName: "file"), completion: .file())
    var log: String?

    @Flag(help: "Put the newest readings in, too.")
    var withReadings = false

    @OptionGroup var socket: SocketOptions

    func run() async throws {
        let now = SystemTime().wall()
        var bundle = SupportBundle(file: config, time: now)
        for (name, path) in [("status", "/v1/status"), ("journal", "/v1/journal"), ("config-diff", "/v1/config/diff")] {
            bundle.add(name, answer: await answer(path, bundle.socket))
        }
        if withReadings { bundle.add("readings", answer: await answer("/v1/readings", bundle.socket)) }
        bundle.add(await DoctorCommand.examine(file: config, socket: socket))
        bundle.add(log: lines())
        let stamp = now.rfc3339.prefix(19).filter { $0 != "-" && $0 != ":" }
        let folder = "meterd-support-\(bundle.gateway)-\(stamp)"
        let path = file ?? folder + ".tar.gz"
        try SupportBundleCommand.write(bundle.archive(folder: folder), to: path)
        Standard.output.print(path)
        Standard.error.print("it holds \(bundle.names.joined(separator: ", ")); look through it before you send it: tar -xzf \(path)")
    }

    private func answer(_ path: String, _ configured: String) async -> Result<[UInt8], SupportBundle.Missing> {
        do {
            let address = try socket.address(configured: configured)
            return .success(try await DaemonClient.with(socket: address) { try await $0.get(path) })
        } catch {
            return .failure(SupportBundle.Missing((error as? Failure)?.text ?? "\(error)"))
        }
    }

    private func lines() -> Result<String, SupportBundle.Missing> {
        if let log {
            guard let text = try? String(contentsOfFile: log, encoding: .utf8) else { return .failure(.init("\(log) cannot be read")) }
            return .success(text)
        }
        let words = ["--unit=meterd", "--lines=\(SupportBundle.logLines)", "--no-pager", "--output=short-iso", "--utc", "--quiet"]
        do throws(ChildRun.Refusal) {
            let bytes = try ChildRun.output(
                of: SupportBundleCommand.journalctl, words, limit: SupportBundleCommand.logBytes, bound: SupportBundleCommand.logBound)
            if bytes.isEmpty { return .failure(.init("journalctl shows nothing of meterd; with sudo it may")) }
            return .success(String(decoding: bytes, as: UTF8.self))
        } catch {
            return .failure(.init(error.text))
        }
    }

    /// For the owner's eyes, and never over something that is there.
    private static func write(_ bytes: [UInt8], to path: String) throws(Failure) {
        let descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else {
            let cure = errno == EEXIST ? "name another file, or remove it" : "name a file in a folder that you may write to"
            throw Failure.failed("\(path): \(String(cString: strerror(errno))); \(cure)")
        }
        defer { close(descriptor) }
        guard Standard.write(bytes, to: descriptor) else {
            throw Failure.failed("\(path): \(String(cString: strerror(errno)))")
        }
    }
}
