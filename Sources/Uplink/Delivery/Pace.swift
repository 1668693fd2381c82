import Metering

/// How fast an output hands on its backlog, so that a receiver that was away is not run over when it is back. What is fresh is not paced.
package struct Pace: Hashable, Sendable {
    /// Records a second; nil: as fast as the receiver answers.
    package var records: Int?
    /// Bytes a second before compression; nil as well.
    package var bytes: Int?

    package init(records: Int? = nil, bytes: Int? = nil) {
        self.records = records
        self.bytes = bytes
    }
}

/// Keeps to a pace: a token bucket that may be overdrawn by one slice, and is then empty until that is paid off. A pure value.
///
///     level(t) = min(burst, level(t₀) + rate × (t − t₀))      burst = rate × 0.1 s      open while level > 0
///
/// | rate 5000/s | level | open again |
/// |---|---|---|
/// | at the start | 500 | now |
/// | 500 handed on at 0 s | 0 | a moment after 0 s |
/// | 4000 handed on at 0.1 s | -3500 | after 0.8 s |
///
/// So over any time t at most rate × (t + 0.1 s) and one slice more are handed on.
struct PaceGate: Hashable, Sendable {
    private struct Bucket: Hashable {
        /// Tokens a second.
        let rate: Double
        var level: Double
        var at: Uptime

        init(rate: Int, at: Uptime) {
            self.rate = Double(rate)
            self.at = at
            level = PaceGate.burstSeconds * Double(rate)
        }

        func level(at now: Uptime) -> Double { min(PaceGate.burstSeconds * rate, level + rate * max(0, (now - at).seconds)) }

        /// - Returns: `now` when it is open.
        func opens(from now: Uptime) -> Uptime {
            let level = level(at: now)
            return level > 0 ? now : now + .nanoseconds(Int64((-level / rate * 1e9).rounded(.up)) + 1)
        }

        mutating func take(_ count: Int, at now: Uptime) {
            level = level(at: now) - Double(count)
            at = max(at, now)
        }
    }

    private static let burstSeconds = 0.1
    private var records: Bucket?
    private var bytes: Bucket?

    init(_ pace: Pace?, now: Uptime) {
        records = pace?.records.map { Bucket(rate: $0, at: now) }
        bytes = pace?.bytes.map { Bucket(rate: $0, at: now) }
    }

    /// When backlog may be handed on again: `now` when it may.
    func opens(from now: Uptime) -> Uptime {
        max(records?.opens(from: now) ?? now, bytes?.opens(from: now) ?? now)
    }

    var countsBytes: Bool { bytes != nil }

    mutating func take(records count: Int, bytes size: Int, at now: Uptime) {
        records?.take(count, at: now)
        bytes?.take(size, at: now)
    }
}
