import Glibc
import Host
import Metering
import Uplink

/// What somebody needs who helps from afar, in files, without readings and without secrets.
///
/// Secrets are kept out three times: parts that may hold some are never taken (files of tokens, config files as they stand, units); what is
/// taken is redacted; and whatever is known to be secret, since the config names it, is looked for in every file and taken out.
package struct SupportBundle: Sendable {
    /// Lines of the log that are taken, and bytes of each.
    package static let logLines = 2000
    static let logLineBytes = 4096
    /// A shorter secret would take pieces out of words.
    static let secretBytes = 4
    /// Parts of an address that are no secret, whatever else is hidden of it.
    private static let plainWords = Set(["http", "https", "mqtt", "mqtts", "serial", "rtu+tcp"] + Redaction.names)

    private var files: [(name: String, text: String)] = []
    private let secrets: [String]
    private let configuration: Configuration
    private let problems: [Problem]
    private let time: Timestamp

    /// - Parameter file: the daemon's config.
    package init(file: String, time: Timestamp) {
        (configuration, problems) = Configuration.examine(file: file)
        self.time = time
        secrets = SupportBundle.secrets(of: configuration.listing)
        addConfiguration()
        addVersions()
    }

    package var gateway: String { configuration.gateway.id }
    /// Where the config has the daemon listen.
    package var socket: String { configuration.api.socket }

    /// A JSON answer of the daemon, or why there is none.
    package mutating func add(_ name: String, answer: Result<[UInt8], Missing>) {
        switch answer {
        case .success(let body): files.append((name + ".json", String(decoding: body, as: UTF8.self)))
        case .failure(let error): files.append((name + ".txt", "there is no answer: \(error.text)\n"))
        }
    }

    package mutating func add(_ report: DoctorReport) {
        files.append(("doctor.json", String(decoding: report.json, as: UTF8.self) + "\n"))
        files.append(("doctor.txt", report.lines(width: nil, paint: Paint(coloured: false)).joined(separator: "\n") + "\n"))
    }

    /// The newest lines of the log, or why there are none.
    package mutating func add(log: Result<String, Missing>) {
        switch log {
        case .success(let text):
            let lines = text.split(separator: "\n").suffix(SupportBundle.logLines)
            let shown = lines.map { Redaction.line(String($0.prefix(SupportBundle.logLineBytes)).withoutControls) }
            files.append(("log.txt", shown.joined(separator: "\n") + "\n"))
        case .failure(let refusal): files.append(("log.txt", "there is no log: \(refusal.text)\n"))
        }
    }

    package struct Missing: Error, Sendable {
        package var text: String
        package init(_ text: String) { self.text = text }
    }

    private mutating func addConfiguration() {
        files.append(("config.json", String(decoding: configuration.listing.json, as: UTF8.self) + "\n"))
        let screen = ConfigurationScreen(configuration.listing).lines(width: nil, paint: Paint(coloured: false))
        files.append(("config.txt", screen.joined(separator: "\n") + "\n"))
        if !problems.isEmpty { files.append(("config-problems.txt", problems.map { "\($0)\n" }.joined())) }
        var library = ProfileLibrary(path: configuration.gateway.profilePath)
        let log = TomlReader.ProblemLog()
        let list = library.names.map { name in
            if case .faulty = library.profile(name, log: log) { "\(name) cannot be used\n" } else { "\(name)\n" }
        }
        files.append(
            ("profiles.txt", "in \(library.path.joined(separator: ", "))\n" + list.joined() + log.sorted.map { "\($0)\n" }.joined()))
    }

    private mutating func addVersions() {
        var names = utsname()
        uname(&names)
        func text<Field>(_ field: Field) -> String {
            withUnsafeBytes(of: field) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
        }
        let log = TomlReader.ProblemLog()
        let release = TextFile.read("/etc/os-release", limit: 64 << 10, log: log) ?? ""
        let system = release.split(separator: "\n").first { $0.hasPrefix("PRETTY_NAME=") }?.dropFirst(12) ?? "unknown"
        files.append(
            (
                "versions.txt",
                """
                meterctl  \(Gateway.version)
                system    \(system)
                kernel    \(text(names.sysname)) \(text(names.release)) \(text(names.version))
                machine   \(text(names.machine))
                made      \(time.rfc3339)

                """
            ))
    }

    // MARK: Secrets

    /// Whatever the config calls a secret: what its files hold, and what is hidden when a value is shown.
    private static func secrets(of listing: ConfigurationListing) -> [String] {
        var found: Set<String> = []
        for entry in listing.entries {
            guard let exact = entry.exact else { continue }
            if let path = secretFile(entry), let text = TextFile.read(path, limit: TokenFile.sizeLimit, log: TomlReader.ProblemLog()) {
                found.formUnion(text.split(whereSeparator: \.isNewline).map { String($0.drop { $0 == " " }) })
                found.formUnion(logins(entry, path, listing))
            }
            guard exact != entry.value else { continue }
            let shown = entry.value?.literal ?? ""
            let parts = exact.literal.split { "\"/:@?&=#, []".contains($0) }.map(String.init)
            found.formUnion(parts.filter { !shown.contains($0) && !plainWords.contains($0.lowercased()) })
        }
        // The longest first, so that one that holds another goes whole.
        return found.filter { $0.utf8.count >= secretBytes }.sorted { ($0.utf8.count, $0) > ($1.utf8.count, $1) }
    }

    private static func secretFile(_ entry: ConfigurationEntry) -> String? {
        guard Redaction.isSecretFile(entry.key), case .text(let text)? = entry.exact else { return nil }
        switch entry.origin {
        case .file(let file, line: _), .inherited(from: _, file: let file, line: _): return TomlReader.absolute(text, from: file)
        case .standard: return nil
        }
    }

    /// A user with the password in this file, as HTTP carries them and a receiver may quote them.
    private static func logins(_ entry: ConfigurationEntry, _ path: String, _ listing: ConfigurationListing) -> [String] {
        guard entry.key == "password_file", let password = try? TokenFile(path: path).read(spaces: true) else { return [] }
        return listing.entries.compactMap { other in
            guard other.place == entry.place, other.key == "username", case .text(let user)? = other.exact else { return nil }
            return HTTPUpstream.Credentials.login(user, password: password)
        }
    }

    private func cleared(_ text: String) -> String {
        secrets.reduce(text) { text, secret in
            text.split(separator: secret, omittingEmptySubsequences: false).joined(separator: Redaction.mark)
        }
    }

    // MARK: The whole

    /// The names of the files in it.
    package var names: [String] { ["README.txt"] + files.map(\.name) }

    /// - Parameter folder: the name of the folder that it unpacks to.
    package func archive(folder: String) -> [UInt8] {
        var tar = TarArchive(seconds: time.milliseconds / 1000)
        let note = """
            What meterd's support bundle holds. No readings unless they were asked for, and no secrets: they are shown as \(Redaction.mark).
            Look through it before you send it.

            """ + files.map { "  \($0.name)\n" }.joined()
        tar.add("\(folder)/README.txt", Array(note.utf8))
        for (name, text) in files { tar.add("\(folder)/\(name)", Array(cleared(text).utf8)) }
        return Deflate.compress(tar.whole, format: .gzip, level: 6)
    }
}
