import FoundationEssentials
import Metering

/// The newest reading of every point, as `/v1/readings` answers it.
package struct ReadingsReport: Hashable, Sendable {
    package var gateway: String
    /// When this report was made, by the gateway's wall clock: ages are counted from here.
    package var time: Timestamp
    /// Every device asked for, in config order, also those that never answered.
    package var readings: [DeviceReadings]

    package init(gateway: String, time: Timestamp, readings: [DeviceReadings]) {
        self.gateway = gateway
        self.time = time
        self.readings = readings
    }
}

extension ReadingsReport: JSONValue, Decodable {
    private enum CodingKeys: String, CodingKey { case gateway, time, readings }

    package func write(to json: inout JSONWriter) {
        json.object {
            $0.field(CodingKeys.gateway, gateway)
            $0.field(CodingKeys.time, time)
            $0.field(CodingKeys.readings, readings)
        }
    }

    package init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        gateway = try container.decode(String.self, forKey: .gateway)
        time = try container.time(.time)
        readings = try container.decode([DeviceReadings].self, forKey: .readings)
    }
}

/// The newest readings of one device.
package struct DeviceReadings: Hashable, Sendable {
    package var device: String
    package var role: Role
    /// When its newest poll ended, answered or not; nil when it was not polled since the daemon started.
    package var lastPoll: Timestamp?
    /// In the order of the profile; empty when nothing was polled yet.
    package var points: [PointReport]

    package init(device: String, role: Role, lastPoll: Timestamp?, points: [PointReport]) {
        self.device = device
        self.role = role
        self.lastPoll = lastPoll
        self.points = points
    }
}

extension DeviceReadings: JSONValue, Decodable {
    private enum CodingKeys: String, CodingKey {
        case device, role
        case lastPoll = "last_poll"
        case points
    }

    package func write(to json: inout JSONWriter) {
        json.object {
            $0.field(CodingKeys.device, device)
            $0.field(CodingKeys.role, role.rawValue)
            $0.field(CodingKeys.lastPoll, lastPoll)
            $0.field(CodingKeys.points, points)
        }
    }

    package init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        device = try container.decode(String.self, forKey: .device)
        let word = try container.decode(String.self, forKey: .role)
        guard let role = Role(rawValue: word) else {
            throw DecodingError.dataCorruptedError(forKey: .role, in: container, debugDescription: "\"\(word)\" is no role known here")
        }
        self.role = role
        lastPoll = try container.timeIfPresent(.lastPoll)
        points = try container.decode([PointReport].self, forKey: .points)
    }
}

/// One point with its newest reading. Points of one device are read in several polls, so each has its own time.
package struct PointReport: Hashable, Sendable {
    package var quantity: String
    /// Nil when nothing usable was read; `quality` says why.
    package var value: Value?
    /// The canonical unit, `W`, `Wh`; empty for texts and states.
    package var unit: String
    package var time: Timestamp
    package var clock: TimeQuality
    package var quality: Quality

    package init(quantity: Quantity, value: Value?, quality: Quality, time: Timestamp, clock: TimeQuality) {
        self.quantity = quantity.id
        self.value = value
        self.unit = quantity.unit
        self.time = time
        self.clock = clock
        self.quality = quality
    }
}

extension PointReport: JSONValue, Decodable {
    private enum CodingKeys: String, CodingKey {
        case quantity, value, unit, time, clock, quality
        case qualityNames = "quality_names"
    }

    package func write(to json: inout JSONWriter) {
        json.object {
            $0.field(CodingKeys.quantity, quantity)
            $0.field(CodingKeys.value, value)
            $0.field(CodingKeys.unit, unit)
            $0.field(CodingKeys.time, time)
            $0.field(CodingKeys.clock, String(clock.rawValue))
            $0.field(CodingKeys.quality, quality.rawValue)
            $0.field(CodingKeys.qualityNames, quality.names)
        }
    }

    package init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        quantity = try container.decode(String.self, forKey: .quantity)
        value = try container.decodeIfPresent(ReportValue.self, forKey: .value)?.value
        unit = try container.decode(String.self, forKey: .unit)
        time = try container.time(.time)
        let letter = try container.decode(String.self, forKey: .clock)
        clock = letter.first.flatMap(TimeQuality.init(rawValue:)) ?? .unknown
        quality = Quality(rawValue: try container.decode(UInt16.self, forKey: .quality))
    }
}

extension ExactDecimal: JSONValue {
    package func write(to json: inout JSONWriter) { json.number(self) }
}

extension Value: JSONValue {
    package func write(to json: inout JSONWriter) {
        switch self {
        case .number(let number): json.number(number)
        case .text(let text): json.string(text)
        }
    }
}

/// A value of a report, as its JSON carries it. `Decimal` reads the digits as they stand, so nothing passes through a Double.
struct ReportValue: Decodable {
    let value: Value

    init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if let text = try? container.decode(String.self) {
            value = .text(text)
            return
        }
        let decimal = try container.decode(Decimal.self)
        guard let number = ReportValue.exact(decimal.description) else {
            throw DecodingError.dataCorruptedError(in: container, debugDescription: "\(decimal) has more digits than a reading can have")
        }
        value = .number(number)
    }

    /// A Decimal prints 5e30 with all its zeros, more digits than a mantissa holds: those at the end go into the exponent.
    private static func exact(_ text: String) -> ExactDecimal? {
        guard !text.utf8.contains(UInt8(ascii: ".")), let last = text.lastIndex(where: { $0 != "0" }) else { return ExactDecimal(text) }
        let zeros = text.distance(from: last, to: text.endIndex) - 1
        return ExactDecimal("\(text[...last])e\(zeros)")
    }
}
