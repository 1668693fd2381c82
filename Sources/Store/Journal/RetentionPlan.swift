import Metering

/// What is known of a chunk without its body.
struct ChunkSummary: Hashable, Sendable {
    var firstSeq: Int64
    var lastSeq: Int64
    var polls: Int
    var readings: Int
    var firstTime: Timestamp
    var lastTime: Timestamp
    var bytes: Int
    /// The run that kept it.
    var run: Int64 = 0
}

/// Which of the oldest chunks go. Sent ones go by age or size; unsent ones only by size, and then they are a loss.
struct RetentionPlan: Hashable, Sendable {
    var retention: Duration
    var sizeLimit: Int

    struct Removal: Hashable, Sendable {
        var chunk: ChunkSummary
        /// Some output has not had all of it.
        var isLoss: Bool
    }

    /// - Parameters:
    ///   - oldest: the oldest chunks, in order of seq. What is sent comes before what is not, so this order takes sent ones first.
    ///   - sentThrough: every output has had all up to here.
    ///   - now: nil while the clock is not known to be right: a wrong clock must not make polls old.
    ///   - readBy: the latest that anything in a chunk can have been read at; nil when nothing tells, then it is not old. Asked for what may
    ///     go by age alone.
    func removals<Failure: Error>(
        oldest: [ChunkSummary], usedBytes: Int, sentThrough: Int64, now: Timestamp?,
        readBy: (ChunkSummary) throws(Failure) -> Timestamp?
    ) throws(Failure) -> [Removal] {
        var used = usedBytes
        var removals: [Removal] = []
        for chunk in oldest {
            let isSent = chunk.lastSeq <= sentThrough
            if used <= sizeLimit {
                guard isSent, let now, let time = try readBy(chunk), time < now.advanced(by: .zero - retention) else { break }
            }
            removals.append(Removal(chunk: chunk, isLoss: !isSent))
            used -= chunk.bytes
        }
        return removals
    }
}
