import Metering
import Store
import Uplink

/// How an output hands on its backlog: `pace`, `pace_bytes`, `lane`.
extension OutputReader {
    private static let recordRates = 1...1_000_000
    private static let byteRates = (1 << 10)...(1 << 30)

    func pace() -> Pace? {
        let records = rate("pace", example: "5000/s") { Int($0) }
        let bytes = rate("pace_bytes", example: "256KiB/s") { Measures.size($0) }
        if let records, !OutputReader.recordRates.contains(records) {
            table.problem("pace", "\(records)/s is outside 1/s ... 1000000/s")
        }
        if let bytes, !OutputReader.byteRates.contains(bytes) { table.problem("pace_bytes", "must be 1KiB/s ... 1GiB/s") }
        return records == nil && bytes == nil ? nil : Pace(records: records, bytes: bytes)
    }

    private func rate(_ key: String, example: String, _ amount: (String) -> Int?) -> Int? {
        guard let text = table.string(key, example: "\"\(example)\"") else { return nil }
        guard text.hasSuffix("/s"), let value = amount(String(text.dropLast(2))) else {
            let other = key == "pace" && Measures.size(text.hasSuffix("/s") ? String(text.dropLast(2)) : text) != nil
            table.problem(
                key,
                "\"\(text)\" is no rate such as \"\(example)\""
                    + (other ? "; bytes a second are pace_bytes = \"\(text.hasSuffix("/s") ? text : text + "/s")\"" : ""))
            return nil
        }
        return value
    }

    /// What was asked for, or what suits the target: new readings first, unless the target takes what comes last for what is newest.
    func policy(_ asked: LanePolicy?, _ target: Configuration.Target) -> LanePolicy {
        let reason: String? =
            switch target {
            case .file: "files hold their records in order of seq"
            case .mqtt(let settings) where settings.discovery != nil: "Home Assistant takes the message that comes last for the newest"
            case .http, .mqtt: nil
            }
        guard let reason else { return asked ?? .liveFirst }
        if asked == .liveFirst { table.problem("lane", "\"live_first\" is not for this output: \(reason); remove it") }
        return .inOrder
    }
}
