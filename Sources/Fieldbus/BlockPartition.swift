import Metering

/// The cheapest way to read some runs of registers of one table with few requests.
///
/// A run is never split and never left out; a request never holds more than `limit` registers, a forbidden one, more than `maxGap`
/// unused ones in a row outside of a window, both sides of a window's border, or both sides of a cut.
struct BlockPartition {
    let table: RegisterTable
    let limit: Int
    let maxGap: Int
    /// Sorted, not overlapping: registers that the profile gives a meaning.
    let used: [Range<Int>]
    let forbidden: [Range<Int>]
    /// Inside one, unused registers may be read; no request crosses the border of one.
    let windows: [Block]
    /// No request may hold both `cut - 1` and `cut`, but for a run that does so itself.
    let cuts: Set<Int>
    let cost: BusCost

    /// True when a request of its own may hold the run.
    func allows(_ run: Range<Int>) -> Bool {
        run.count <= limit && !forbidden.contains { $0.overlaps(run) } && !windows.contains { $0.cuts(run) } && run.upperBound <= 65_536
    }

    /// Shortest path over the runs in order of address: best[i] is the cost of the first i runs.
    ///
    /// - Parameter runs: sorted by lower bound, each one allowed.
    func blocks(for runs: [Range<Int>]) -> [Block] {
        var best = [(cost: Duration.zero, from: 0, upper: 0)]
        for end in runs.indices {
            var candidate: (cost: Duration, from: Int, upper: Int)?
            var start = end
            var upper = runs[end].upperBound
            while true {
                upper = max(upper, runs[start].upperBound)
                let hull = runs[start].lowerBound..<upper
                guard start == end || hull.count <= limit else { break }
                if start == end || mayMerge(runs[start...end], hull) {
                    let words = table.isBits ? (hull.count + 15) / 16 : hull.count
                    let total = best[start].cost + cost.time(words: words)
                    if candidate.map({ total < $0.cost }) ?? true { candidate = (total, start, upper) }
                }
                guard start > 0 else { break }
                start -= 1
            }
            best.append(candidate ?? (best[end].cost, end, upper))
        }
        var blocks: [Block] = []
        var end = runs.count
        while end > 0 {
            let step = best[end]
            let lower = runs[step.from].lowerBound
            blocks.append(Block(table, UInt16(lower), count: UInt16(step.upper - lower)))
            end = step.from
        }
        return blocks.reversed()
    }

    private func mayMerge(_ runs: ArraySlice<Range<Int>>, _ hull: Range<Int>) -> Bool {
        if forbidden.contains(where: { $0.overlaps(hull) }) || windows.contains(where: { $0.cuts(hull) }) { return false }
        let inWindow = windows.contains { $0.range.overlaps(hull) }
        var reached = hull.lowerBound
        for run in runs {
            if run.lowerBound > reached {
                if !inWindow, longestUnused(in: reached..<run.lowerBound) > maxGap { return false }
                if cuts.contains(where: { reached <= $0 && $0 <= run.lowerBound }) { return false }
            } else if run.lowerBound == reached, reached > hull.lowerBound, cuts.contains(reached) {
                return false
            }
            reached = max(reached, run.upperBound)
        }
        return true
    }

    /// Registers of the range that mean nothing, counted in a row.
    func longestUnused(in gap: Range<Int>) -> Int {
        var longest = 0
        var reached = gap.lowerBound
        for range in used where range.overlaps(gap) {
            longest = max(longest, range.lowerBound - reached)
            reached = max(reached, range.upperBound)
        }
        return max(longest, gap.upperBound - reached)
    }
}

extension BlockPartition {
    /// The same registers as sorted ranges that neither overlap nor touch.
    static func union(_ ranges: [Range<Int>]) -> [Range<Int>] {
        var result: [Range<Int>] = []
        for range in ranges.sorted(by: { $0.lowerBound < $1.lowerBound }) where !range.isEmpty {
            if let last = result.last, range.lowerBound <= last.upperBound {
                result[result.count - 1] = last.lowerBound..<max(last.upperBound, range.upperBound)
            } else {
                result.append(range)
            }
        }
        return result
    }
}
