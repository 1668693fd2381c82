import Metering

/// How long to wait before the next attempt. Full jitter above a floor, so that 300 gateways do not come back in step after an outage.
///
///     ceiling(n) = min(2ⁿ s, 300 s)             n = attempts that have failed in a row, from 1
///     delay(n)   = 1 s + chance × (ceiling(n) − 1 s)
///
/// | n | 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9 and on |
/// |---|---|---|---|---|---|---|---|---|---|
/// | ceiling, s | 2 | 4 | 8 | 16 | 32 | 64 | 128 | 256 | 300 |
/// | delay at chance 0, s | 1 | 1 | 1 | 1 | 1 | 1 | 1 | 1 | 1 |
/// | delay at chance 0.5, s | 1.5 | 2.5 | 4.5 | 8.5 | 16.5 | 32.5 | 64.5 | 128.5 | 150.5 |
package enum Backoff {
    package static let floor: Duration = .seconds(1)
    package static let ceiling: Duration = .seconds(300)
    /// A receiver that asks for longer is asked again after this.
    package static let retryAfterLimit: Duration = .seconds(3600)

    /// - Parameters:
    ///   - attempt: failed attempts in a row, 1 or more.
    ///   - chance: a fresh random number, 0 ..< 1.
    package static func delay(attempt: Int, chance: Double) -> Duration {
        let top = attempt < 9 ? min(Duration.seconds(1 << max(attempt, 1)), ceiling) : ceiling
        return floor + .nanoseconds(Int64(chance * Double((top - floor).nanoseconds)))
    }

    /// What the receiver asked for, never less: 60 s gives 60 to 66 s. At most an hour and a tenth, at least the floor.
    package static func delay(retryAfter: Duration, chance: Double) -> Duration {
        let asked = min(max(retryAfter, floor), retryAfterLimit)
        return asked + .nanoseconds(Int64(chance * Double(asked.nanoseconds) / 10))
    }
}
