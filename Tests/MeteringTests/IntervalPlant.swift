import Metering
import Testing

/// A meter with a counter (uint32, Wh), a power (int32, W) and a serial number, told poll by poll.
struct IntervalPlant {
    static let profile = """
        profile = "meter"
        version = 1
        vendor = "V"
        models = ["M"]
        source = "none"
        [defaults]
        table = "input"
        [[point]]
        quantity = "energy_active_import"
        type = "uint32"
        address = 0
        unit = "Wh"
        [[point]]
        quantity = "power_active"
        type = "int32"
        address = 2
        unit = "W"
        [[point]]
        quantity = "device_serial"
        type = "uint32"
        address = 10
        class = "once"
        """

    var builder: IntervalBuilder
    var intervals: [Interval] = []
    /// Seconds since `start` by the clock that never steps.
    var now = 0
    /// What the wall clock is ahead.
    var ahead = 0
    var boot = 0
    var clock = TimeQuality.synchronized

    /// 2026-11-24T06:00:00Z
    static let start = Timestamp(milliseconds: 1_795_500_000_000)

    init(from: Timestamp? = nil) throws {
        builder = IntervalBuilder(device: "main", from: from)
        builder.use(ReadingDecoder(profile: try Profile(toml: IntervalPlant.profile, file: "meter.toml")), unit: 1)
    }

    static func at(_ second: Int) -> Timestamp { start.advanced(by: .seconds(second)) }

    private func words(_ value: Int) -> [UInt16] { [UInt16(value >> 16 & 0xFFFF), UInt16(value & 0xFFFF)] }

    mutating func poll(_ counter: Int?, power: Int? = nil, serial: Int? = nil, milliseconds: Int = 0) {
        var answers: [BlockAnswer] = []
        if counter != nil || power != nil {
            let words = words(counter ?? 0) + words(power ?? 0)
            answers.append(
                BlockAnswer(
                    block: Block(.input, counter == nil ? 2 : 0, count: counter == nil || power == nil ? 2 : 4),
                    outcome: .words(counter == nil ? Array(words[2...]) : power == nil ? Array(words[..<2]) : words)))
        }
        if let serial { answers.append(BlockAnswer(block: Block(.input, 10, count: 2), outcome: .words(words(serial)))) }
        if answers.isEmpty { answers = [BlockAnswer(block: Block(.input, 0, count: 4), outcome: .fault(.timeout))] }
        take(answers, milliseconds: milliseconds)
    }

    mutating func take(_ answers: [BlockAnswer], milliseconds: Int = 0) {
        let offset = Int64(milliseconds)
        let poll = Poll(
            entry: CatalogID(1), time: IntervalPlant.at(now + ahead).advanced(by: .milliseconds(offset)),
            uptime: Uptime(nanoseconds: (Int64(now) * 1000 + offset + 100_000) * 1_000_000), clock: clock, answers: answers)
        builder.take(poll, boot: boot) { intervals.append($0) }
    }

    /// A poll every so many seconds up to and without `end`; the counter stands at `counter(second)`.
    mutating func run(to end: Int, every seconds: Int = 60, _ counter: (Int) -> Int?) {
        while now < end {
            let count = counter(now)
            poll(count, power: count == nil ? nil : 100)
            now += seconds
        }
    }

    mutating func finish() {
        builder.finish(at: IntervalPlant.at(now + ahead)) { intervals.append($0) }
    }

    var advances: [ExactDecimal?] { intervals.map { $0.counters.first?.advance } }
    var booked: ExactDecimal { advances.reduce(.zero) { $0.adding($1 ?? .zero) ?? $0 } }
    var events: [IntervalEvent] { intervals.flatMap(\.events) }
}
