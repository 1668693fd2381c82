import Metering
import NIOCore

/// How much of the local API one listener gives away.
package struct LocalAPILimits: Hashable, Sendable {
    /// Connections at a time; more wait in the kernel's queue.
    package var connections: Int
    /// Requests that a caller may make at once, and each second after that.
    package var burst: Double
    package var perSecond: Double
    /// From the first byte of a request to the end of its head.
    package var headTime: Duration
    /// A connection without a request is closed after this.
    package var idleTime: Duration
    /// An answer of which the caller takes nothing for so long is given up.
    package var stallTime: Duration

    /// A scan asks hundreds of times in a row, and a person may look at an export page by page.
    package static let socket = LocalAPILimits(
        connections: 32, burst: 400, perSecond: 200, headTime: .seconds(10), idleTime: .seconds(60), stallTime: .seconds(600))
    package static let tcp = LocalAPILimits(
        connections: 16, burst: 40, perSecond: 20, headTime: .seconds(10), idleTime: .seconds(60), stallTime: .seconds(60))

    package init(
        connections: Int, burst: Double, perSecond: Double, headTime: Duration, idleTime: Duration, stallTime: Duration
    ) {
        self.connections = connections
        self.burst = burst
        self.perSecond = perSecond
        self.headTime = headTime
        self.idleTime = idleTime
        self.stallTime = stallTime
    }
}

/// Who may ask how often: a bucket of requests for each caller, filled steadily up to its brim. Pure.
///
///     burst 40, 20 a second:  40 at once, then one each 50 ms
package struct RequestAllowance: Sendable {
    /// Callers that are remembered; the one that has used least is forgotten for a new one, which begins with a full bucket as well.
    package static let callersLimit = 256

    private struct Bucket {
        var level: Double
        var at: Uptime
    }

    private let burst: Double
    private let perSecond: Double
    private var buckets: [String: Bucket] = [:]

    package init(burst: Double, perSecond: Double) {
        self.burst = burst
        self.perSecond = perSecond
    }

    /// Takes one request from the caller's bucket. Returns nil when it may go on, else how long until it may.
    package mutating func take(_ caller: String, at now: Uptime) -> Duration? {
        var bucket = buckets[caller] ?? Bucket(level: burst, at: now)
        bucket.level = min(burst, bucket.level + (now - bucket.at).seconds * perSecond)
        bucket.at = now
        let isEnough = bucket.level >= 1
        if isEnough { bucket.level -= 1 }
        if buckets[caller] == nil, buckets.count >= RequestAllowance.callersLimit { forgetOne(now) }
        buckets[caller] = bucket
        return isEnough ? nil : .milliseconds(Int64(((1 - bucket.level) / perSecond * 1000).rounded(.up)))
    }

    package var callers: Int { buckets.count }

    private mutating func forgetOne(_ now: Uptime) {
        let fullest = buckets.max { a, b in level(a.value, now) < level(b.value, now) }
        if let fullest { buckets.removeValue(forKey: fullest.key) }
    }

    private func level(_ bucket: Bucket, _ now: Uptime) -> Double { min(burst, bucket.level + (now - bucket.at).seconds * perSecond) }
}
