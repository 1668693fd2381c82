import Metering

/// Intervals that wait to be told. Those of a device that follow each other and say the same, as they do while nothing is read, are kept as
/// one: a hundred meters that were off for a month are a hundred runs, and not three hundred thousand intervals in memory.
package struct IntervalRuns: Sequence, Sendable {
    private var runs: [(first: Interval, count: Int)] = []

    package init() {}

    /// How many are kept.
    package var kept: Int { runs.count }

    package mutating func append(_ interval: Interval) {
        if let last = runs.indices.last, interval.polls + interval.failedPolls == 0,
            IntervalRuns.interval(runs[last].count, of: runs[last].first) == interval
        {
            runs[last].count += 1
        } else {
            runs.append((interval, 1))
        }
    }

    package func makeIterator() -> AnyIterator<Interval> {
        var (run, index) = (0, 0)
        return AnyIterator {
            guard run < runs.count else { return nil }
            defer { (run, index) = index + 1 < runs[run].count ? (run, index + 1) : (run + 1, 0) }
            return IntervalRuns.interval(index, of: runs[run].first)
        }
    }

    private static func interval(_ index: Int, of first: Interval) -> Interval {
        var interval = first
        interval.start = Timestamp(milliseconds: first.start.milliseconds + Int64(index) * Interval.milliseconds)
        return interval
    }
}
