import ArgumentParser
import Gateway
import Glibc
import Host
import Metering

struct JournalCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "journal",
        abstract: "Show what the journal keeps and what was lost, or export it.",
        discussion: """
            Example:
              meterctl journal export --format csv --device main -o main.csv
            """,
        subcommands: [JournalShowCommand.self, JournalExportCommand.self], defaultSubcommand: JournalShowCommand.self)
}

struct JournalShowCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show",
        abstract: "Show the range of seqs and times, the size, and each loss.",
        discussion: """
            Example:
              meterctl journal show --json
            """)

    @Flag(help: "Print the daemon's answer as JSON (see docs/local-api.md).")
    var json = false

    @OptionGroup var socket: SocketOptions

    func run() async throws {
        let body = try await DaemonClient.with(socket: socket.path) { try await $0.get("/v1/journal") }
        if json { return Standard.output.write(body) }
        let standard = Standard.output
        let listing = JournalListing(try DaemonClient.decode(JournalDetailReport.self, body))
        standard.print(listing.lines(width: standard.width, paint: Paint(coloured: standard.coloured)))
    }
}

struct JournalExportCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "export",
        abstract: "Write what the journal keeps as CSV or JSON lines.",
        discussion: """
            CSV has a row for each reading, JSON lines have a line for each poll; docs/storage.md says what is in them. A file is only \
            put in place when it is whole. While the daemon does not run, the database is opened read-only.

            Example:
              meterctl journal export --format jsonl --from 2026-11-24 -o day.jsonl
            """)

    enum Format: String, ExpressibleByArgument, CaseIterable { case csv, jsonl }

    @Option(help: "csv or jsonl.")
    var format = Format.csv

    @Option(help: .init("This device only; may be given several times.", valueName: "name"))
    var device: [String] = []

    @Option(help: .init("What was read at this time or later: a date or a time in UTC.", valueName: "time"))
    var from: String?

    @Option(help: .init("What was read before this time.", valueName: "time"))
    var to: String?

    @Option(
        name: [.customShort("o"), .long], help: .init("The file to write; standard output without it.", valueName: "file"),
        completion: .file())
    var output: String?

    @Option(
        help: .init(
            "Where the journal lies, for when the daemon does not run (default: \(OfflineJournal.defaultDirectory)).", valueName: "folder"),
        completion: .directory)
    var data: String?

    @OptionGroup var socket: SocketOptions

    func validate() throws {
        for (option, text) in [("--from", from), ("--to", to)] {
            guard let text else { continue }
            guard TimeText.whole(text) != nil else { throw ValidationError("\(option) must be \(TimeText.forms).") }
        }
    }

    func run() async throws {
        do {
            try await exportFromDaemon()
        } catch let failure as Failure where failure.code == .unreachable {
            try await exportFromDisk(failure)
        }
    }

    private func exportFromDaemon() async throws {
        var query: [(key: String, value: String)] = [("format", format.rawValue)] + device.map { ("device", $0) }
        if let from { query.append(("from", TimeText.whole(from) ?? from)) }
        if let to { query.append(("until", TimeText.whole(to) ?? to)) }
        let request = query
        try await DaemonClient.with(socket: socket.path) { client in
            let state = try await client.get(JournalDetailReport.self, "/v1/journal")
            try await write(journal: state.journal) { take in
                try await client.stream("/v1/journal/export", query: request) { try take($0) }
            }
        }
    }

    /// The daemon does not run: what it left is read without changing it.
    private func exportFromDisk(_ unreachable: Failure) async throws {
        let directory = data ?? OfflineJournal.defaultDirectory
        let journal: OfflineJournal
        do throws(OfflineJournal.Failure) {
            journal = try await OfflineJournal.open(directory: directory)
        } catch {
            // Who named no place asked the daemon.
            throw data == nil ? unreachable : Failure.failed("\(error)")
        }
        Standard.error.print("meterd does not run: reading \(directory)/journal.db, which stays as it is")
        func time(_ text: String?) -> Timestamp? { text.flatMap { TimeText.whole($0) }.flatMap { Timestamp(rfc3339: $0) } }
        do {
            try await write(journal: await journal.journal()) { take in
                try await journal.export(format: format.rawValue, devices: device, from: time(from), until: time(to)) { try take($0) }
            }
        } catch let failure as OfflineJournal.Failure {
            throw Failure.failed("\(failure)")
        }
        await journal.close()
    }

    /// Takes the text piece by piece to where it goes, and tells how far it is.
    private func write(journal: JournalReport, _ source: (_ take: ([UInt8]) throws -> Void) async throws -> Void) async throws {
        let target = try ExportTarget(file: output)
        var progress = ExportProgress(journal: journal, format: format, time: SystemTime())
        do {
            try await source { piece in
                try target.write(piece)
                progress.advance(piece)
            }
            try target.finish()
        } catch {
            progress.end()
            target.abandon()
            throw error
        }
        progress.end()
        if let output { Standard.error.print("\(Humanize.bytes(progress.bytes)) written to \(output)") }
    }
}

/// Times as people type them.
enum TimeText {
    static let forms = "a date or a time in UTC, such as 2026-11-24 or 2026-11-24T06:00:00Z"

