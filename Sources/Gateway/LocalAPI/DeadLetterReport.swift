import Metering

/// One dead letter, as `/v1/dead-letters` lists it.
package struct DeadLetterReport: Hashable, Sendable {
    package var seq: Int64
    /// When it was rejected, and what the receiver said.
    package var rejected: Timestamp
    package var reason: String
    /// It is being handed on again.
    package var replaying: Bool
    /// Nil when there is no copy of the poll that can be read.
    package var device: String?
    /// When the poll was read.
    package var time: Timestamp?
    /// The record as JSON, as in the HTTP batch; nil in lists, and without a copy.
    package var record: String?

    package init(
        seq: Int64, rejected: Timestamp, reason: String, replaying: Bool, device: String?, time: Timestamp?, record: String? = nil
    ) {
        self.seq = seq
        self.rejected = rejected
        self.reason = reason
        self.replaying = replaying
        self.device = device
        self.time = time
        self.record = record
    }
}

extension DeadLetterReport: JSONValue, Decodable {
    private enum CodingKeys: String, CodingKey { case seq, rejected, reason, replaying, device, time, record }

    private struct Literal: JSONValue {
        var text: String
        func write(to json: inout JSONWriter) { json.literal(text) }
    }

    package func write(to json: inout JSONWriter) {
        json.object {
            $0.field(CodingKeys.seq, seq)
            $0.field(CodingKeys.rejected, rejected)
            $0.field(CodingKeys.reason, reason)
            $0.field(CodingKeys.replaying, replaying)
            $0.field(CodingKeys.device, device)
            $0.field(CodingKeys.time, time)
            if let record { $0.field(CodingKeys.record, Literal(text: record)) }
        }
    }

    /// The record is left as it is in the answer: its numbers have more digits than a decoder keeps.
    package init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        seq = try container.decode(Int64.self, forKey: .seq)
        rejected = try container.time(.rejected)
        reason = try container.decode(String.self, forKey: .reason)
        replaying = try container.decode(Bool.self, forKey: .replaying)
        device = try container.decodeIfPresent(String.self, forKey: .device)
        time = try container.timeIfPresent(.time)
    }
}

/// `/v1/dead-letters`.
package struct DeadLettersReport: Hashable, Sendable {
    package var output: String
    package var deadLetters: [DeadLetterReport]
    /// Where the next page begins; nil when this is the last.
    package var next: Int64?

    package init(output: String, deadLetters: [DeadLetterReport], next: Int64?) {
        self.output = output
        self.deadLetters = deadLetters
        self.next = next
    }
}

extension DeadLettersReport: JSONValue, Decodable {
    private enum CodingKeys: String, CodingKey {
        case output
        case deadLetters = "dead_letters"
        case next
    }

    package func write(to json: inout JSONWriter) {
        json.object {
            $0.field(CodingKeys.output, output)
            $0.field(CodingKeys.deadLetters, deadLetters)
            $0.field(CodingKeys.next, next)
        }
    }
}

/// What an action did: `{"output": "park", "dead_letters": 3}`, `{"output": "park", "paused_by_operator": true}`,
/// `{"output": "park", "next_seq": 1041}`.
package struct OutputActionReport: Hashable, Sendable {
    package var output: String
    package var deadLetters: Int?
    package var pausedByOperator: Bool?
    package var nextSeq: Int64?

    package init(output: String, deadLetters: Int? = nil, pausedByOperator: Bool? = nil, nextSeq: Int64? = nil) {
        self.output = output
        self.deadLetters = deadLetters
        self.pausedByOperator = pausedByOperator
        self.nextSeq = nextSeq
    }
}

extension OutputActionReport: JSONValue, Decodable {
    private enum CodingKeys: String, CodingKey {
        case output
        case deadLetters = "dead_letters"
        case pausedByOperator = "paused_by_operator"
        case nextSeq = "next_seq"
    }

    package func write(to json: inout JSONWriter) {
        json.object {
            $0.field(CodingKeys.output, output)
            if let deadLetters { $0.field(CodingKeys.deadLetters, deadLetters) }
            if let pausedByOperator { $0.field(CodingKeys.pausedByOperator, pausedByOperator) }
            if let nextSeq { $0.field(CodingKeys.nextSeq, nextSeq) }
        }
    }
}
