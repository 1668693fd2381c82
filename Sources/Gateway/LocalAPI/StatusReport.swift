import Metering

/// The state of the whole gateway, as `/v1/status` answers and `meterctl status --json` prints it.
///
/// A contract: fields are added, never renamed or dropped. docs/local-api.md says what each one means.
package struct StatusReport: Hashable, Sendable {
    package enum Health: String, Hashable, Sendable, Decodable, JSONValue {
        case ok
        /// Something heals by itself or waits.
        case degraded
        /// Data are being lost, or someone must act.
        case failed
    }

    package var version: String
    package var gateway: String
    package var journalID: String
    package var started: Timestamp
    package var uptimeSeconds: Int
    package var health: Health
    package var problems: [ProblemReport]
    package var clock: ClockReport
    package var buses: [BusReport]
    package var devices: [DeviceReport]
    package var journal: JournalReport
    package var outputs: [OutputReport]

    package init(
        version: String, gateway: String, journalID: String, started: Timestamp, uptimeSeconds: Int, health: Health,
        problems: [ProblemReport], clock: ClockReport, buses: [BusReport], devices: [DeviceReport], journal: JournalReport,
        outputs: [OutputReport]
    ) {
        self.version = version
        self.gateway = gateway
        self.journalID = journalID
        self.started = started
        self.uptimeSeconds = uptimeSeconds
        self.health = health
        self.problems = problems
        self.clock = clock
        self.buses = buses
        self.devices = devices
        self.journal = journal
        self.outputs = outputs
    }
}

extension StatusReport: JSONValue, Decodable {
    private enum CodingKeys: String, CodingKey {
        case version, gateway
        case journalID = "journal_id"
        case started
        case uptimeSeconds = "uptime_s"
        case health, problems, clock, buses, devices, journal, outputs
    }

    package func write(to json: inout JSONWriter) {
        json.object {
            $0.field(CodingKeys.version, version)
            $0.field(CodingKeys.gateway, gateway)
            $0.field(CodingKeys.journalID, journalID)
            $0.field(CodingKeys.started, started)
            $0.field(CodingKeys.uptimeSeconds, uptimeSeconds)
            $0.field(CodingKeys.health, health)
            $0.field(CodingKeys.problems, problems)
            $0.field(CodingKeys.clock, clock)
            $0.field(CodingKeys.buses, buses)
            $0.field(CodingKeys.devices, devices)
            $0.field(CodingKeys.journal, journal)
            $0.field(CodingKeys.outputs, outputs)
        }
    }

    package init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        version = try container.decode(String.self, forKey: .version)
        gateway = try container.decode(String.self, forKey: .gateway)
        journalID = try container.decode(String.self, forKey: .journalID)
        started = try container.time(.started)
        uptimeSeconds = try container.decode(Int.self, forKey: .uptimeSeconds)
        health = try container.decode(Health.self, forKey: .health)
        problems = try container.decode([ProblemReport].self, forKey: .problems)
        clock = try container.decode(ClockReport.self, forKey: .clock)
        buses = try container.decode([BusReport].self, forKey: .buses)
        devices = try container.decode([DeviceReport].self, forKey: .devices)
        journal = try container.decode(JournalReport.self, forKey: .journal)
        outputs = try container.decode([OutputReport].self, forKey: .outputs)
    }
}

/// One thing that is wrong now.
package struct ProblemReport: Hashable, Sendable {
    /// For machines, `device_offline`; holds no names or values.
    package var code: String
    /// What it is about: the name of a device, bus or output, or `journal`, `clock`.
    package var subject: String
    package var since: Timestamp
    /// For people: what is wrong and how to mend it.
    package var text: String

    package init(code: String, subject: String, since: Timestamp, text: String) {
        self.code = code
        self.subject = subject
        self.since = since
        self.text = text
    }
}

extension ProblemReport: JSONValue, Decodable {
    private enum CodingKeys: String, CodingKey { case code, subject, since, text }

