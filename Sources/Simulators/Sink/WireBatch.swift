import FoundationEssentials
import Metering

/// A batch as it stands on the wire; docs/http-output.md is its contract.
struct WireBatch: Decodable {
    struct Head: Decodable {
        var id: String
        var output: String
        var first: Int64
        var last: Int64
        var historical: Bool
    }

    struct Record: Decodable {
        var seq: Int64
        var device: String
        var time: Int64
        var clock: String
        var values: [String: SinkValue]
        var texts: [String: String]?
        var quality: [String: UInt16]?

        /// Numbers and texts by quantity.
        var everything: [String: SinkValue] { values.merging((texts ?? [:]).mapValues { .text($0) }) { number, _ in number } }

        /// Points of the poll: those with a value or a text, and those with a quality and none.
        var readings: Int {
            let known = everything
            return known.count + (quality ?? [:]).keys.count { known[$0] == nil }
        }
    }

    var version: Int
    var gateway: String
    var site: String?
    var batch: Head
    var readings: [Record]

    /// Batch ids are `<gateway>/<journal id>/<first>-<last>`, and `.<filter>` behind it when the output has one.
    var journalID: String {
        let parts = batch.id.split(separator: "/", omittingEmptySubsequences: false)
        return parts.count == 3 ? String(parts[1]) : ""
    }

    /// - Throws: `usage`, a sentence for whoever made the batch.
    static func read(_ body: [UInt8]) throws(SimulatorError) -> WireBatch {
        let batch: WireBatch
        do {
            batch = try JSONDecoder().decode(WireBatch.self, from: Data(body))
        } catch let error as DecodingError {
            throw SimulatorError(.usage, "the body is no batch: \(sentence(error))")
        } catch {
            throw SimulatorError(.usage, "the body is no JSON")
        }
        try batch.check()
        return batch
    }

    private func check() throws(SimulatorError) {
        func need(_ condition: Bool, _ sentence: @autoclosure () -> String) throws(SimulatorError) {
            if !condition { throw SimulatorError(.usage, sentence()) }
        }
        try need(version == 1, "version \(version) is not known; this receiver reads version 1")
        try need(batch.first <= batch.last, "batch.first is after batch.last")
        try need(!journalID.isEmpty, "batch.id \(batch.id) is not <gateway>/<journal id>/<first>-<last>")
        let name = "\(gateway)/\(journalID)/\(batch.first)-\(batch.last)"
        try need(batch.id == name || batch.id.hasPrefix(name + "."), "batch.id \(batch.id) does not name its gateway and range")
        var previous = batch.first - 1
        for record in readings {
            try need(record.seq > previous, "readings are not in strictly rising order of seq at \(record.seq)")
            try need(record.seq <= batch.last, "seq \(record.seq) is beyond batch.last")
            try need(
                record.clock.count == 1 && TimeQuality(rawValue: Character(record.clock)) != nil,
                "clock \(record.clock) is not U, I, S or R")
            try need(!record.device.isEmpty, "seq \(record.seq) names no device")
            previous = record.seq
        }
    }

    private static func sentence(_ error: DecodingError) -> String {
        func path(_ context: DecodingError.Context, _ last: [any CodingKey] = []) -> String {
            (context.codingPath + last).map { $0.intValue.map { "[\($0)]" } ?? $0.stringValue }.joined(separator: ".")
        }
        switch error {
        case .keyNotFound(let key, let context): return "\(path(context, [key])) is missing"
        case .valueNotFound(_, let context): return "\(path(context)) is null"
        case .typeMismatch(_, let context): return "\(path(context)) has the wrong type"
        case .dataCorrupted(let context): return context.codingPath.isEmpty ? "it is no JSON" : "\(path(context)) is out of range"
        @unknown default: return "it cannot be read"
        }
    }
}

/// A value on the wire: a number, or the text of an identity point.
package enum SinkValue: Hashable, Sendable, Decodable {
    case number(Double)
    case text(String)

    package init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if let number = try? container.decode(Double.self) {
            self = .number(number)
        } else {
            self = .text(try container.decode(String.self))
        }
    }

    package var number: Double? { if case .number(let number) = self { number } else { nil } }
}

/// One accepted record, as the sink's file has it.
package struct SinkRecord: Hashable, Sendable {
    package var gateway: String
    package var journalID: String
    package var batchID: String
    package var historical: Bool
    package var seq: Int64
    package var device: String
    package var time: Timestamp
    package var clock: TimeQuality
    package var values: [String: SinkValue]
    package var quality: [String: Quality]

    /// Points of the poll: those with a value or a text, and those with a quality and none.
    package var readings: Int { values.count + quality.keys.count { values[$0] == nil } }
}

/// What a sink's file holds of one journal up to a seq: the books that a demonstration closes with.
package struct SinkTally: Hashable, Sendable, Codable {
    /// Different records.
    package var records = 0
    /// Points in them.
    package var readings = 0
    /// Seqs from 1 on that are not there.
    package var missing = 0
    /// Records that are there more than once.
    package var duplicates = 0

    /// - Parameter last: only records up to this seq count, and all of them should be there.
    package init(_ records: [SinkRecord], through last: Int64) {
        var seen: Set<Int64> = []
        for record in records where record.seq <= last {
            if seen.insert(record.seq).inserted {
                self.records += 1
                readings += record.readings
            } else {
                duplicates += 1
            }
        }
        missing = Int(last) - seen.count
    }
}
