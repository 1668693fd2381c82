/// What a sink has taken: which batches, which records, and what is wrong with the whole.
struct SinkBooks {
    /// Batch ids kept to tell repeats; the oldest goes when one more comes. A repeat of a forgotten one counts as duplicates.
    static let batchLimit = 1_000_000

    private var batches: Set<String> = []
    private var order: [String] = []
    private var oldest = 0
    /// What was rejected of a batch, to answer a repeat as the first time.
    private var rejectedOf: [String: [Int64]] = [:]
    private var journals: [String: SeqSet] = [:]
    private var recordsOf: [String: Int] = [:]
    private(set) var report = SinkReport()

    /// The rejections of an earlier batch of this id; nil when there was none.
    func rejections(ofBatch id: String) -> [Int64]? { batches.contains(id) ? rejectedOf[id] ?? [] : nil }

    mutating func countRepeat() { report.repeatedBatches += 1 }
    mutating func countBadRequest() { report.badRequests += 1 }

    mutating func enter(_ batch: WireBatch, rejected: [Int64]) {
        remember(batch.batch.id, rejected)
        report.batches += 1
        let journal = batch.journalID
        var seqs = journals.removeValue(forKey: journal) ?? SeqSet()
        let refused = Set(rejected)
        for record in batch.readings {
            guard seqs.insert(record.seq) else {
                report.duplicates += 1
                continue
            }
            if refused.contains(record.seq) {
                report.rejected += 1
            } else {
                report.records += 1
                report.readings += record.readings
                recordsOf[journal, default: 0] += 1
            }
        }
        journals[journal] = seqs
    }

    func fullReport(mode: SinkMode) -> SinkReport {
        var report = report
        report.mode = mode.description
        report.journals = journals.keys.sorted().map { id in
            let seqs = journals[id] ?? SeqSet()
            return SinkReport.Journal(
                journalID: id, firstSeq: seqs.first ?? 0, lastSeq: seqs.last ?? 0, records: recordsOf[id] ?? 0, missing: Int(seqs.gaps))
        }
        report.missing = report.journals.reduce(0) { $0 + $1.missing }
        return report
    }

    private mutating func remember(_ id: String, _ rejected: [Int64]) {
        if batches.count >= SinkBooks.batchLimit {
            batches.remove(order[oldest])
            rejectedOf[order[oldest]] = nil
            oldest += 1
            if oldest > SinkBooks.batchLimit / 2 {
                order.removeFirst(oldest)
                oldest = 0
            }
        }
        batches.insert(id)
        order.append(id)
        if !rejected.isEmpty { rejectedOf[id] = rejected }
    }
}

/// What `GET /status` answers.
package struct SinkReport: Hashable, Sendable, Codable {
    /// Accepted records (polls), each counted once.
    package var records = 0
    /// Points in them: those with a value, and those with a quality and no value.
    package var readings = 0
    /// Seqs between the first and the last of each journal that never came. A rejected one came.
    package var missing = 0
    /// Records that came again under another batch id.
    package var duplicates = 0
    /// Batches taken.
    package var batches = 0
    /// Batches that came again under the same id, and were dropped; since the sink started.
    package var repeatedBatches = 0
    /// Records that the mode `rejected` refused.
    package var rejected = 0
    /// Requests that were no good batch; since the sink started.
    package var badRequests = 0
    package var mode = "ok"
    package var journals: [Journal] = []

    package struct Journal: Hashable, Sendable, Codable {
        package var journalID: String
        package var firstSeq: Int64
        package var lastSeq: Int64
        package var records: Int
        package var missing: Int

        enum CodingKeys: String, CodingKey {
            case journalID = "journal_id"
            case firstSeq = "first_seq"
            case lastSeq = "last_seq"
            case records, missing
        }
    }

    enum CodingKeys: String, CodingKey {
        case records, readings, missing, duplicates, batches
        case repeatedBatches = "repeated_batches"
        case rejected
        case badRequests = "bad_requests"
        case mode, journals
    }
}
