/// Which seqs of a journal have arrived, as runs: small as long as they arrive mostly in order.
struct SeqSet {
    /// Sorted, apart from each other by at least one.
    private(set) var runs: [ClosedRange<Int64>] = []
    private(set) var count: Int64 = 0

    var first: Int64? { runs.first?.lowerBound }
    var last: Int64? { runs.last?.upperBound }
    /// Seqs between the first and the last that are not there.
    var gaps: Int64 {
        guard let first, let last else { return 0 }
        return last - first + 1 - count
    }

    /// False when it is there already.
    mutating func insert(_ seq: Int64) -> Bool {
        let after = index(after: seq)  // the first run that starts beyond seq
        if after > 0, runs[after - 1].contains(seq) { return false }
        count += 1
        let joinsLeft = after > 0 && runs[after - 1].upperBound == seq - 1
        let joinsRight = after < runs.count && runs[after].lowerBound == seq + 1
        switch (joinsLeft, joinsRight) {
        case (true, true):
            runs[after - 1] = runs[after - 1].lowerBound...runs[after].upperBound
            runs.remove(at: after)
        case (true, false): runs[after - 1] = runs[after - 1].lowerBound...seq
        case (false, true): runs[after] = seq...runs[after].upperBound
        case (false, false): runs.insert(seq...seq, at: after)
        }
        return true
    }

    private func index(after seq: Int64) -> Int {
        var (low, high) = (0, runs.count)
        while low < high {
            let middle = (low + high) / 2
            if runs[middle].lowerBound <= seq { low = middle + 1 } else { high = middle }
        }
        return low
    }
}
