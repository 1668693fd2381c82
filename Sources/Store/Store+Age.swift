import Host
import Metering

/// How old a chunk is, whatever the wall clock said when it was read: one that was never set makes nothing old, and one that was far ahead
/// keeps nothing for ever.
extension Store {
    /// The latest that anything in the chunk can have been read at; nil when nothing tells yet.
    ///
    /// - Parameters:
    ///   - now: what a clock that is known to be right shows.
    ///   - uptime: at the same moment.
    func readBy(_ chunk: ChunkSummary, now: Timestamp, uptime: Uptime) throws(StoreError) -> Timestamp? {
        if chunk.lastTime <= now, try isDatedRight(chunk) { return remember(chunk) }
        let polls = try decoded(chunk)?.polls.map(\.poll) ?? []
        if let newest = polls.map(\.uptime).max() {
            if chunk.lastTime <= now, polls.allSatisfy({ $0.clock == .synchronized }) { return remember(chunk) }
            // The clock that never steps tells within one start of the machine.
            if try isOfThisBoot(chunk.run) { return min(now, now.advanced(by: newest - uptime)) }
            if let known = try knownCorrections().first(where: { $0.seqs.contains(chunk.firstSeq) }) {
                let time = Timestamp(milliseconds: newest.nanoseconds / 1_000_000 + known.offsetMilliseconds)
                if time <= now { return time }
            }
        }
        // It was read before whatever came later: at the latest when a later run knew the time.
        return try opened().integer(
            """
            SELECT wall FROM event WHERE kind = 'clock_synchronized' AND run > ? AND wall BETWEEN ? AND ? ORDER BY id LIMIT 1
            """, .integer(chunk.run), .integer(Store.earliestDate.milliseconds), .integer(now.milliseconds)
        ).map { Timestamp(milliseconds: $0) }
    }

    /// Whether its times are known to be right without a look into it: the clock was right when its run began, or in an earlier chunk of the
    /// run, and has not been set back since.
    private func isDatedRight(_ chunk: ChunkSummary) throws(StoreError) -> Bool {
        if datedRight?.run != chunk.run {
            let synchronized = try opened().integer(
                """
                SELECT event.wall FROM event JOIN run ON run.id = event.run
                WHERE run.id = ? AND event.kind = 'clock_synchronized' AND event.uptime <= run.opened_uptime
                """, .integer(chunk.run))
            datedRight = synchronized.map { (chunk.run, Timestamp(milliseconds: $0)) }
        }
        guard let datedRight, datedRight.run == chunk.run else { return false }
        return chunk.firstTime >= datedRight.time.advanced(by: .milliseconds(-ClockWatch.stepBound))
    }

    private func remember(_ chunk: ChunkSummary) -> Timestamp {
        datedRight = (chunk.run, chunk.lastTime)
        return chunk.lastTime
    }

    private func isOfThisBoot(_ other: Int64) throws(StoreError) -> Bool {
        if other == run { return true }
        return try opened().integer(
            "SELECT count(*) FROM run WHERE id = ?1 AND boot <> '' AND boot = (SELECT boot FROM run WHERE id = ?2)", .integer(other),
            .integer(run)) == 1
    }
}
