import Metering

extension Timestamp {
    /// Reads what `rfc3339` writes, `2023-11-14T22:13:20.123Z`, and nothing else: nil for other offsets, precisions and for dates that no
    /// calendar has.
    package init?(rfc3339 text: String) {
        let bytes = Array(text.utf8)
        guard bytes.count == 24 else { return nil }
        for (index, expected) in [(4, "-"), (7, "-"), (10, "T"), (13, ":"), (16, ":"), (19, "."), (23, "Z")] {
            guard bytes[index] == expected.utf8.first else { return nil }
        }
        func number(_ range: Range<Int>) -> Int64? {
            var value: Int64 = 0
            for byte in bytes[range] {
                guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) else { return nil }
                value = value * 10 + Int64(byte - UInt8(ascii: "0"))
            }
            return value
        }
        guard let year = number(0..<4), let month = number(5..<7), let day = number(8..<10), let hour = number(11..<13),
            let minute = number(14..<16), let second = number(17..<19), let millisecond = number(20..<23)
        else { return nil }
        guard (1...12).contains(month), (1...31).contains(day), hour < 24, minute < 60, second < 60 else { return nil }
        let seconds = ((Timestamp.daysSinceEpoch(year, month, day) * 24 + hour) * 60 + minute) * 60 + second
        self.init(milliseconds: seconds * 1000 + millisecond)
        // 31 February is 3 March by arithmetic: only a date that comes back as it was is one.
        guard rfc3339 == text else { return nil }
    }

    /// The day number of a Gregorian date, 1970-01-01 being 0. Years are counted from March, so the leap day comes last.
    /// 2023-11-14 → 19675; 1969-12-31 → -1.
    private static func daysSinceEpoch(_ year: Int64, _ month: Int64, _ day: Int64) -> Int64 {
        let year = month <= 2 ? year - 1 : year
        let era = year.flooredQuotient(by: 400)
        let yearOfEra = year - era * 400
        let monthFromMarch = month > 2 ? month - 3 : month + 9
        let dayOfYear = (153 * monthFromMarch + 2) / 5 + day - 1
        return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
    }
}

/// A time of a report, as its JSON carries it.
struct ReportTime: Decodable {
    let timestamp: Timestamp

    init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        let text = try container.decode(String.self)
        guard let timestamp = Timestamp(rfc3339: text) else {
            throw DecodingError.dataCorruptedError(in: container, debugDescription: "\"\(text)\" is not an RFC 3339 time in UTC")
        }
        self.timestamp = timestamp
    }
}

extension KeyedDecodingContainer {
    func time(_ key: Key) throws -> Timestamp { try decode(ReportTime.self, forKey: key).timestamp }
    func timeIfPresent(_ key: Key) throws -> Timestamp? { try decodeIfPresent(ReportTime.self, forKey: key)?.timestamp }
}
