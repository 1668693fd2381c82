import Metering

/// The keys of `key=value,key=value`. Take what is known, then `end()`: a key left over is an error, not ignored.
struct OptionText {
    private let option: String
    private var pairs: [(key: String, value: String)] = []

    /// - Parameter first: when given, a first item without `=` is taken as this key's value.
    init(_ text: String, option: String, first: String? = nil) throws(SimulatorError) {
        self.option = option
        for (place, item) in text.split(separator: ",", omittingEmptySubsequences: false).enumerated() {
            let parts = item.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
            if parts.count == 1, place == 0, let first, !item.isEmpty {
                pairs.append((first, parts[0]))
                continue
            }
            guard parts.count == 2, !parts[0].isEmpty, !parts[1].isEmpty else {
                throw SimulatorError(.usage, "\(option): \"\(item)\" is not key=value")
            }
            if pairs.contains(where: { $0.key == parts[0] }) { throw SimulatorError(.usage, "\(option): \(parts[0]) is given twice") }
            pairs.append((parts[0], parts[1]))
        }
    }

    mutating func take(_ key: String) -> String? {
        guard let index = pairs.firstIndex(where: { $0.key == key }) else { return nil }
        return pairs.remove(at: index).value
    }

    /// `250ms`, `10s`, `5m`, `2h`.
    mutating func takeDuration(_ key: String) throws(SimulatorError) -> Duration? {
        guard let text = take(key) else { return nil }
        let units: [(String, Int64)] = [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000)]
        for (suffix, milliseconds) in units where text.hasSuffix(suffix) {
            if let number = Int64(text.dropLast(suffix.utf8.count)), (0...1_000_000).contains(number) {
                return .milliseconds(number * milliseconds)
            }
        }
        throw SimulatorError(.usage, "\(option): \(key)=\(text) is not a duration; write 250ms, 10s, 5m or 2h")
    }

    mutating func takeInteger(_ key: String, in range: ClosedRange<Int64>) throws(SimulatorError) -> Int64? {
        guard let text = take(key) else { return nil }
        guard let number = Int64(text), range.contains(number) else {
            throw SimulatorError(.usage, "\(option): \(key)=\(text) is not \(range.lowerBound) to \(range.upperBound)")
        }
        return number
    }

    func end() throws(SimulatorError) {
        guard let (key, value) = pairs.first else { return }
        throw SimulatorError(.usage, "\(option): \(key)=\(value) means nothing here")
    }
}
