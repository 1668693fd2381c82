import FoundationEssentials
import Metering

/// `/v1/trial`: every point of a profile read from a device, with its raw words, its value and whether that can be.
package struct TrialReport: Hashable, Sendable {
    package struct Point: Hashable, Sendable {
        package enum Verdict: String, Hashable, Sendable, JSONValue {
            case plausible
            /// The device says that it does not have it.
            case absent
            case implausible
            /// It could not be read, or the words are no number.
            case failed
        }

        package var quantity: String
        package var unit: String
        package var kind: String
        package var address: Int
        /// Its own registers; nil when they could not be read.
        package var words: [UInt16]?
        package var value: Value?
        package var verdict: Verdict
        /// Why it is implausible or failed.
        package var reason: String?
    }

    package var bus: String
    package var unit: Int
    package var device: String?
    package var profile: String
    package var points: [Point]

    package var passed: Bool { !points.isEmpty && points.allSatisfy { $0.verdict == .plausible || $0.verdict == .absent } }

    package var table: Table {
        Table(
            [
                .init("ADDRESS", .right), .init("KIND"), .init("QUANTITY", cut: .middle, matters: true),
                .init("VALUE", .right, cut: .end, matters: true), .init("UNIT"), .init("VERDICT", matters: true),
                .init("WORDS", cut: .end), .init("REASON", cut: .end),
            ],
            rows: points.map { point in
                [
                    .init(String(point.address)), .init(point.kind), .init(point.quantity), .init(ProfileTest.text(point.value)),
                    .init(point.unit), .init(point.verdict.rawValue, point.verdict.tone),
                    .init(point.words.map(ProfileTest.hex) ?? "-"), .init(point.reason ?? ""),
                ]
            })
    }

    package var summary: String {
        let bad = points.filter { $0.verdict == .implausible || $0.verdict == .failed }.count
        let absent = points.filter { $0.verdict == .absent }.count
        return "\(profile) on \(bus):\(unit): \(points.count) points, \(bad) of them bad, \(absent) not available"
    }
}

extension TrialReport.Point.Verdict {
    fileprivate var tone: Tone {
        switch self {
        case .plausible: .good
        case .absent: .faint
        case .implausible: .warning
        case .failed: .bad
        }
    }
}

extension TrialReport: JSONValue, Decodable {
    private enum CodingKeys: String, CodingKey { case bus, unit, device, profile, passed, points }

    package func write(to json: inout JSONWriter) {
        json.object {
            $0.field(CodingKeys.bus, bus)
            $0.field(CodingKeys.unit, unit)
            $0.field(CodingKeys.device, device)
            $0.field(CodingKeys.profile, profile)
            $0.field(CodingKeys.passed, passed)
            $0.field(CodingKeys.points, points)
        }
    }

    package init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        bus = try container.decode(String.self, forKey: .bus)
        unit = try container.decode(Int.self, forKey: .unit)
        device = try container.decodeIfPresent(String.self, forKey: .device)
        profile = try container.decode(String.self, forKey: .profile)
        points = try container.decode([Point].self, forKey: .points)
    }
}

extension TrialReport.Point: JSONValue, Decodable {
    private enum CodingKeys: String, CodingKey { case quantity, unit, kind, address, words, value, verdict, reason }

    package func write(to json: inout JSONWriter) {
        json.object {
            $0.field(CodingKeys.quantity, quantity)
            $0.field(CodingKeys.unit, unit)
            $0.field(CodingKeys.kind, kind)
            $0.field(CodingKeys.address, address)
            $0.field(CodingKeys.words, words)
            $0.field(CodingKeys.value, value)
            $0.field(CodingKeys.verdict, verdict)
            $0.field(CodingKeys.reason, reason)
        }
    }

    package init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        quantity = try container.decode(String.self, forKey: .quantity)
        unit = try container.decode(String.self, forKey: .unit)
        kind = try container.decode(String.self, forKey: .kind)
        address = try container.decode(Int.self, forKey: .address)
        words = try container.decodeIfPresent([UInt16].self, forKey: .words)
        value = try container.decodeIfPresent(ReportValue.self, forKey: .value)?.value
        let word = try container.decode(String.self, forKey: .verdict)
        verdict = Verdict(rawValue: word) ?? .failed
        reason = try container.decodeIfPresent(String.self, forKey: .reason)
    }
}
