import Host
import Metering

/// Where a commit put the polls.
package struct CommitReceipt: Hashable, Sendable {
    /// The seq of the first poll; `last` + 1 when the commit carried settlements only.
    package var first: Int64
    package var last: Int64
    package var at: Uptime
}

/// What a commit will have made of the store once it is known to be in the file.
struct StagedCommit {
    var books: Books
    /// Polls it holds.
    var count: Int
    var outboxes: [String: Outbox] = [:]
    /// Those of them that the commit forked.
    var forked: Set<String> = []
    var deadLetterCount: Int
    var lossCount: Int
    var clockEventCount = 0
    /// It removes for a full disk, and keeps nothing.
    var isRemoval = false
}

extension Store {
    /// Keeps polls, and with them every settlement, dead letter and loss that waits, in one flushed transaction.
    ///
    /// After a throw nothing was kept for sure: call again with the same polls first. What the failed commit kept after all is not kept
    /// twice.
    ///
    /// - Parameter forcing: polls will be lost if these are not kept: on a full disk the oldest unsent ones may go for them.
    /// - Returns: nil when there was nothing to do.
    /// - Throws: `.full` and `.io`, which heal; `.corrupt`, which a restart heals; `.closed`.
    package func commit(_ polls: [CountedPoll], forcing: Bool = false) throws(StoreError) -> CommitReceipt? {
        _ = try opened()
        try keepPromises()
        let connection = try opened()
        let already = min(keptUnknown, polls.count)
        let fresh = Array(polls[already...])
        watchClock()
        guard !fresh.isEmpty || isDirty || !losses.isEmpty || !clockEvents.isEmpty else {
            guard already > 0 else { return nil }
            keptUnknown -= already
            return receipt(for: already)
        }
        var staged: StagedCommit?
        let bytes = fresh.reduce(0) { $0 + PollRing.cost(of: $1) }
        do throws(StoreError) {
            try keepWithinRoom(bytes, forcing: forcing, connection)
            do throws(StoreError) {
                try connection.transaction { () throws(StoreError) in staged = try write(fresh, connection) }
            } catch  where error.code == .full {
                staged = nil
                guard try makeRoom(bytes, forcing: forcing) else { throw error }
                let connection = try opened()
                try connection.transaction { () throws(StoreError) in staged = try write(fresh, connection) }
            }
        } catch {
            fail(error)
            // Or what removing for it left in doubt, which stands there already.
            if error.code == .io, let staged { inDoubt = staged }
            throw error
        }
        if let staged { adopt(staged) }
        keptUnknown -= already
        return receipt(for: already + fresh.count)
    }

    /// Counts polls that will never be committed; the next commit writes it down.
    package func note(_ loss: Loss) {
        if let last = losses.last, last.isContinued(by: loss) {
            losses[losses.count - 1] = last.merged(with: loss)
        } else {
            losses.append(loss)
        }
    }

    /// Losses on record, oldest first.
    package func recordedLosses() throws(StoreError) -> [Loss] {
        let statement = try opened().statement(
            "SELECT cause, first_seq, last_seq, polls, readings, first_time, last_time FROM loss ORDER BY id")
        defer { statement.reset() }
        var found: [Loss] = []
        while try statement.step() {
            guard let cause = Loss.Cause(rawValue: statement.text(0)) else { continue }
            var seqs: ClosedRange<Int64>?
            if let first = statement.optionalInteger(1), let last = statement.optionalInteger(2), first <= last { seqs = first...last }
            found.append(
                Loss(
                    cause: cause, seqs: seqs, polls: Int(statement.integer(3)), readings: Int(statement.integer(4)),
                    firstTime: Timestamp(milliseconds: statement.integer(5)), lastTime: Timestamp(milliseconds: statement.integer(6))))
        }
        return found
    }

    private func receipt(for count: Int) -> CommitReceipt {
        CommitReceipt(first: books.lastSeq - Int64(count) + 1, last: books.lastSeq, at: time.uptime())
    }

    func write(_ polls: [CountedPoll], _ connection: Connection) throws(StoreError) -> StagedCommit {
        var staged = StagedCommit(books: books, count: polls.count, deadLetterCount: letterChanges.count, lossCount: losses.count)
        staged.books.commits += 1
        try writeChunks(polls, &staged.books, connection)
        try writeOutputs(&staged, connection)
        for loss in losses { try record(loss, &staged.books, connection) }
        try writeClockEvents(clockEvents, connection)
        staged.clockEventCount = clockEvents.count
        try retain(&staged.books, connection)
        try writeBooks(staged.books, connection)
        return staged
    }

