import Metering

/// The share of the last minute in which a request was in flight: twelve buckets of five seconds.
struct Utilization: Sendable {
    static let bucketSeconds: Int64 = 5
    static let bucketCount = 12

    private let start: Uptime
    private var busy = [Int64](repeating: 0, count: Utilization.bucketCount)
    private var newest: Int64

    init(start: Uptime) {
        self.start = start
        newest = Utilization.bucket(of: start)
    }

    private static func bucket(of time: Uptime) -> Int64 { time.nanoseconds / (bucketSeconds * 1_000_000_000) }

    /// A visit; it is counted where it ended.
    mutating func add(from begin: Uptime, to end: Uptime) {
        turn(to: end)
        busy[Int(newest) % Utilization.bucketCount] += max(0, (end - begin).nanoseconds)
    }

    /// 0 ... 1, of the time since start or of the last minute, whichever is shorter.
    mutating func value(at now: Uptime) -> Double {
        turn(to: now)
        let window = min((now - start).seconds, Double(Utilization.bucketSeconds) * Double(Utilization.bucketCount))
        guard window > 0 else { return 0 }
        return min(1, Double(busy.reduce(0, +)) / 1e9 / window)
    }

    private mutating func turn(to now: Uptime) {
        let current = max(newest, Utilization.bucket(of: now))
        for step in 0..<min(current - newest, Int64(Utilization.bucketCount)) {
            busy[Int((current - step) % Int64(Utilization.bucketCount))] = 0
        }
        newest = current
    }
}
