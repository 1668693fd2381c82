import Metering

/// The Retry-After header: seconds, or a date.
/// - Source: RFC 9110, sections 10.2.3 and 5.6.7 (IMF-fixdate; the two obsolete date forms are not read).
enum RetryAfter {
    /// - Parameters:
    ///   - date: the answer's Date header; a date is measured against it, so that our own clock need not be right.
    ///   - now: the wall clock, for answers without a date.
    /// - Returns: nil for anything else; never negative. The plan caps it.
    static func parse(_ text: String, date: String?, now: Timestamp) -> Duration? {
        if let seconds = Int64(text), seconds >= 0 { return .seconds(min(seconds, 1_000_000)) }
        guard let moment = httpDate(text) else { return nil }
        let reference = date.flatMap(httpDate) ?? now
        return .milliseconds(max(0, moment.milliseconds - reference.milliseconds))
    }

    /// `Sun, 06 Nov 1994 08:49:37 GMT` → 784111777000.
    static func httpDate(_ text: String) -> Timestamp? {
        let parts = text.split(separator: " ")
        guard parts.count == 6, parts[5] == "GMT", let day = number(parts[1], 1...31), let month = months.firstIndex(of: String(parts[2])),
            let year = number(parts[3], 1970...9999)
        else { return nil }
        let clock = parts[4].split(separator: ":")
        guard clock.count == 3, let hour = number(clock[0], 0...23), let minute = number(clock[1], 0...59),
            let second = number(clock[2], 0...60)
        else { return nil }
        let days = dayNumber(year: year, month: month + 1, day: day)
        return Timestamp(milliseconds: ((days * 24 + hour) * 60 + minute) * 60_000 + second * 1000)
    }

    /// Days since 1970-01-01 of a Gregorian date; years begin in March, so the leap day comes last.
    private static func dayNumber(year: Int64, month: Int, day: Int64) -> Int64 {
        let shifted = month > 2 ? year : year - 1
        let monthFromMarch = Int64((month + 9) % 12)
        let dayOfYear = (153 * monthFromMarch + 2) / 5 + day - 1
        return shifted * 365 + shifted / 4 - shifted / 100 + shifted / 400 + dayOfYear - 719_468
    }

    private static func number(_ text: Substring, _ range: ClosedRange<Int64>) -> Int64? {
        guard text.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }), let value = Int64(text), range.contains(value)
        else { return nil }
        return value
    }

    private static let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
}
