import Metering

/// `/v1/journal`: what is kept, and what was lost.
package struct JournalDetailReport: Hashable, Sendable {
    package var journalID: String
    package var journal: JournalReport
    /// When the first and the last poll that are kept were read; nil when none are.
    package var firstTime: Timestamp?
    package var lastTime: Timestamp?
    package var losses: [LossReport]

    package init(journalID: String, journal: JournalReport, firstTime: Timestamp?, lastTime: Timestamp?, losses: [LossReport]) {
        self.journalID = journalID
        self.journal = journal
        self.firstTime = firstTime
        self.lastTime = lastTime
        self.losses = losses
    }
}

extension JournalDetailReport: JSONValue, Decodable {
    private enum CodingKeys: String, CodingKey {
        case journalID = "journal_id"
        case journal
        case firstTime = "first_time"
        case lastTime = "last_time"
        case losses
    }

    package func write(to json: inout JSONWriter) {
        json.object {
            $0.field(CodingKeys.journalID, journalID)
            $0.field(CodingKeys.journal, journal)
            $0.field(CodingKeys.firstTime, firstTime)
            $0.field(CodingKeys.lastTime, lastTime)
            $0.field(CodingKeys.losses, losses)
        }
    }

    package init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        journalID = try container.decode(String.self, forKey: .journalID)
        journal = try container.decode(JournalReport.self, forKey: .journal)
        firstTime = try container.timeIfPresent(.firstTime)
        lastTime = try container.timeIfPresent(.lastTime)
        losses = try container.decode([LossReport].self, forKey: .losses)
    }
}

/// Polls that no output will get any more.
package struct LossReport: Hashable, Sendable {
    /// `not_committed`, `size_limit`, `disk_full` or `damaged`.
    package var cause: String
    /// Nil for polls that never had a seq.
    package var firstSeq: Int64?
    package var lastSeq: Int64?
    package var polls: Int
    package var readings: Int
    package var firstTime: Timestamp
    package var lastTime: Timestamp

    package init(
        cause: String, firstSeq: Int64?, lastSeq: Int64?, polls: Int, readings: Int, firstTime: Timestamp, lastTime: Timestamp
    ) {
        self.cause = cause
        self.firstSeq = firstSeq
        self.lastSeq = lastSeq
        self.polls = polls
        self.readings = readings
        self.firstTime = firstTime
        self.lastTime = lastTime
    }
}

extension LossReport: JSONValue, Decodable {
    private enum CodingKeys: String, CodingKey {
        case cause
        case firstSeq = "first_seq"
        case lastSeq = "last_seq"
        case polls, readings
        case firstTime = "first_time"
        case lastTime = "last_time"
    }

    package func write(to json: inout JSONWriter) {
        json.object {
            $0.field(CodingKeys.cause, cause)
            $0.field(CodingKeys.firstSeq, firstSeq)
            $0.field(CodingKeys.lastSeq, lastSeq)
            $0.field(CodingKeys.polls, polls)
            $0.field(CodingKeys.readings, readings)
            $0.field(CodingKeys.firstTime, firstTime)
            $0.field(CodingKeys.lastTime, lastTime)
        }
    }

    package init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        cause = try container.decode(String.self, forKey: .cause)
        firstSeq = try container.decodeIfPresent(Int64.self, forKey: .firstSeq)
        lastSeq = try container.decodeIfPresent(Int64.self, forKey: .lastSeq)
        polls = try container.decode(Int.self, forKey: .polls)
        readings = try container.decode(Int.self, forKey: .readings)
        firstTime = try container.time(.firstTime)
        lastTime = try container.time(.lastTime)
    }
}
