import FoundationEssentials
import Metering

/// Line protocol over HTTP, and what InfluxDB 1, 2 and 3, VictoriaMetrics and QuestDB answer to it.
///
/// A server that takes a part of a batch says 400, 422 or even 500 and "partial write". Then the good lines are stored. When it names the
/// bad ones, or they follow from what it says, those records are rejected and all others accepted. When it only counts them, the batch
/// is refused: it is halved until the bad record stands alone. The lines stored already overwrite themselves, so nothing is doubled.
struct LineProtocolDialect: HTTPDialect {
    private var encoder: LineProtocolEncoder

    init(_ settings: LineProtocol) { encoder = LineProtocolEncoder(measurement: settings.measurement, texts: settings.texts) }

    func headers(for batch: Batch) -> [(String, String)] { [("Content-Type", "text/plain; charset=utf-8")] }

    func overhead(of batch: Batch) -> Int { encoder.overhead(of: batch) }
    mutating func append(_ record: BatchRecord, of batch: Batch, first: Bool, to bytes: inout [UInt8]) {
        encoder.append(record, of: batch, first: first, to: &bytes)
    }
    func frame(_ records: [UInt8], of batch: Batch) -> [UInt8] { encoder.frame(records, of: batch) }

    mutating func settlement(of answer: HTTPAnswer, to batch: Batch, now: Timestamp) -> Settlement {
        let plain = answer.settlement(of: batch, now: now)
        guard [201, 400, 422, 500].contains(answer.status), let complaint = WriteComplaint(answer) else { return plain }
        switch answer.status {
        case 201, 500:
            // 201 with a complaint, and 500 for a partial write, are ways some servers have to say 400.
            guard complaint.isPartial || !complaint.lines.isEmpty else { return plain }
        default:
            if complaint.isAboutTheRequest { return .unauthorized(reason: "\(answer.words); check the output's url") }
        }
        if complaint.isPartial, let rejected = rejected(complaint, batch) { return .accepted(rejected: rejected) }
        return .refused(reason: answer.words)
    }

    /// Whom the complaint is about; nil when it does not say.
    private mutating func rejected(_ complaint: WriteComplaint, _ batch: Batch) -> [RejectedRecord]? {
        let records = batch.records
        if !complaint.lines.isEmpty {
            guard complaint.lines.allSatisfy({ (1...records.count).contains($0.number) }) else { return nil }
            var seen: Set<Int> = []
            let distinct = complaint.lines.filter { seen.insert($0.number).inserted }
            return distinct.map { RejectedRecord(seq: records[$0.number - 1].seq, reason: $0.reason) }.sorted { $0.seq < $1.seq }
        }
        let unparsed = unparsed(complaint.text, batch)
        if !unparsed.isEmpty { return unparsed.map { RejectedRecord(seq: records[$0].seq, reason: complaint.reason) } }
        guard let dropped = complaint.dropped, dropped > 0, dropped <= records.count else { return nil }
        if dropped == records.count { return records.map { RejectedRecord(seq: $0.seq, reason: complaint.reason) } }
        // What is older than the server's retention are the oldest of the batch.
        if complaint.text.contains("beyond retention policy") {
            let oldest = records.sorted { ($0.time, $0.seq) < ($1.time, $1.seq) }.prefix(dropped).map(\.seq).sorted()
            return oldest.map { RejectedRecord(seq: $0, reason: complaint.reason) }
        }
        return nil
    }

    /// The records whose lines the complaint quotes as `unable to parse '...'`.
    private mutating func unparsed(_ text: String, _ batch: Batch) -> [Int] {
        guard text.contains("unable to parse") else { return [] }
        return batch.records.indices.filter { index in
            var line: [UInt8] = []
            encoder.append(batch.records[index], of: batch, first: true, to: &line)
            return text.contains("unable to parse '" + String(decoding: line, as: UTF8.self) + "'")
        }
    }
}

/// How records become line protocol.
package struct LineProtocol: Hashable, Sendable {
    package static let standardMeasurement = "meterd"

    package var measurement: String
    package var texts: Bool

    package init(measurement: String = LineProtocol.standardMeasurement, texts: Bool = false) {
        self.measurement = measurement
        self.texts = texts
    }

    /// The URL that is posted to: with the precision of our times added, in the word that its endpoint knows.
    ///
    /// `http://h:8086/write?db=meters` → `http://h:8086/write?db=meters&precision=ms`
    package static func address(_ url: String) -> String {
        let path = url.prefix { $0 != "?" }
        let precision = path.hasSuffix("/write_lp") ? "millisecond" : "ms"
        return "\(url)\(path.count == url.count ? "?" : "&")precision=\(precision)"
    }
}

/// What a server says about a batch it did not, or not wholly, take.
///
/// - Source: InfluxDB 1.x `{"error": text}`; 2.x `{"code": ..., "message": text}` (Cloud adds `"line": number`); 3.x `{"error": text,
///   "data": [{"line_number": 2, "error_message": text, "original_line": ...}]}`, `data` being one such object when nothing was taken.
struct WriteComplaint {
    struct Line {
        /// Counted from 1.
        var number: Int
        var reason: String
    }

    var text: String
    /// The same as it may be shown.
    var reason: String
    /// The good lines are stored.
    var isPartial: Bool
    /// The lines that the answer names.
    var lines: [Line]
    /// `dropped=3`: how many points were not stored.
    var dropped: Int?

    /// Nil when the answer is no complaint in one of these forms.
    init?(_ answer: HTTPAnswer) {
        guard let said = try? JSONDecoder().decode(Answer.self, from: Data(answer.body)), let text = said.error ?? said.message else {
            return nil
        }
        let reason = answer.quote(Array(text.utf8)[...])
        (self.text, self.reason) = (text, reason)
        isPartial = text.contains("partial write")
        lines = (said.data?.list ?? []).compactMap { item in
            item.number.map { Line(number: $0, reason: item.reason.map { answer.quote(Array($0.utf8)[...]) } ?? reason) }
        }
        if let mark = text.firstRange(of: "dropped=") { dropped = Int(text[mark.upperBound...].prefix { ("0"..."9").contains($0) }) }
    }

    /// The request was wrong, not a line of it: no batch would be taken.
    var isAboutTheRequest: Bool {
        ["is required", "invalid precision", "database not found", "bucket not found", "retention policy not found"].contains {
            text.contains($0)
        }
    }

    private struct Answer: Decodable {
        var error: String?
        var message: String?
        var data: Items?
    }

    private struct Items: Decodable {
        var list: [Item]
        init(from decoder: any Decoder) throws {
            let container = try decoder.singleValueContainer()
            if let list = try? container.decode([Item].self) { self.list = list } else { list = [] }
        }
    }

    private struct Item: Decodable {
        var number: Int?
        var reason: String?
        enum CodingKeys: String, CodingKey {
            case number = "line_number"
            case reason = "error_message"
        }
    }
}
