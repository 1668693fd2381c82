/// Durations and sizes as configs write them: `200us 500ms 5s 15m 12h 60d`, `512KiB 2GiB`.
package enum Measures {
    /// A whole number and one of us, ms, s, m, h, d; nil for anything else and for more than 100 years.
    package static func duration(_ text: String) -> Duration? {
        guard let (amount, unit) = split(text) else { return nil }
        let microseconds: Int64
        switch unit {
        case "us": microseconds = 1
        case "ms": microseconds = 1000
        case "s": microseconds = 1_000_000
        case "m", "min": microseconds = 60_000_000
        case "h": microseconds = 3_600_000_000
        case "d": microseconds = 86_400_000_000
        default: return nil
        }
        let (product, overflow) = amount.multipliedReportingOverflow(by: microseconds)
        guard !overflow, product <= 100 * 366 * 86_400_000_000 else { return nil }
        return .microseconds(product)
    }

    /// A whole number and one of B, KiB, MiB, GiB, TiB, in bytes; nil for anything else.
    package static func size(_ text: String) -> Int? {
        guard let (amount, unit) = split(text), let shift = ["B": 0, "KiB": 10, "MiB": 20, "GiB": 30, "TiB": 40][unit] else { return nil }
        let (product, overflow) = amount.multipliedReportingOverflow(by: Int64(1) << Int64(shift))
        return overflow ? nil : Int(product)
    }

    /// `200us`, `1500ms`, `5s`, `15m`: the largest unit that divides it.
    package static func text(_ duration: Duration) -> String {
        let milliseconds = duration.milliseconds
        if duration.nanoseconds % 1_000_000 != 0 { return "\(duration.nanoseconds / 1000)us" }
        let units: [(Int64, String)] = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1000, "s")]
        for (size, unit) in units where milliseconds != 0 && milliseconds % size == 0 { return "\(milliseconds / size)\(unit)" }
        return "\(milliseconds)ms"
    }

    private static func split(_ text: String) -> (Int64, String)? {
        let digits = text.prefix { ("0"..."9").contains($0) }
        guard !digits.isEmpty, let amount = Int64(digits) else { return nil }
        return (amount, String(text.dropFirst(digits.count)))
    }
}

extension TomlReader {
    /// A duration within bounds, or nil with the problem noted.
    package func duration(_ key: String, in range: ClosedRange<Duration>, example: String = "\"5s\"") -> Duration? {
        guard let text = string(key, example: example) else { return nil }
        guard let value = Measures.duration(text) else {
            problem(key, "\"\(text)\" is no duration; write a whole number with ms, s, m, h or d, such as \(example)")
            return nil
        }
        guard range.contains(value) else {
            problem(key, "\(text) is outside \(Measures.text(range.lowerBound)) ... \(Measures.text(range.upperBound))")
            return nil
        }
        return value
    }

    /// A size in bytes within bounds, or nil with the problem noted.
    package func size(_ key: String, in range: ClosedRange<Int>, example: String = "\"512MiB\"") -> Int? {
        guard let text = string(key, example: example) else { return nil }
        guard let value = Measures.size(text) else {
            problem(key, "\"\(text)\" is no size; write a whole number with B, KiB, MiB or GiB, such as \(example)")
            return nil
        }
        guard range.contains(value) else {
            problem(key, "\(text) is outside \(range.lowerBound) ... \(range.upperBound) bytes")
            return nil
        }
        return value
    }
}
