import FoundationEssentials
import Metering
import Store
import Uplink

extension Configuration {
    package struct Output: Hashable, Sendable {
        package var name: String
        package var type: OutputType
        package var target: Target
        package var batchRecords = 500
        package var batchBytes = 256 << 10
        package var batchAge: Duration = .seconds(5)
        package var timeout: Duration = .seconds(30)
        /// Nil: everything.
        package var filter: OutputFilter?
        /// Nil: the backlog goes as fast as the receiver answers.
        package var pace: Pace?
        package var policy = LanePolicy.liveFirst
    }

    package enum OutputType: String, Hashable, Sendable, CaseIterable { case http, influx, mqtt, file }

    /// What an output hands on to.
    package enum Target: Hashable, Sendable {
        case http(HTTPUpstream.Settings)
        case mqtt(MQTTSettings)
        case file(FileUpstream.Settings)
    }
}

/// Reads one `[[output]]`.
struct OutputReader {
    private static let timeouts: ClosedRange<Duration> = .seconds(1) ... .seconds(300)

    let table: TomlReader

    init(_ table: TomlReader) { self.table = table }

    func read() -> Configuration.Output? {
        let name = table.name("name")
        let type = table.choice("type", of: Configuration.OutputType.self, required: true)
        let records = table.integer("batch_records", in: 1...10_000)
        let bytes = table.size("batch_bytes", in: (1 << 10)...(16 << 20), example: "\"256KiB\"")
        let age = table.duration("batch_age", in: .zero ... .seconds(3600))
        let filter = filter()
        let pace = pace()
        let policy = table.choice("lane", of: LanePolicy.self)
        let timeout = type == .file ? nil : table.duration("timeout", in: OutputReader.timeouts, example: "\"30s\"")
        let target: Configuration.Target? =
            switch type {
            case .http: http(timeout)
            case .influx: influx(timeout)
            case .mqtt: mqtt(name, timeout)
            case .file: file(name)
            // Which keys belong to it cannot be told; those of the first type are the likeliest.
            case nil: http(timeout)
            }
        guard let name, let type, let target else { return nil }
        var output = Configuration.Output(name: name, type: type, target: target)
        if let records { output.batchRecords = records }
        if let bytes { output.batchBytes = bytes }
        if let age { output.batchAge = age }
        if let timeout { output.timeout = timeout }
        output.filter = filter
        output.pace = pace
        output.policy = self.policy(policy, target)
        return output
    }

    // MARK: HTTP

    private func http(_ timeout: Duration?) -> Configuration.Target? {
        let url = httpURL(example: "https://ingest.example.org/v1/batches")
        let credentials = credentials(scheme: .bearer)
        let compression = table.choice("compression", of: HTTPUpstream.Compression.self)
        let (link, headers) = (link(url), headers())
        guard let url else { return nil }
        return .http(
            HTTPUpstream.Settings(
                url: url, credentials: credentials, compression: compression ?? .gzip, headers: headers, link: link,
                timeout: timeout ?? .seconds(30), version: Gateway.version))
    }

    private func influx(_ timeout: Duration?) -> Configuration.Target? {
        let example = "http://192.0.2.5:8086/api/v2/write?org=factory&bucket=meters"
        let url = httpURL(example: example)
        if let url { checkWriteURL(url, example) }
        let scheme = table.choice("token_scheme", of: TokenScheme.self)
        let credentials = credentials(scheme: scheme ?? .token)
        if scheme != nil, table.text("token_file") == nil {
            table.problem("token_scheme", "says how token_file is sent; add token_file or remove it")
        }
        let (link, headers) = (link(url), headers())
        let compression = table.choice("compression", of: HTTPUpstream.Compression.self)
        if compression == .zstd { table.problem("compression", "no server of line protocol takes zstd; write \"gzip\" or \"none\"") }
        var format = LineProtocol()
        if let measurement = table.string("measurement", example: "\"meterd\"") {
            format.measurement = measurement
            if measurement.isEmpty || measurement.hasPrefix("#") || measurement.utf8.contains(where: { $0 < 0x20 }) {
                table.problem("measurement", "must be a name such as \"meterd\", without line breaks, and not begin with #")
            }
        }
        if let texts = table.boolean("texts") { format.texts = texts }
        guard let url else { return nil }
        return .http(
            HTTPUpstream.Settings(
                url: LineProtocol.address(url), format: .lineProtocol(format), credentials: credentials, compression: compression ?? .gzip,
                headers: headers, link: link, timeout: timeout ?? .seconds(30), version: Gateway.version))
    }

