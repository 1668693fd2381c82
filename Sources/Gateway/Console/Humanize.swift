import Metering

/// Figures as people read them in a terminal.
package enum Humanize {
    /// The two largest units of a time span: `0 s`, `45 s`, `12 min`, `2 h 5 min`, `3 d 4 h`. A negative span, from a clock that was set
    /// back, is `0 s`.
    package static func span(_ duration: Duration) -> String {
        let seconds = max(0, duration.milliseconds / 1000)
        let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400)
        if minutes == 0 { return "\(seconds) s" }
        if hours == 0 { return "\(minutes) min" }
        if days == 0 { return minutes % 60 == 0 ? "\(hours) h" : "\(hours) h \(minutes % 60) min" }
        return hours % 24 == 0 ? "\(days) d" : "\(days) d \(hours % 24) h"
    }

    /// How long ago a time was; `never` when there is none.
    package static func age(of time: Timestamp?, at now: Timestamp) -> String {
        guard let time else { return "never" }
        return span(.milliseconds(now.milliseconds - time.milliseconds))
    }

    /// 41720 → `41,720`.
    package static func count(_ number: some BinaryInteger) -> String {
        let digits = String(number.magnitude)
        var text = ""
        for (index, digit) in digits.enumerated() {
            if index > 0, (digits.utf8.count - index) % 3 == 0 { text.append(",") }
            text.append(digit)
        }
        return number < 0 ? "-\(text)" : text
    }

    /// `1 poll`, `41,720 polls`.
    package static func count(_ number: some BinaryInteger, _ noun: String) -> String {
        "\(count(number)) \(noun)\(number == 1 ? "" : "s")"
    }

    /// 1023 → `1023 B`, 1048576 → `1.0 MiB`.
    package static func bytes(_ bytes: Int) -> String {
        let units = ["KiB", "MiB", "GiB"]
        guard bytes >= 1024 else { return "\(bytes) B" }
        var tenths = Double(bytes) / 1024 * 10
        var unit = 0
        while tenths.rounded() >= 10_240, unit < units.count - 1 {
            tenths /= 1024
            unit += 1
        }
        let rounded = Int(tenths.rounded())
        return "\(rounded / 10).\(rounded % 10) \(units[unit])"
    }

    /// 0.414 → `41 %`; what is above 0 but below half a percent is `<1 %`.
    package static func percent(_ share: Double) -> String {
        guard share.isFinite else { return "-" }
        let whole = Int((share * 100).rounded())
        return whole == 0 && share > 0 ? "<1 %" : "\(whole) %"
    }
}
