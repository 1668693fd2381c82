import Metering

/// Polls that no output will get any more, why, and from when: never silent.
package struct Loss: Hashable, Sendable {
    package enum Cause: String, Hashable, Sendable, CaseIterable {
        /// They waited in memory for a commit that did not come, and were pushed out by newer ones. They never had a seq.
        case notCommitted = "not_committed"
        /// They were not yet handed on when the size limit forced them out.
        case sizeLimit = "size_limit"
        /// They were not yet handed on when a full disk forced them out, for newer ones would have been lost otherwise.
        case diskFull = "disk_full"
        /// The chunk that held them cannot be read.
        case damaged = "damaged"
    }

    package var cause: Cause
    /// Nil for `notCommitted`.
    package var seqs: ClosedRange<Int64>?
    package var polls: Int
    package var readings: Int
    package var firstTime: Timestamp
    package var lastTime: Timestamp

    package init(
        cause: Cause, seqs: ClosedRange<Int64>? = nil, polls: Int, readings: Int, firstTime: Timestamp, lastTime: Timestamp
    ) {
        self.cause = cause
        self.seqs = seqs
        self.polls = polls
        self.readings = readings
        self.firstTime = firstTime
        self.lastTime = lastTime
    }

    /// One record of both.
    func merged(with other: Loss) -> Loss {
        var both = self
        if let a = seqs, let b = other.seqs { both.seqs = min(a.lowerBound, b.lowerBound)...max(a.upperBound, b.upperBound) }
        both.polls += other.polls
        both.readings += other.readings
        both.firstTime = min(firstTime, other.firstTime)
        both.lastTime = max(lastTime, other.lastTime)
        return both
    }

    /// Its times, and those of others.
    func times(and others: ClosedRange<Timestamp>?) -> ClosedRange<Timestamp> {
        let own = min(firstTime, lastTime)...max(firstTime, lastTime)
        guard let others else { return own }
        return min(own.lowerBound, others.lowerBound)...max(own.upperBound, others.upperBound)
    }

    /// Whether `other` goes on where this one ends, so that one row tells of both.
    func isContinued(by other: Loss) -> Bool {
        guard cause == other.cause else { return false }
        guard let seqs, let next = other.seqs else { return seqs == nil && other.seqs == nil }
        return next.lowerBound == seqs.upperBound + 1
    }
}
