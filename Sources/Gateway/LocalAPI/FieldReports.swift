import Metering

/// One bus, as `/v1/status` lists it.
package struct BusReport: Hashable, Sendable {
    package enum State: String, Hashable, Sendable, Decodable, JSONValue { case up, down, starting }

    package var name: String
    package var state: State
    /// Share of the time in which a request was in flight: 0 ... 1.
    package var utilization: Double
    package var requests: Int
    package var timeouts: Int
    package var errors: Int

    package init(name: String, state: State, utilization: Double, requests: Int, timeouts: Int, errors: Int) {
        self.name = name
        self.state = state
        self.utilization = utilization
        self.requests = requests
        self.timeouts = timeouts
        self.errors = errors
    }
}

extension BusReport: JSONValue, Decodable {
    private enum CodingKeys: String, CodingKey { case name, state, utilization, requests, timeouts, errors }

    package func write(to json: inout JSONWriter) {
        json.object {
            $0.field(CodingKeys.name, name)
            $0.field(CodingKeys.state, state)
            $0.field(CodingKeys.utilization, BusReport.fourPlaces(utilization))
            $0.field(CodingKeys.requests, requests)
            $0.field(CodingKeys.timeouts, timeouts)
            $0.field(CodingKeys.errors, errors)
        }
    }

    /// 0.41236 → 0.4124; not a number → 0: more digits would only be noise in a diff.
    private static func fourPlaces(_ share: Double) -> ExactDecimal {
        let clamped = share.isFinite ? min(max(share, 0), 1) : 0
        return ExactDecimal(mantissa: Int64((clamped * 10_000).rounded()), exponent: -4) ?? .zero
    }
}

/// One device, as `/v1/devices` and `/v1/status` list it.
package struct DeviceReport: Hashable, Sendable {
    package enum State: String, Hashable, Sendable, Decodable, JSONValue { case online, offline, starting, disabled }

    package var name: String
    package var bus: String
    /// The Modbus unit id: 0 ... 255.
    package var unit: Int
    package var profile: String
    package var state: State
    /// When its last answer came; nil when none came since the daemon started.
    package var lastPoll: Timestamp?
    package var pollsOK: Int
    package var pollsFailed: Int
    package var pollsSkipped: Int

    package init(
        name: String, bus: String, unit: Int, profile: String, state: State, lastPoll: Timestamp?, pollsOK: Int, pollsFailed: Int,
        pollsSkipped: Int
    ) {
        self.name = name
        self.bus = bus
        self.unit = unit
        self.profile = profile
        self.state = state
        self.lastPoll = lastPoll
        self.pollsOK = pollsOK
        self.pollsFailed = pollsFailed
        self.pollsSkipped = pollsSkipped
    }
}

extension DeviceReport: JSONValue, Decodable {
    private enum CodingKeys: String, CodingKey {
        case name, bus, unit, profile, state
        case lastPoll = "last_poll"
        case pollsOK = "polls_ok"
        case pollsFailed = "polls_failed"
        case pollsSkipped = "polls_skipped"
    }

    package func write(to json: inout JSONWriter) {
        json.object {
            $0.field(CodingKeys.name, name)
            $0.field(CodingKeys.bus, bus)
            $0.field(CodingKeys.unit, unit)
            $0.field(CodingKeys.profile, profile)
            $0.field(CodingKeys.state, state)
            $0.field(CodingKeys.lastPoll, lastPoll)
            $0.field(CodingKeys.pollsOK, pollsOK)
            $0.field(CodingKeys.pollsFailed, pollsFailed)
            $0.field(CodingKeys.pollsSkipped, pollsSkipped)
        }
    }

    package init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        name = try container.decode(String.self, forKey: .name)
        bus = try container.decode(String.self, forKey: .bus)
        unit = try container.decode(Int.self, forKey: .unit)
        profile = try container.decode(String.self, forKey: .profile)
        state = try container.decode(State.self, forKey: .state)
        lastPoll = try container.timeIfPresent(.lastPoll)
        pollsOK = try container.decode(Int.self, forKey: .pollsOK)
        pollsFailed = try container.decode(Int.self, forKey: .pollsFailed)
        pollsSkipped = try container.decode(Int.self, forKey: .pollsSkipped)
    }
}

/// `/v1/devices`: an object, so that fields can be added beside the list.
package struct DevicesReport: Hashable, Sendable, Decodable, JSONValue {
    package var devices: [DeviceReport]

    package init(devices: [DeviceReport]) { self.devices = devices }

    private enum CodingKeys: String, CodingKey { case devices }

    package func write(to json: inout JSONWriter) {
        json.object { $0.field(CodingKeys.devices, devices) }
    }
}
