import Host
import Metering

/// A journal that was put back from a backup, or whose newest commits may be missing after damage. It would count on from where it stood, and
/// give new polls the seqs of polls that receivers have had since, who would drop them as repeats. So it goes on as another journal, under
/// another id.
///
/// What tells, but for a broken log, is a mark on the data directory itself, an extended attribute, which no copy of the files in it
/// brings along or takes away: the id of the journal that was here last, its newest run, and after a clean end its last seq.
extension Store {
    /// A run row is on the disk before the mark names it, so that the file is never behind the mark by itself.
    func isOlderThanItWas(_ files: DataDirectory, _ connection: Connection) throws(StoreError) -> Bool {
        guard let mark = files.journalMark, mark.journalID == report.journalID else { return false }
        let newestRun = try connection.integer("SELECT max(id) FROM run") ?? 0
        return newestRun < mark.run || books.lastSeq < mark.lastSeq ?? 0
    }

    /// In the transaction that begins the run.
    func beginAnotherJournal(_ connection: Connection) throws(StoreError) {
        let (before, now) = (report.journalID, randomHex(bytes: 16))
        try connection.run("UPDATE journal SET journal_id = ?", .text(now))
        report.restoredFrom = before
        report.journalID = now
    }

    /// In the transaction that begins the run: which journal it was before this start, if another.
    func writeRestore(_ connection: Connection) throws(StoreError) {
        guard let before = report.restoredFrom else { return }
        try connection.run("UPDATE run SET restored_from = ? WHERE id = ?", .text(before), .integer(run))
        logger.warning(
            "the journal is older than the one that was here: it goes on under another id, so that no new reading is taken for a repeat",
            metadata: ["store.directory": "\(directory)", "store.journal": "\(report.journalID)", "store.journal_before": "\(before)"])
    }

    /// The last time it went on under another id, while polls of that run or of an earlier one are kept.
    func loadRestore(_ connection: Connection) throws(StoreError) {
        let statement = try connection.statement(
            "SELECT restored_from, opened FROM run WHERE restored_from IS NOT NULL ORDER BY id DESC LIMIT 1")
        defer { statement.reset() }
        restore = try statement.step() ? JournalRestore(from: statement.text(0), at: Timestamp(milliseconds: statement.integer(1))) : nil
    }

    /// - Parameter lastSeq: known at a clean end alone; writing it with each commit would cost the flash as much as the commit.
    func mark(lastSeq: Int64?) {
        files?.journalMark = JournalMark(journalID: report.journalID, run: run, lastSeq: lastSeq)
    }
}

/// The journal was put back from a backup, or may lack its newest polls after damage, and goes on under another id since.
package struct JournalRestore: Hashable, Sendable {
    /// The id it had.
    package var from: String
    package var at: Timestamp

    package init(from: String, at: Timestamp) {
        self.from = from
        self.at = at
    }
}

/// Which journal was here last, and how far it was: `2f6e... 17 98230`, the last number after a clean end only.
struct JournalMark: Hashable {
    var journalID: String
    var run: Int64
    var lastSeq: Int64?

    var text: String { "\(journalID) \(run)" + (lastSeq.map { " \($0)" } ?? "") }

    init(journalID: String, run: Int64, lastSeq: Int64?) {
        self.journalID = journalID
        self.run = run
        self.lastSeq = lastSeq
    }

    init?(_ text: String) {
        let words = text.split(separator: " ")
        guard (2...3).contains(words.count), let run = Int64(words[1]) else { return nil }
        self.init(journalID: String(words[0]), run: run, lastSeq: words.count == 3 ? Int64(words[2]) : nil)
    }
}

extension DataDirectory {
    /// On the directory, not in it; nil where the file system has no such marks. Setting it costs one write, at start and end.
    var journalMark: JournalMark? {
        get { ExtendedAttribute.value(DataDirectory.markName, of: path).flatMap { JournalMark($0) } }
        set {
            guard let newValue, newValue != journalMark else { return }
            ExtendedAttribute.set(DataDirectory.markName, to: newValue.text, of: path)
            sync()
        }
    }

    static let markName = "user.meterd.journal"
}
