import Host
import Metering

extension Store {
    /// Removes what the plan says, as part of a commit.
    func retain(_ books: inout Books, _ connection: Connection) throws(StoreError) {
        let now = time.uptime()
        let overSize = books.usedBytes > limits.sizeLimit
        let isDue = lastRetention.map { now - $0 >= StoreLimits.retentionInterval } ?? true
        guard overSize || isDue else { return }
        lastRetention = now
        let oldest = try summaries("\(Store.summaryColumns) ORDER BY first_seq LIMIT \(StoreLimits.removalsPerCommit)", [])
        let plan = RetentionPlan(retention: limits.retention, sizeLimit: limits.sizeLimit)
        let wall = time.clockState().quality == .synchronized ? time.wall() : nil
        let removals = try plan.removals(
            oldest: oldest, usedBytes: books.usedBytes, sentThrough: sentThrough, now: wall
        ) { chunk throws(StoreError) in try wall.flatMap { wall throws(StoreError) in try readBy(chunk, now: wall, uptime: now) } }
        try remove(removals, cause: .sizeLimit, &books, connection)
        restoreBallast()
    }

    func remove(_ removals: [RetentionPlan.Removal], cause: Loss.Cause, _ books: inout Books, _ connection: Connection) throws(StoreError) {
        let owing = activeOutputs.compactMap { outboxes[$0] }
        for removal in removals {
            if removal.isLoss {
                var loss = try loss(of: removal.chunk, owing: owing)
                loss.cause = cause
                try record(loss, &books, connection)
            }
            try connection.run("DELETE FROM chunk WHERE first_seq = ?", .integer(removal.chunk.firstSeq))
            books.polls -= removal.chunk.polls
            books.readings -= removal.chunk.readings
        }
        books.firstSeq = try connection.integer("SELECT min(first_seq) FROM chunk") ?? books.lastSeq + 1
        if !removals.isEmpty {
            corrections = nil
            try connection.run("DELETE FROM run WHERE id < coalesce((SELECT run FROM chunk ORDER BY first_seq LIMIT 1), ?)", .integer(run))
            // A sync of a later run of the same start of the machine dates earlier ones; of runs that are gone nothing is left to date.
            try connection.run("DELETE FROM event WHERE run < (SELECT min(id) FROM run)")
        }
    }

    /// What some output has not had of a chunk, counted to the reading.
    private func loss(of chunk: ChunkSummary, owing: [Outbox]) throws(StoreError) -> Loss {
        var loss = Loss(
            cause: .sizeLimit, seqs: chunk.firstSeq...chunk.lastSeq, polls: chunk.polls, readings: chunk.readings,
            firstTime: chunk.firstTime, lastTime: chunk.lastTime)
        if damagedChunks.contains(chunk.firstSeq) {
            // Counted when the damage was met.
            loss.polls = 0
            loss.readings = 0
        } else if !owing.contains(where: { $0.owesAll(chunk.firstSeq...chunk.lastSeq) }), let polls = try decoded(chunk)?.polls {
            let unsent = polls.enumerated().filter { index, _ in
                owing.contains { !$0.hasSettled(chunk.firstSeq + Int64(index)) }
            }
            let times = unsent.map(\.element.poll.time)
            if let first = unsent.first, let last = unsent.last {
                loss.seqs = chunk.firstSeq + Int64(first.offset)...chunk.firstSeq + Int64(last.offset)
            }
            loss.polls = unsent.count
            loss.readings = unsent.reduce(0) { $0 + $1.element.readings }
            loss.firstTime = times.min() ?? chunk.firstTime
            loss.lastTime = times.max() ?? chunk.lastTime
        }
        return loss
    }

    /// Writes a loss down: into the newest row where it goes on from there, else as a row of its own; past the limit of rows always
    /// into the newest of its cause.
    func record(_ loss: Loss, _ books: inout Books, _ connection: Connection) throws(StoreError) {
        guard loss.polls > 0 else { return }
        books.lostPolls += loss.polls
        books.lostReadings += loss.readings
        books.lostTimes = loss.times(and: books.lostTimes)
        let rows = try connection.integer("SELECT count(*) FROM loss") ?? 0
        if let (id, newest) = try newestLoss(of: loss.cause, connection), newest.isContinued(by: loss) || rows >= StoreLimits.lossRows {
            try write(newest.merged(with: loss), id: id, connection)
        } else {
            try write(loss, id: nil, connection)
        }
    }

    private func newestLoss(of cause: Loss.Cause, _ connection: Connection) throws(StoreError) -> (Int64, Loss)? {
        let statement = try connection.statement(
            """
            SELECT id, first_seq, last_seq, polls, readings, first_time, last_time FROM loss WHERE cause = ? ORDER BY id DESC LIMIT 1
            """)
        defer { statement.reset() }
        try statement.bind([.text(cause.rawValue)])
        guard try statement.step() else { return nil }
        var seqs: ClosedRange<Int64>?
        if let first = statement.optionalInteger(1), let last = statement.optionalInteger(2), first <= last { seqs = first...last }
        let loss = Loss(
            cause: cause, seqs: seqs, polls: Int(statement.integer(3)), readings: Int(statement.integer(4)),
            firstTime: Timestamp(milliseconds: statement.integer(5)), lastTime: Timestamp(milliseconds: statement.integer(6)))
        return (statement.integer(0), loss)
    }

    private func write(_ loss: Loss, id: Int64?, _ connection: Connection) throws(StoreError) {
        try connection.run(
            "INSERT OR REPLACE INTO loss VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", SQLValue(id), .text(loss.cause.rawValue),
            SQLValue(loss.seqs?.lowerBound), SQLValue(loss.seqs?.upperBound), SQLValue(loss.polls), SQLValue(loss.readings),
            .integer(loss.firstTime.milliseconds), .integer(loss.lastTime.milliseconds), .integer(time.wall().milliseconds))
    }
}
