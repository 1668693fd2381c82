import Host
import Metering

/// How long to wait for one device's answer: four times its filtered latency, floor 100 ms, ceiling as configured.
///
///     filtered ← filtered + (sample − filtered) / 8         latencies of 20 ms → 100 ms, of 60 ms → 240 ms
///
/// A device that became slower than its timeout gives no more samples, so every fourth miss in a row waits up to the ceiling. The others
/// do not: a dead device costs its neighbours little. Wire time is not part of it; serial readers add it.
struct ResponseTimeout: Hashable, Sendable {
    static let floor = Duration.milliseconds(100)
    static let missesBetweenLongWaits = 4

    private(set) var filtered: Duration?
    private(set) var misses = 0

    /// - Parameter neighbour: a timeout that suits other devices of the bus; for one that never answered.
    func value(ceiling: Duration, neighbour: Duration?) -> Duration {
        if misses % ResponseTimeout.missesBetweenLongWaits == ResponseTimeout.missesBetweenLongWaits - 1 { return ceiling }
        if let filtered { return min(max(filtered * 4, ResponseTimeout.floor), ceiling) }
        if misses >= 2, let neighbour { return min(neighbour, ceiling) }
        return ceiling
    }

    /// An answer came after `latency`, in time or late.
    mutating func answered(after latency: Duration) {
        let sample = max(latency, .zero)
        filtered = filtered.map { $0 + (sample - $0) / 8 } ?? sample
        misses = 0
    }

    /// A late answer came: the next ones are likely to be as late.
    mutating func answeredLate(after latency: Duration) {
        filtered = max(filtered ?? .zero, latency)
        misses = 0
    }

    mutating func missed() { misses += 1 }
}

/// How fast a device answers, wire time apart.
package struct ResponseTiming: Hashable, Sendable {
    /// Running mean over the last answers; nil before the first one.
    package var typical: Duration?
    /// How long the next answer will be waited for.
    package var timeout: Duration
}

/// A reader that measures how fast devices answer.
protocol ResponseMeasuring: Sendable {
    nonisolated var timeouts: Lock<ResponseTimeouts> { get }
}

/// The timeouts of all devices of a bus.
struct ResponseTimeouts: Sendable {
    private let ceiling: Duration
    private var units: [UInt8: ResponseTimeout] = [:]
    private var typical = ResponseTimeout()

    init(ceiling: Duration) { self.ceiling = max(ceiling, .milliseconds(1)) }

    func value(unit: UInt8) -> Duration {
        let neighbour = typical.filtered.map { max($0 * 4, ResponseTimeout.floor) }
        return (units[unit] ?? ResponseTimeout()).value(ceiling: ceiling, neighbour: neighbour)
    }

    /// Nil for the whole bus.
    func timing(unit: UInt8?) -> ResponseTiming {
        guard let unit else { return ResponseTiming(typical: typical.filtered, timeout: ceiling) }
        return ResponseTiming(typical: units[unit]?.filtered, timeout: value(unit: unit))
    }

    mutating func answered(unit: UInt8, after latency: Duration) {
        units[unit, default: ResponseTimeout()].answered(after: latency)
        typical.answered(after: latency)
    }

    /// Nothing is learned from a reply that is older than two ceilings: it was lost, or it is another's of the same shape.
    mutating func answeredLate(unit: UInt8, after latency: Duration) {
        guard latency <= ceiling * 2 else { return }
        units[unit, default: ResponseTimeout()].answeredLate(after: latency)
    }

    mutating func missed(unit: UInt8) { units[unit, default: ResponseTimeout()].missed() }
}
