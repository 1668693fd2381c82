/// A wall-clock time: whole milliseconds since 1970-01-01T00:00:00Z. Doubles would lose one: 1700000000.123 s prints as .122.
package struct Timestamp: Hashable, Comparable, Sendable {
    package var milliseconds: Int64

    package init(milliseconds: Int64) { self.milliseconds = milliseconds }

    package static func < (a: Timestamp, b: Timestamp) -> Bool { a.milliseconds < b.milliseconds }

    package func advanced(by duration: Duration) -> Timestamp {
        Timestamp(milliseconds: milliseconds + duration.milliseconds)
    }

    /// `2023-11-14T22:13:20.123Z` for 1700000000123.
    package var rfc3339: String {
        let days = milliseconds.flooredQuotient(by: 86_400_000)
        let (year, month, day) = Timestamp.civil(daysSinceEpoch: days)
        let millisecondOfDay = milliseconds - days * 86_400_000
        let second = millisecondOfDay / 1000
        func digits(_ value: Int64, _ width: Int) -> String {
            let text = String(value)
            return String(repeating: "0", count: max(0, width - text.utf8.count)) + text
        }
        return "\(digits(year, 4))-\(digits(month, 2))-\(digits(day, 2))T\(digits(second / 3600, 2)):\(digits(second / 60 % 60, 2)):"
            + "\(digits(second % 60, 2)).\(digits(millisecondOfDay % 1000, 3))Z"
    }

    /// The Gregorian date of a day number, day 0 being 1970-01-01. Years are counted from March, so the leap day comes last and a
    /// month's first day is a straight line: (153 m + 2) / 5.  19675 → 2023-11-14; -1 → 1969-12-31.
    static func civil(daysSinceEpoch days: Int64) -> (year: Int64, month: Int64, day: Int64) {
        let shifted = days + 719_468  // days since 0000-03-01
        let era = shifted.flooredQuotient(by: 146_097)  // 400 years
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let monthFromMarch = (5 * dayOfYear + 2) / 153
        let month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
        return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, dayOfYear - (153 * monthFromMarch + 2) / 5 + 1)
    }
}

/// Time since the machine started, in nanoseconds, counting sleep (CLOCK_BOOTTIME). For waiting and for measuring; never steps.
package struct Uptime: Hashable, Comparable, Sendable, InstantProtocol {
    package var nanoseconds: Int64

    package init(nanoseconds: Int64) { self.nanoseconds = nanoseconds }

    package static func < (a: Uptime, b: Uptime) -> Bool { a.nanoseconds < b.nanoseconds }
    package func advanced(by duration: Duration) -> Uptime { Uptime(nanoseconds: nanoseconds + duration.nanoseconds) }
    package func duration(to other: Uptime) -> Duration { .nanoseconds(other.nanoseconds - nanoseconds) }

    package static func - (a: Uptime, b: Uptime) -> Duration { b.duration(to: a) }
    package static func + (a: Uptime, b: Duration) -> Uptime { a.advanced(by: b) }
}

/// What is known about a wall time. The letters are those of OCMF table 19.
package enum TimeQuality: Character, Hashable, Sendable, CaseIterable {
    /// Nothing is known: the clock was never set since the machine started.
    case unknown = "U"
    /// A real-time clock or a saved time set it; it was not compared with a time server since.
    case informative = "I"
    /// The kernel says the clock is synchronised, with an error below the bound.
    case synchronized = "S"
    /// Differences are exact, the absolute time is only informative.
    case relative = "R"
}

extension Duration {
    /// Whole milliseconds, rounded down.
    package var milliseconds: Int64 {
        Int64(attoseconds / 1_000_000_000_000_000)
    }

    /// Whole nanoseconds, rounded down; ±292 years.
    package var nanoseconds: Int64 {
        Int64(attoseconds / 1_000_000_000)
    }

    /// The same as the standard library's, which takes any integer and is ten times as slow.
    package static func nanoseconds(_ count: Int64) -> Duration { Duration(attoseconds: Int128(count) * 1_000_000_000) }

    package var seconds: Double { Double(components.seconds) + Double(components.attoseconds) * 1e-18 }
}

extension Int64 {
    /// The quotient rounded towards minus infinity: -1 by 10 is -1.
    package func flooredQuotient(by divisor: Int64) -> Int64 {
        let (quotient, remainder) = quotientAndRemainder(dividingBy: divisor)
        return remainder < 0 ? quotient - 1 : quotient
    }
}
