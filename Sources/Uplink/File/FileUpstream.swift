import FoundationEssentials
import Glibc
import Host
import Metering

/// Writes batches to files in one directory; docs/outputs.md is the contract.
///
/// The growing file is `<output>.csv.part` or `<output>.jsonl.part`. When it is full, or a new day of UTC begins, it is renamed to
/// `<output>-<day>-<first>-<last>-<journal>.csv` and never touched again. A batch is taken when it is flushed. At the first batch the growing file
/// is read: a record that is not whole is cut off, and records that are there already are not written again.
package actor FileUpstream: Upstream {
    package struct Settings: Hashable, Sendable {
        package enum Format: String, Hashable, Sendable, CaseIterable { case csv, jsonl }

        package var directory: String
        /// The output's name; the files begin with it.
        package var name: String
        package var format: Format
        /// A file is full before it would exceed this; one batch may be more.
        package var rotateSize: Int
        /// So many finished files are kept, the oldest go first; nil keeps all.
        package var keepFiles: Int?

        package init(directory: String, name: String, format: Format = .csv, rotateSize: Int = 16 << 20, keepFiles: Int? = nil) {
            self.directory = directory
            self.name = name
            self.format = format
            self.rotateSize = rotateSize
            self.keepFiles = keepFiles
        }
    }

    /// The growing file, and what is in it.
    private struct Part: ~Copyable {
        var file: GrowingFile
        var first: FileMark?
        var last: FileMark?
    }

    private let settings: Settings
    private let thread: ThreadExecutor
    private var format: any FileFormat
    private var part: Part?
    /// The growing file is to be finished before anything else is written: what is in it comes again.
    private var isRewound = false

    package nonisolated var unownedExecutor: UnownedSerialExecutor { thread.asUnownedSerialExecutor() }

    package init(_ settings: Settings) {
        self.settings = settings
        thread = ThreadExecutor(name: "file-\(settings.name)")
        switch settings.format {
        case .csv: format = CSVFormat()
        case .jsonl: format = JSONLinesFormat()
        }
    }

    deinit { thread.stop() }

    package func fitting(_ batch: Batch, bytes: Int) -> Int { format.records(of: batch, limit: bytes).count }

    package func size(of batch: Batch) -> Int { format.records(of: batch, limit: .max).bytes.count }

    package func send(_ batch: Batch) -> Settlement {
        do throws(FileFault) {
            try write(batch)
            return .accepted(rejected: [])
        } catch {
            part = nil  // after a failure the file itself says what is in it
            if error.isTooLarge { return tooLarge(batch, error) }
            if error.isConfigurationFault { return .unauthorized(reason: "\(error); check the output's directory") }
            return .unavailable(reason: "\(error)", retryAfter: nil)
        }
    }

    package func close() { part = nil }

    /// What comes again is written to a new file. When the disk does not allow that now, the next batch tries it again.
    package func rewind() async {
        isRewound = true
        do throws(FileFault) { try beginAnew() } catch { part = nil }
    }

    private func beginAnew() throws(FileFault) {
        guard isRewound else { return }
        if part == nil { part = try open() }
        if let first = part?.first, let last = part?.last {
            part = nil
            try finish(first: first, last: last)
        } else {
            part?.last = nil
        }
        isRewound = false
    }

    /// No file may be so large, by the file system or a limit of the process. Which record is to blame, the cutting finds out; one that fits
    /// into a file of its own is written there.
    private func tooLarge(_ batch: Batch, _ fault: FileFault) -> Settlement {
        guard batch.records.count == 1 else { return .tooLarge(reason: "\(fault)") }
        do throws(FileFault) {
            part = try open()
            guard let first = part?.first, let last = part?.last else { return .tooLarge(reason: "\(fault)") }
            part = nil
            try finish(first: first, last: last)
            try write(batch)
            return .accepted(rejected: [])
        } catch {
            part = nil
            if error.isTooLarge { return .tooLarge(reason: "\(error)") }
            return .unavailable(reason: "\(error)", retryAfter: nil)
        }
    }

    private var partPath: String { "\(settings.directory)/\(settings.name).\(settings.format.rawValue).part" }

    /// Writes what is not there yet, day by day.
    private func write(_ batch: Batch) throws(FileFault) {
        try beginAnew()
        if part == nil { part = try open() }
        var rest = batch.records[...]
        if !batch.isReplay, let last = part?.last, last.journalID == batch.journalID { rest = rest.drop { $0.seq <= last.seq } }
        while let first = rest.first {
            let day = FileDay(first.time)
            let run = rest.prefix { FileDay($0.time) <= day }
            var own = batch
            own.records = Array(run)
            try append(own, day: day)
            rest = rest[run.endIndex...]
        }
    }

    private func append(_ batch: Batch, day: FileDay) throws(FileFault) {
        let bytes = format.records(of: batch, limit: .max).bytes
        guard let first = batch.records.first, let last = batch.records.last, !bytes.isEmpty else { return }
        if let since = part?.first, let end = part?.last, let length = part?.file.length,
            length + bytes.count > settings.rotateSize || day > since.day || since.journalID != batch.journalID
        {
            part = nil
            try finish(first: since, last: end)
            part = try open()
        }
        guard part != nil else { return }
        let empty = part?.file.length == 0
        try part?.file.append(empty ? format.header + bytes : bytes)
        func mark(_ record: BatchRecord) -> FileMark {
            FileMark(journalID: batch.journalID, seq: record.seq, lines: record.readings.count, day: FileDay(record.time))
        }
        if part?.first == nil { part?.first = mark(first) }
        let before = part?.last
        part?.last = mark(last).later(than: before)
    }

    // MARK: Opening and finishing

    private func open() throws(FileFault) -> Part {
        let path = partPath
        let file = try GrowingFile(path: path)
        var part = Part(file: file)
        if part.file.length == 0 {
            try flushDirectory()
            return part
        }
        let content = try part.file.content()
        let whole = scan(content)
        if holdsRecord(content, from: whole.end) {
            // No power cut tears a file in the middle of what was flushed: it is put aside as it is, and a new one begun.
            try putAside(last: whole.last)
            part = Part(file: try GrowingFile(path: path), last: whole.last)
            try flushDirectory()
            return part
        }
        if whole.end < content.count { try part.file.cut(to: whole.end) }
        (part.first, part.last) = (whole.first, whole.last)
        return part
    }

    /// Up to where a file holds whole records, one after the other.
    func scan(_ content: [UInt8]) -> (end: Int, first: FileMark?, last: FileMark?) {
        let header = format.header
        guard content.starts(with: header) else { return (0, nil, nil) }
        var result: (end: Int, first: FileMark?, last: FileMark?) = (header.count, nil, nil)
        var start = header.count
        var lines = 0
        var current: FileMark?
        while let stop = content[start...].firstIndex(of: UInt8(ascii: "\n")) {
            guard !content[start..<stop].contains(0), let mark = format.mark(content[start..<stop]) else { break }
            if mark == current {
                lines += 1
            } else {
                guard current == nil else { break }  // the record before it is not whole
                (current, lines) = (mark, 1)
            }
            start = stop + 1
            if lines == mark.lines {
                result = (start, result.first ?? mark, mark.later(than: result.last))
                current = nil
            }
        }
        return result
    }

    /// Whether a whole record stands anywhere behind `start`.
    private func holdsRecord(_ content: [UInt8], from start: Int) -> Bool {
        var current: (mark: FileMark, lines: Int)?
        for line in content[start...].split(separator: UInt8(ascii: "\n")) {
            guard let mark = format.mark(line), !line.contains(0) else {
                current = nil
                continue
            }
            let lines = current?.mark == mark ? (current?.lines ?? 0) + 1 : 1
            // The very last line may lack its end.
            if lines == mark.lines, line.endIndex < content.count { return true }
            current = (mark, lines)
        }
        return false
    }

    private func putAside(last: FileMark?) throws(FileFault) {
        let path = "\(partPath.dropLast(".part".count)).damaged-after-\(last?.seq ?? 0)"
        guard rename(partPath, path) == 0 else { throw FileFault("renamed", partPath) }
    }

    private func finish(first: FileMark, last: FileMark) throws(FileFault) {
        let midnight = Timestamp(milliseconds: first.day.number * 86_400_000).rfc3339.prefix(10)
        let name = "\(settings.name)-\(midnight)-\(first.seq)-\(last.seq)-\(first.journalID.prefix(8))"
        var path = "\(settings.directory)/\(name).\(settings.format.rawValue)"
        var copy = 1
        // What came again stands beside what it repeats.
        while access(path, F_OK) == 0 {
            copy += 1
            path = "\(settings.directory)/\(name)-\(copy).\(settings.format.rawValue)"
        }
        guard rename(partPath, path) == 0 else { throw FileFault("renamed", partPath) }
        try flushDirectory()
        removeOldest()
    }

    private func flushDirectory() throws(FileFault) {
        let directory = Glibc.open(settings.directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard directory >= 0 else { throw FileFault("opened", settings.directory) }
        defer { Glibc.close(directory) }
        guard fsync(directory) == 0 else { throw FileFault("flushed", settings.directory) }
    }

    /// A file that cannot be removed stays: that is no reason to stop writing.
    private func removeOldest() {
        guard let keep = settings.keepFiles,
            let names = try? FileManager.default.contentsOfDirectory(atPath: settings.directory)
        else { return }
        let own = names.compactMap { name in order(name).map { (name: name, order: $0) } }.sorted { $0.order < $1.order }
        for file in own.dropLast(keep) { unlink("\(settings.directory)/\(file.name)") }
    }

    /// The day and the first seq in a finished file's name; nil for other files.
    private func order(_ name: String) -> (String, Int64)? {
        let (prefix, suffix) = (settings.name + "-", "." + settings.format.rawValue)
        guard name.hasPrefix(prefix), name.hasSuffix(suffix) else { return nil }
        let fields = name.dropFirst(prefix.count).dropLast(suffix.count).split(separator: "-")
        // The seventh is the copy.
        guard (6...7).contains(fields.count), fields[0].count == 4, fields[..<5].allSatisfy({ Int64($0) != nil }),
            fields.dropFirst(6).allSatisfy({ Int64($0) != nil }), let seq = Int64(fields[3])
        else {
            return nil
        }
        return (fields[..<3].joined(separator: "-"), seq)
    }
}
