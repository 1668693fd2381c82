import Metering

/// What a person does to an output: pause it, hand something on again, look after its dead letters. Each is in the file when the call
/// returns.
extension Store {
    /// A paused output is offered nothing, also after a restart, until it is resumed. Returns whether that changed anything.
    ///
    /// - Throws: `.misuse` for an unknown output; `.full`, `.io`, `.corrupt`, `.closed`: then nothing changed.
    @discardableResult
    package func setPaused(_ isPaused: Bool, output name: String) throws(StoreError) -> Bool {
        var (outbox, connection) = try outbox(name)
        guard outbox.isPaused != isPaused else { return false }
        outbox.isPaused = isPaused
        try write(outbox, connection) { () throws(StoreError) in
            try connection.run("UPDATE output SET paused = ? WHERE id = ?", .integer(isPaused ? 1 : 0), .integer(outbox.id))
        }
        return true
    }

    /// False for an output that is not known yet.
    package func isPaused(output name: String) -> Bool { outboxes[name]?.isPaused ?? false }

    /// Hands on again what was handed on from `seq` on; the batches are others than before, since their ranges are. Backlog from before
    /// `seq` that still waits is handed on as it would have been.
    ///
    /// - Returns: `seq` - 1, or where what is kept begins when that is later.
    /// - Throws: `.misuse` for an unknown output, and for a `seq` that the output has not come to: polls would be skipped. And as above.
    @discardableResult
    package func rewind(output name: String, to seq: Int64) throws(StoreError) -> Int64 {
        // The cursor and the dead letters that belong to it go together.
        var (outbox, connection) = try outboxWithLetters(name)
        try checkRewind(output: name, to: seq)
        let start = max(seq, books.firstSeq) - 1
        outbox.rewind(to: start)
        try write(outbox, connection) { () throws(StoreError) in try write(outbox, connection) }
        return start
    }

    /// - Throws: `.misuse` for an unknown output, and for a `seq` that it has not come to: polls would be skipped.
    package func checkRewind(output name: String, to seq: Int64) throws(StoreError) {
        let (outbox, _) = try outbox(name)
        guard seq <= outbox.liveCursor + 1 else {
            throw StoreError(
                .misuse,
                "output \(name) has come to seq \(outbox.liveCursor) and is only ever set back: going on at \(seq) would skip polls")
        }
    }

    /// The first seq whose poll was read at this time or later, as far as that is known by now; nil when none was.
    ///
    /// It is looked for in small steps, so that commits get in between.
    package nonisolated func firstSeq(since time: Timestamp) async throws(StoreError) -> Int64? {
        let corrections = try await timeCorrections()
        let state = await journalState()
        var next = state.firstSeq
        for run in try await keptRuns() {
            // What lies before a run and is of none: their rows were lost with a damaged file, and only their polls tell.
            let first = try await next < run.seqs.lowerBound ? next : lowerBound(of: run, from: time, corrections: corrections)
            next = run.seqs.upperBound + 1
            guard let first else { continue }
            if let found = try await firstSeq(in: first...run.seqs.upperBound, since: time, corrections) { return found }
        }
        return next <= state.lastSeq ? try await firstSeq(in: next...state.lastSeq, since: time, corrections) : nil
    }

    private nonisolated func firstSeq(
        in seqs: ClosedRange<Int64>, since time: Timestamp, _ corrections: [TimeCorrection]
    ) async throws(StoreError) -> Int64? {
        var seq = seqs.lowerBound - 1
        while seq < seqs.upperBound {
            let page = try await exportPage(after: seq, through: seqs.upperBound, from: time, until: nil, corrections: corrections)
            if let found = page.polls.first { return found.seq }
            seq = page.through
        }
        return nil
    }

    /// Puts dead letters back to the output, which hands them on beside its other polls; one that is accepted is no longer a dead letter.
    ///
    /// - Parameter seqs: nil for all.
    /// - Returns: how many will be handed on again. A letter without a copy of its poll stays what it is.
    @discardableResult
    package func replayDeadLetters(output name: String, seqs: [Int64]?) throws(StoreError) -> Int {
        var (outbox, connection) = try outboxWithLetters(name)
        let marked = try write(outbox, connection) { () throws(StoreError) -> Int in
            try forEach(seqs) { seq throws(StoreError) in
                try connection.run(
                    "UPDATE dead_letter SET replay = 1 WHERE output = ?1 AND (?2 IS NULL OR seq = ?2) AND body IS NOT NULL AND replay = 0",
                    .integer(outbox.id), SQLValue(seq))
                return connection.changes
            }
        }
        outbox.replays += marked
        outboxes[name] = outbox
        return marked
    }

    /// Removes dead letters for good.
    ///
    /// - Parameter seqs: nil for all.
    /// - Returns: how many there were.
    @discardableResult
    package func dropDeadLetters(output name: String, seqs: [Int64]?) throws(StoreError) -> Int {
        var (outbox, connection) = try outboxWithLetters(name)
        var replays = outbox.replays
        let dropped = try write(outbox, connection) { () throws(StoreError) -> Int in
            let count = try forEach(seqs) { seq throws(StoreError) in
                try connection.run(
                    "DELETE FROM dead_letter WHERE output = ?1 AND (?2 IS NULL OR seq = ?2)", .integer(outbox.id), SQLValue(seq))
                return connection.changes
            }
            try connection.run(
                "UPDATE output SET dead_letters = (SELECT count(*) FROM dead_letter WHERE output = output.id) WHERE id = ?",
                .integer(outbox.id))
            replays = Int(try self.count(replaysOf: outbox.id, connection))
            return count
        }
        outbox.deadLetters = max(0, outbox.deadLetters - dropped)
        outbox.replays = replays
        outboxes[name] = outbox
        return dropped
    }