    /// The whole URL of the write endpoint, without what meterd says itself and without secrets.
    private func checkWriteURL(_ text: String, _ example: String) {
        guard let url = URL(string: text) else { return }
        if url.path.isEmpty || url.path == "/" {
            table.problem("url", "names no write endpoint; write the whole address, such as \"\(example)\"")
        }
        for item in (url.query() ?? "").split(separator: "&") {
            switch item.prefix(while: { $0 != "=" }) {
            case "precision": table.problem("url", "must not say the precision; meterd adds it")
            case "u", "p": table.problem("url", "must not hold user or password; use username and password_file")
            default: break
            }
        }
    }

    private func httpURL(example: String) -> String? {
        guard let text = table.string("url", required: true, example: "\"\(example)\""), holdsNoSecret(text, "token_file or password_file")
        else { return nil }
        guard let url = URL(string: text), let scheme = url.scheme, let host = url.host(), ["http", "https"].contains(scheme.lowercased()),
            !host.isEmpty, !text.contains(" "), url.fragment == nil, url.port.map({ (1...65535).contains($0) }) ?? true
        else {
            table.problem("url", Redaction.quotation(text) + "is no http:// or https:// address; write one such as \"\(example)\"")
            return nil
        }
        return text
    }

    /// A URL with a user or password is refused without being quoted: that would put the secret into the log.
    func holdsNoSecret(_ text: String, key: String = "url", _ cure: String?) -> Bool {
        let authority = text.split(separator: "://", maxSplits: 1).dropFirst().first?.prefix { !"/?#".contains($0) }
        guard let authority, authority.contains("@") else { return true }
        table.problem(
            key, "holds a user name or password; take them out" + (cure.map { " and name a file that holds the secret: \($0)" } ?? ""))
        return false
    }

    // MARK: Files

    /// A secret's file; the problem is noted when it cannot be read.
    func secret(_ key: String) -> TokenFile? {
        readable(key).map { TokenFile(path: $0, name: table.shownPath(key, $0)) }
    }

    /// A file that the output reads whenever it needs it: while it cannot, it is paused, and nothing else waits for that.
    func readable(_ key: String) -> String? {
        guard let path = table.path(key) else { return nil }
        if !TextFile.isRegular(path) || !FileManager.default.isReadableFile(atPath: path) {
            let shown = table.shownPath(key, path)
            let cure =
                shown == path
                ? OutputReader.cure(path) : "give its whole path, from /; its name is not shown, for it may be the secret itself"
            table.problem(key, "\(shown) cannot be read; \(cure)", isFatal: false)
        }
        return path
    }

    private static func cure(_ path: String) -> String {
        guard path.hasPrefix("/run/credentials/") else { return "create it, readable for the user that runs meterd" }
        return
            "it is there while the service runs and a LoadCredential= of its unit gives it (docs/operating.md), and by hand only with sudo"
    }

    private func file(_ name: String?) -> Configuration.Target? {
        let directory = table.path("directory")
        let format = table.choice("format", of: FileUpstream.Settings.Format.self, required: true)
        let size = table.size("rotate_size", in: (64 << 10)...(1 << 30), example: "\"16MiB\"")
        let keep = table.integer("keep_files", in: 1...1_000_000)
        if directory == nil, table.text("directory") == nil {
            _ = table.string("directory", required: true, example: "\"/var/lib/meterd/export\"")
        }
        guard let name, let directory, let format else { return nil }
        var settings = FileUpstream.Settings(directory: directory, name: name, format: format, keepFiles: keep)
        if let size { settings.rotateSize = size }
        return .file(settings)
    }
}
