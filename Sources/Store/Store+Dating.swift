import Host
import Metering

/// A range as it may leave the box: with the times it has, not with those of a clock nobody had set.
package enum Dating: Hashable, Sendable {
    /// - Parameter estimated: seqs whose time is only the earliest it can have been.
    case dated(JournalSlice, estimated: Set<Int64>)
    /// Some polls have no date yet, and may get one when the clock is synchronised: ask again at this time, or after a commit.
    case hold(until: Uptime)
}

extension Store {
    /// Dates the polls of a range that an output was offered.
    ///
    /// What was read before the first synchronisation is dated back from it. While that has not come, polls dated before 2020 are held, but
    /// no longer than `undatedHold` after they were read, and while fewer than `undatedPolls` wait. After that, and when no
    /// synchronisation can date them any more, they get the earliest time they can have been read at, and the clock letter `R`.
    ///
    /// - Throws: `.io`, `.corrupt`, `.closed`.
    package func date(_ slice: JournalSlice) throws(StoreError) -> Dating {
        guard slice.polls.contains(where: { $0.poll.clock != .synchronized }) else { return .dated(slice, estimated: []) }
        let corrections = try knownCorrections()
        var slice = slice
        slice.polls = slice.polls.map { stored in corrections.reduce(stored) { $1.corrected($0) } }
        let undated = slice.polls.filter { $0.poll.time < Store.earliestDate }
        guard let oldest = undated.first, !limits.sendsUndated else { return .dated(slice, estimated: []) }
        let now = time.uptime()
        let until = oldest.poll.uptime + limits.undatedHold
        if now < until, oldest.poll.uptime <= now, oldest.seq >= (try firstSeqOfBoot()), books.lastSeq - oldest.seq < limits.undatedPolls {
            return .hold(until: min(until, now + StoreLimits.datingWait))
        }
        let floor = try earliestTime(before: slice.first, readAt: slice.polls.first?.poll.uptime ?? oldest.poll.uptime)
        slice.polls = slice.polls.map { stored in
            guard stored.poll.time < Store.earliestDate else { return stored }
            var dated = stored
            dated.poll.time = floor.advanced(by: .milliseconds(stored.poll.uptime.nanoseconds / 1_000_000))
            dated.poll.clock = .relative
            return dated
        }
        return .dated(slice, estimated: Set(undated.map(\.seq)))
    }

    /// 2020-01-01T00:00:00Z: no meterd ran before, so an earlier date is that of a clock that was never set.
    package static let earliestDate = Timestamp(milliseconds: 1_577_836_800_000)

    func knownCorrections() throws(StoreError) -> [TimeCorrection] {
        if let corrections { return corrections }
        let read = try timeCorrections()
        corrections = read
        return read
    }

    /// A synchronisation of this start of the machine dates polls from here on.
    private func firstSeqOfBoot() throws(StoreError) -> Int64 {
        if let bootSeq { return bootSeq }
        let found =
            try opened().integer(
                "SELECT min(first_seq) FROM run WHERE id = ?1 OR (boot <> '' AND boot = (SELECT boot FROM run WHERE id = ?1))",
                .integer(run))
            ?? openedAt + 1
        bootSeq = found
        return found
    }

    /// The newest time that the clock showed before a poll, which was read later. Within a run the clock rises, so the last chunk of each tells,
    /// and where it was set back to a date that is none, what it was set back from; no other chunk is looked at.
    private func earliestTime(before seq: Int64, readAt uptime: Uptime) throws(StoreError) -> Timestamp {
        let newest = try opened().integer(
            """
            SELECT max(shown) FROM (
                SELECT (SELECT last_time FROM chunk WHERE chunk.first_seq < run.first_seq ORDER BY chunk.first_seq DESC LIMIT 1) AS shown
                FROM run WHERE run.first_seq <= ?1
                UNION ALL
                SELECT (SELECT last_time FROM chunk WHERE first_seq < ?1 AND last_seq < ?1 ORDER BY first_seq DESC LIMIT 1)
                UNION ALL
                SELECT wall - step FROM event WHERE kind = 'clock_step' AND step < 0 AND wall < ?3
                AND (event.run, event.uptime) <= (SELECT max(run.id), ?2 FROM run WHERE run.first_seq <= ?1))
            """, .integer(seq), .integer(uptime.nanoseconds), .integer(Store.earliestDate.milliseconds))
        return max(Store.earliestDate, Timestamp(milliseconds: newest ?? 0))
    }
}

extension StoreLimits {
    /// The longest that an output waits for a date without asking again.
    static let datingWait: Duration = .seconds(30)
}