    /// Dead letters that are to be handed on again: a run of consecutive seqs, so that the batch is named by what is in it.
    ///
    /// - Returns: nil when there are none.
    package func offerReplay(output name: String, records: Int) throws(StoreError) -> JournalSlice? {
        guard let outbox = outboxes[name], outbox.replays > 0, !outbox.isPaused else { return nil }
        let connection = try opened()
        var run: [StoredPoll] = []
        var unreadable: [Int64] = []
        let statement = try connection.statement(
            "SELECT seq, body FROM dead_letter WHERE output = ? AND replay <> 0 ORDER BY seq LIMIT ?")
        try statement.bind([.integer(outbox.id), SQLValue(max(1, records))])
        do {
            defer { statement.reset() }
            while try statement.step() {
                let seq = statement.integer(0)
                // Taken just now, or on its way among the polls that a rewind brings again.
                guard !letterChanges.contains(.remove(seq: seq, output: outbox.id)), isBehind(seq, outbox) else { continue }
                guard run.last.map({ $0.seq + 1 == seq }) ?? true else { break }
                guard let poll = try? ChunkDecoder.decode(statement.blob(1)).first?.poll else {
                    unreadable.append(seq)
                    continue
                }
                run.append(StoredPoll(seq: seq, poll: poll))
            }
        }
        if !unreadable.isEmpty { try settleReplay(output: name, accepted: [], rejected: unreadable.map { Rejection(seq: $0, reason: "") }) }
        guard let first = run.first, let last = run.last else { return nil }
        return JournalSlice(first: first.seq, last: last.seq, polls: run)
    }

    /// Whether nothing that the output is still to be handed comes before this seq, to a receiver that may mind their order.
    private func isBehind(_ seq: Int64, _ outbox: Outbox) -> Bool {
        requests[outbox.name]?.policy == .liveFirst ? outbox.hasSettled(seq) : seq <= outbox.cursor
    }

    /// Takes down what became of dead letters that were handed on again: accepted ones go, rejected ones stay with their new reason.
    package func settleReplay(output name: String, accepted: [Int64], rejected: [Rejection]) throws(StoreError) {
        var (outbox, connection) = try outbox(name)
        var gone = 0
        var replays = outbox.replays
        try write(outbox, connection) { () throws(StoreError) in
            for seq in accepted {
                try connection.run("DELETE FROM dead_letter WHERE output = ? AND seq = ?", .integer(outbox.id), .integer(seq))
                gone += connection.changes
            }
            for rejection in rejected {
                try connection.run(
                    """
                    UPDATE dead_letter SET replay = 0, reason = CASE ?3 WHEN '' THEN reason ELSE ?3 END, rejected = ?4
                    WHERE output = ?1 AND seq = ?2
                    """, .integer(outbox.id), .integer(rejection.seq),
                    .text(String(rejection.reason.prefix(StoreLimits.reasonCharacters))), .integer(time.wall().milliseconds))
            }
            replays = Int(try count(replaysOf: outbox.id, connection))
            outbox.deadLetters = max(0, outbox.deadLetters - gone)
            outbox.replayed(accepted: gone)
            try connection.run(
                "UPDATE output SET dead_letters = ?, accepted = ?, rejected = ? WHERE id = ?", SQLValue(outbox.deadLetters),
                SQLValue(outbox.accepted), SQLValue(outbox.rejected), .integer(outbox.id))
        }
        outbox.replays = replays
        outboxes[name] = outbox
    }

    /// What an operation that failed made of the dead letters, if it is in the file after all.
    func countLetters(_ connection: Connection) throws(StoreError) {
        for (name, outbox) in outboxes {
            outboxes[name]?.replays = Int(try count(replaysOf: outbox.id, connection))
            outboxes[name]?.deadLetters = Int(
                try connection.integer("SELECT count(*) FROM dead_letter WHERE output = ?", .integer(outbox.id)) ?? 0)
        }
    }

    private func count(replaysOf output: Int64, _ connection: Connection) throws(StoreError) -> Int64 {
        try connection.integer("SELECT count(*) FROM dead_letter WHERE output = ? AND replay <> 0", .integer(output)) ?? 0
    }

    /// The sum of what the body counts for each seq, or for all at once.
    private func forEach(_ seqs: [Int64]?, _ body: (Int64?) throws(StoreError) -> Int) throws(StoreError) -> Int {
        guard let seqs else { return try body(nil) }
        var sum = 0
        for seq in seqs { sum += try body(seq) }
        return sum
    }

    private func outbox(_ name: String) throws(StoreError) -> (Outbox, Connection) {
        let connection = try opened()
        guard let outbox = outboxes[name] else { throw StoreError(.misuse, "there is no output \(name)") }
        return (outbox, connection)
    }

    /// With every dead letter in the file.
    private func outboxWithLetters(_ name: String) throws(StoreError) -> (Outbox, Connection) {
        if !letterChanges.isEmpty { _ = try commit([]) }
        return try outbox(name)
    }

    /// Runs the body in a transaction; the outbox is what it says once it is kept.
    private func write<Result>(
        _ outbox: Outbox, _ connection: Connection, _ body: () throws(StoreError) -> Result
    ) throws(StoreError) -> Result {
        do {
            let result = try connection.transaction(body)
            outboxes[outbox.name] = outbox
            return result
        } catch {
            fail(error)
            throw error
        }
    }
}