    /// `2026-11-24`, `2026-11-24T06:00Z` and `2026-11-24T06:00:00Z` with what they leave out; nil for what is no time.
    static func whole(_ text: String) -> String? {
        let rests = [10: "T00:00:00.000Z", 17: ":00.000Z", 20: ".000Z", 24: "Z"]
        guard let rest = rests[text.utf8.count] else { return nil }
        let whole = (text.hasSuffix("Z") ? String(text.dropLast()) : text) + rest
        return Timestamp(rfc3339: whole) == nil ? nil : whole
    }
}

/// Where an export goes: standard output, a file that takes its name when it is whole, or at once into what is there and is no file, such as
/// a pipe or a device.
final class ExportTarget {
    private let file: String?
    /// What grows, and where it is to go; both nil when nothing takes its name.
    private var part: String?
    private var place: String?
    private var descriptor = STDOUT_FILENO

    init(file: String?) throws {
        self.file = file
        guard let file else { return }
        var facts = stat()
        if stat(file, &facts) == 0, facts.st_mode & S_IFMT != S_IFREG {
            descriptor = open(file, O_WRONLY | O_NOCTTY | O_CLOEXEC)
            guard descriptor >= 0 else { throw ExportTarget.failure(file) }
        } else {
            let place = try ExportTarget.end(of: file)
            let slash = place.lastIndex(of: "/")
            let name = slash.map { place[place.index(after: $0)...] } ?? place[...]
            let part = "\(place.dropLast(name.count)).\(name).\(getpid()).tmp"
            ExportTarget.removeOnInterrupt(part)
            descriptor = open(part, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o640)
            guard descriptor >= 0 else { throw ExportTarget.failure(part) }
            (self.part, self.place) = (part, place)
        }
    }

    func write(_ bytes: [UInt8]) throws {
        guard let file else { return Standard.output.write(bytes) }
        guard Standard.write(bytes, to: descriptor) else { throw ExportTarget.failure(part ?? file) }
    }

    func finish() throws {
        guard let file else { return }
        guard let part, let place else {
            close(descriptor)
            return
        }
        let isWhole = fsync(descriptor) == 0
        close(descriptor)
        guard isWhole, rename(part, place) == 0 else { throw ExportTarget.failure(file) }
    }

    func abandon() {
        guard file != nil else { return }
        close(descriptor)
        if let part { unlink(part) }
    }

    /// Where the links of this name lead.
    private static func end(of file: String) throws -> String {
        if let real = realpath(file, nil) {
            defer { free(real) }
            return String(cString: real)
        }
        var facts = stat()
        guard lstat(file, &facts) == 0 else { return file }
        throw Failure.failed("\(file) is a link to something that is not there; name another file, or remove the link")
    }

    private static func failure(_ path: String) -> Failure {
        Failure.failed("\(path) cannot be written: \(String(cString: strerror(errno)))")
    }

    // Safe without a lock: written once, before the handlers that read it are installed.
    nonisolated(unsafe) private static var interrupted: UnsafeMutablePointer<CChar>?

    /// Nobody else would, since the name is of this process. To be called before it is there.
    private static func removeOnInterrupt(_ part: String) {
        interrupted = strdup(part)
        for number in [SIGINT, SIGTERM] {
            signal(number) { number in
                if let path = ExportTarget.interrupted { unlink(path) }
                signal(number, SIG_DFL)
                raise(number)
            }
        }
    }
}

/// How far an export is, on a terminal only: each line of it tells its seq.
struct ExportProgress {
    private let journal: JournalReport
    private let format: JournalExportCommand.Format
    private let time: any TimeSource
    private let isShown: Bool
    private var shown: Uptime?
    private(set) var bytes = 0

    static let interval: Duration = .milliseconds(200)

    init(journal: JournalReport, format: JournalExportCommand.Format, time: any TimeSource) {
        self.journal = journal
        self.format = format
        self.time = time
        isShown = Standard.error.isTerminal
    }

    mutating func advance(_ piece: [UInt8]) {
        bytes += piece.count
        guard isShown else { return }
        let now = time.uptime()
        if let shown, now - shown < ExportProgress.interval { return }
        guard let seq = ExportProgress.lastSeq(in: piece, format) else { return }
        shown = now
        let share = Double(seq - journal.firstSeq + 1) / Double(max(1, journal.lastSeq - journal.firstSeq + 1))
        Standard.error.write(Array("\r\(Humanize.percent(min(1, max(0, share)))), \(Humanize.bytes(bytes))\u{1B}[K".utf8))
    }

    mutating func end() {
        if isShown, shown != nil { Standard.error.write(Array("\r\u{1B}[K".utf8)) }
        shown = nil
    }

    /// The seq in the last whole line: the last field of a row, the first member of an object.
    static func lastSeq(in piece: [UInt8], _ format: JournalExportCommand.Format) -> Int64? {
        let lines = piece.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: true)
        guard let line = piece.last == UInt8(ascii: "\n") ? lines.last : lines.dropLast().last else { return nil }
        switch format {
        case .csv: return line.lastIndex(of: UInt8(ascii: ",")).flatMap { Int64(String(decoding: line[($0 + 1)...], as: UTF8.self)) }
        case .jsonl:
            let digits = line.dropFirst("{\"seq\":".utf8.count).prefix { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
            return Int64(String(decoding: digits, as: UTF8.self))
        }
    }
}
