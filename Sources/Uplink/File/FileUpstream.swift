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
    /// The latest record that stands in a file, the growing one or another, until a rewind asks for it again. Replays do not count.
    private var written: FileMark?
    /// Rewinds that have begun and not ended.
    private var rewinds = 0

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
        guard rewinds == 0 else { return .unavailable(reason: "the output is being set back", retryAfter: nil) }
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

    /// What comes again is written to a new file: the growing one is finished, whatever is in it.
    package func beginRewind() async -> String? {
        do throws(FileFault) {
            if part == nil { part = try open() }
            let (first, last) = (part?.first, part?.last)
            part = nil
            if let first, let last { try finish(first: first, last: last) }
            written = nil
        } catch {
            part = nil
            return "\(error)"
        }
        rewinds += 1
        return nil
    }

    package func endRewind() async { rewinds -= 1 }

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

    /// Writes what is not there yet, day by day. A replay is written as one, whatever its days: what of it is there nobody would know.
    private func write(_ batch: Batch) throws(FileFault) {
        if part == nil { part = try open() }
        var rest = batch.records[...]
        if !batch.isReplay, let written, written.journalID == batch.journalID { rest = rest.drop { $0.seq <= written.seq } }
        while let first = rest.first {
            let day = FileDay(first.time)
            let run = batch.isReplay ? rest : rest.prefix { FileDay($0.time) <= day }
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
        if !batch.isReplay { written = mark(last).later(than: written) }
    }

    // MARK: Opening and finishing

    private func open() throws(FileFault) -> Part {
        let path = partPath
        var part = Part(file: try GrowingFile(path: path))
        if part.file.length == 0 {
            try flushDirectory()
            return part
        }
        let content = try part.file.content(format)
        if let last = content.last { written = last.later(than: written) }
        if content.isDamaged {
            // No power cut tears a file in the middle of what was flushed: it is put aside as it is, and a new one begun.
            try putAside(last: content.last)
            part = Part(file: try GrowingFile(path: path))
            try flushDirectory()
            return part
        }
        if content.end < part.file.length { try part.file.cut(to: content.end) }
        (part.first, part.last) = (content.first, content.last)
        return part
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
        let older = FinishedFiles(settings)
        older?.precede(partPath)
        guard rename(partPath, path) == 0 else { throw FileFault("renamed", partPath) }
        try flushDirectory()
        older?.makeRoom()
    }

    private func flushDirectory() throws(FileFault) {
        let directory = Glibc.open(settings.directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard directory >= 0 else { throw FileFault("opened", settings.directory) }
        defer { Glibc.close(directory) }
        guard fsync(directory) == 0 else { throw FileFault("flushed", settings.directory) }
    }
}