    func writeBooks(_ books: Books, _ connection: Connection) throws(StoreError) {
        try connection.run(
            "UPDATE journal SET last_seq = ?, polls = ?, readings = ?, lost_polls = ?, lost_readings = ?, commits = ?",
            .integer(books.lastSeq), SQLValue(books.polls), SQLValue(books.readings), SQLValue(books.lostPolls),
            SQLValue(books.lostReadings), .integer(books.commits))
    }

    private func writeChunks(_ polls: [CountedPoll], _ books: inout Books, _ connection: Connection) throws(StoreError) {
        var start = 0
        while start < polls.count {
            var size = Chunk.Size()
            var end = start
            while end < polls.count, !size.isFull {
                size.add(polls[end].poll)
                end += 1
            }
            let part = polls[start..<end].map { counted in
                var poll = counted.poll
                poll.entry = keptPromises[poll.entry] ?? poll.entry
                return CountedPoll(poll: poll, readings: min(max(counted.readings, 0), Int(UInt16.max)))
            }
            let times = part.map(\.poll.time.milliseconds)
            let readings = part.reduce(0) { $0 + $1.readings }
            try connection.run(
                "INSERT INTO chunk VALUES (?, ?, ?, ?, ?, ?, ?, ?)", .integer(books.lastSeq + 1),
                .integer(books.lastSeq + Int64(part.count)), .integer(run), SQLValue(part.count), SQLValue(readings),
                SQLValue(times.min()), SQLValue(times.max()), .blob(ChunkEncoder.encode(part)))
            books.lastSeq += Int64(part.count)
            books.polls += part.count
            books.readings += readings
            start = end
        }
    }

    /// Cursors, ranges that are out, horizons and dead letters, as they are at this moment.
    private func writeOutputs(_ staged: inout StagedCommit, _ connection: Connection) throws(StoreError) {
        for name in outputNames {
            guard var outbox = outboxes[name] else { continue }
            let own = letterChanges.filter { $0.output == outbox.id }
            for change in own { try make(change, &outbox, connection) }
            if outbox.commit(lastSeq: staged.books.lastSeq, forking: wantsFork(outbox)) { staged.forked.insert(name) }
            staged.outboxes[name] = outbox
            try write(outbox, connection)
        }
    }

    func write(_ outbox: Outbox, _ connection: Connection) throws(StoreError) {
        try connection.run(
            """
            UPDATE output SET cursor = ?, pending_end = ?, horizon = ?, lanes = ?, accepted = ?, rejected = ?, filtered = ?,
            dead_letters = ?, dead_letters_dropped = ?, paused = ? WHERE id = ?
            """, .integer(outbox.cursor), .integer(outbox.first.pendingEnd), .integer(outbox.first.horizon),
            .text(Lane.text(of: outbox.lanes.dropFirst())), SQLValue(outbox.accepted), SQLValue(outbox.rejected),
            SQLValue(outbox.filtered), SQLValue(outbox.deadLetters), SQLValue(outbox.deadLettersDropped),
            .integer(outbox.isPaused ? 1 : 0), .integer(outbox.id))
    }

    func adopt(_ staged: StagedCommit) {
        books = staged.books
        books.usedBytes = connection.flatMap { try? $0.usedBytes() } ?? books.usedBytes
        for (name, written) in staged.outboxes {
            outboxes[name]?.adopt(horizon: written.horizon, forked: staged.forked.contains(name))
            if staged.forked.contains(name) { noteFork(of: name, at: written.last.cursor) }
            outboxes[name]?.deadLetters = written.deadLetters
            outboxes[name]?.replays = written.replays
            outboxes[name]?.deadLettersDropped = written.deadLettersDropped
        }
        letterChanges.removeFirst(min(staged.deadLetterCount, letterChanges.count))
        losses.removeFirst(min(staged.lossCount, losses.count))
        corrections = nil
        clockEvents.removeFirst(min(staged.clockEventCount, clockEvents.count))
        isDirty =
            !letterChanges.isEmpty || staged.outboxes.contains { $0.value.lanes.map(\.cursor) != outboxes[$0.key]?.lanes.map(\.cursor) }
        if !retired.isEmpty { dropRetired(written: staged.outboxes) }
        cache.removeAll { $0.firstSeq < books.firstSeq }
        if staged.count > 0 { remember(commit: books.lastSeq, at: time.uptime()) }
        commits.advance(to: books.lastSeq)
    }

    /// What an error means for the connection.
    func fail(_ error: StoreError) {
        switch error.code {
        case .io:
            // Never carry on with a handle whose flush failed: it takes for written what the kernel has dropped.
            connection?.closeUntouched()
            connection = nil
            cache = []
        case .corrupt:
            files?.markSuspect()
            standingFault.withLock { $0 = error }
        case .inUse, .directory, .newer, .foreign, .full, .misuse, .sql, .closed: break
        }
    }
}