    package func write(to json: inout JSONWriter) {
        json.object {
            $0.field(CodingKeys.code, code)
            $0.field(CodingKeys.subject, subject)
            $0.field(CodingKeys.since, since)
            $0.field(CodingKeys.text, text)
        }
    }

    package init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        code = try container.decode(String.self, forKey: .code)
        subject = try container.decode(String.self, forKey: .subject)
        since = try container.time(.since)
        text = try container.decode(String.self, forKey: .text)
    }
}

/// The journal in figures. Counts are of what it holds now; the lost ones are since the database was made.
package struct JournalReport: Hashable, Sendable {
    package var firstSeq: Int64
    package var lastSeq: Int64
    package var polls: Int
    package var readings: Int
    /// Size of the database file.
    package var bytes: Int
    package var lostPolls: Int
    package var lostReadings: Int
    /// When the oldest and the newest of the lost polls were read; nil when none were lost.
    package var lostFrom: Timestamp?
    package var lostUntil: Timestamp?
    /// The id that the journal had before it was put back from a backup, and when that was found; nil when it was not, or long ago.
    package var restoredFrom: String?
    package var restoredAt: Timestamp?

    package init(
        firstSeq: Int64, lastSeq: Int64, polls: Int, readings: Int, bytes: Int, lostPolls: Int, lostReadings: Int,
        lostFrom: Timestamp? = nil, lostUntil: Timestamp? = nil, restoredFrom: String? = nil, restoredAt: Timestamp? = nil
    ) {
        self.firstSeq = firstSeq
        self.lastSeq = lastSeq
        self.polls = polls
        self.readings = readings
        self.bytes = bytes
        self.lostPolls = lostPolls
        self.lostReadings = lostReadings
        self.lostFrom = lostFrom
        self.lostUntil = lostUntil
        self.restoredFrom = restoredFrom
        self.restoredAt = restoredAt
    }
}

extension JournalReport: JSONValue, Decodable {
    private enum CodingKeys: String, CodingKey {
        case firstSeq = "first_seq"
        case lastSeq = "last_seq"
        case polls, readings, bytes
        case lostPolls = "lost_polls"
        case lostReadings = "lost_readings"
        case lostFrom = "lost_from"
        case lostUntil = "lost_until"
        case restoredFrom = "restored_from"
        case restoredAt = "restored_at"
    }

    package func write(to json: inout JSONWriter) {
        json.object {
            $0.field(CodingKeys.firstSeq, firstSeq)
            $0.field(CodingKeys.lastSeq, lastSeq)
            $0.field(CodingKeys.polls, polls)
            $0.field(CodingKeys.readings, readings)
            $0.field(CodingKeys.bytes, bytes)
            $0.field(CodingKeys.lostPolls, lostPolls)
            $0.field(CodingKeys.lostReadings, lostReadings)
            $0.field(CodingKeys.lostFrom, lostFrom)
            $0.field(CodingKeys.lostUntil, lostUntil)
            $0.field(CodingKeys.restoredFrom, restoredFrom)
            $0.field(CodingKeys.restoredAt, restoredAt)
        }
    }

    package init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        firstSeq = try container.decode(Int64.self, forKey: .firstSeq)
        lastSeq = try container.decode(Int64.self, forKey: .lastSeq)
        polls = try container.decode(Int.self, forKey: .polls)
        readings = try container.decode(Int.self, forKey: .readings)
        bytes = try container.decode(Int.self, forKey: .bytes)
        lostPolls = try container.decode(Int.self, forKey: .lostPolls)
        lostReadings = try container.decode(Int.self, forKey: .lostReadings)
        lostFrom = try container.timeIfPresent(.lostFrom)
        lostUntil = try container.timeIfPresent(.lostUntil)
        restoredFrom = try container.decodeIfPresent(String.self, forKey: .restoredFrom)
        restoredAt = try container.timeIfPresent(.restoredAt)
    }
}
