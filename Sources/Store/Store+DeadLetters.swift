import Metering

/// A rejected poll, kept with the receiver's answer.
package struct DeadLetter: Hashable, Sendable {
    package var seq: Int64
    package var reason: String
    /// When it was rejected.
    package var time: Timestamp
    /// Nil when the poll was no longer in the journal, or its copy cannot be read.
    package var poll: Poll?
    /// It is to be handed on again.
    package var isReplaying = false
}

extension Store {
    /// - Parameter limit: the first so many of them, by seq.
    /// - Throws: `.misuse` for an unknown output; `.io`, `.corrupt`, `.closed`.
    ///   Those of the last moments are not among them before the next commit, and those just taken still are.
    package func deadLetters(output name: String, from seq: Int64 = 0, limit: Int) throws(StoreError) -> [DeadLetter] {
        if !isStarted { _ = try opened() }
        guard let outbox = outboxes[name] else { throw StoreError(.misuse, "there is no output \(name)") }
        let statement = try opened().statement(
            "SELECT seq, reason, rejected, body, replay FROM dead_letter WHERE output = ? AND seq >= ? ORDER BY seq LIMIT ?")
        defer { statement.reset() }
        try statement.bind([.integer(outbox.id), .integer(seq), SQLValue(limit)])
        var found: [DeadLetter] = []
        while try statement.step() {
            let body = statement.blob(3)
            let poll = body.isEmpty ? nil : try? ChunkDecoder.decode(body).first?.poll
            found.append(
                DeadLetter(
                    seq: statement.integer(0), reason: statement.text(1), time: Timestamp(milliseconds: statement.integer(2)),
                    poll: poll, isReplaying: statement.integer(4) != 0))
        }
        return found
    }

    /// Takes the poll's copy now, while retention has not had it.
    func deadLetter(_ rejection: Rejection, of output: Int64) throws(StoreError) -> PendingDeadLetter {
        var letter = PendingDeadLetter(
            output: output, seq: rejection.seq, reason: String(rejection.reason.prefix(StoreLimits.reasonCharacters)),
            rejected: time.wall())
        let chunk = try summaries(
            "\(Store.summaryColumns) WHERE first_seq <= ?1 AND last_seq >= ?1 ORDER BY first_seq DESC LIMIT 1", [.integer(rejection.seq)])
        if let chunk = chunk.first, let polls = try decoded(chunk) {
            let index = Int(rejection.seq - chunk.firstSeq)
            if polls.polls.indices.contains(index) { letter.body = ChunkEncoder.encode([polls.polls[index]]) }
            letter.run = polls.run
        }
        return letter
    }

    /// The dead letters of a range that came again after a rewind. That of a poll which is no longer kept, and so did not come again, is not
    /// among them.
    func letters(of outbox: Outbox, in range: ClosedRange<Int64>) throws(StoreError) -> [Int64] {
        guard outbox.deadLetters > 0 else { return [] }
        var found: [Int64] = []
        do {
            let statement = try opened().statement("SELECT seq FROM dead_letter WHERE output = ? AND seq BETWEEN ? AND ? ORDER BY seq")
            defer { statement.reset() }
            try statement.bind([.integer(outbox.id), .integer(range.lowerBound), .integer(range.upperBound)])
            while try statement.step() { found.append(statement.integer(0)) }
        } catch {
            fail(error)
            // A letter that cannot be read stays; what was handed on is settled all the same.
            guard error.code == .corrupt else { throw error }
            return []
        }
        guard !found.isEmpty else { return [] }
        let kept = Set(try polls(in: range).map(\.seq))
        return found.filter { kept.contains($0) }
    }

    func make(_ change: DeadLetterChange, _ outbox: inout Outbox, _ connection: Connection) throws(StoreError) {
        switch change {
        case .keep(let letter): try keep(letter, &outbox, connection)
        case .remove(let seq, _): try remove(letter: seq, &outbox, connection)
        }
    }

    private func remove(letter seq: Int64, _ outbox: inout Outbox, _ connection: Connection) throws(StoreError) {
        let replay = try connection.integer(
            "SELECT replay FROM dead_letter WHERE output = ? AND seq = ?", .integer(outbox.id), .integer(seq))
        guard let replay else { return }
        try connection.run("DELETE FROM dead_letter WHERE output = ? AND seq = ?", .integer(outbox.id), .integer(seq))
        outbox.deadLetters -= 1
        if replay != 0 { outbox.replays -= 1 }
    }

    /// Writes a dead letter; over the limit the oldest goes and is counted.
    private func keep(_ letter: PendingDeadLetter, _ outbox: inout Outbox, _ connection: Connection) throws(StoreError) {
        let known = try connection.integer(
            "SELECT 1 FROM dead_letter WHERE output = ? AND seq = ?", .integer(letter.output), .integer(letter.seq))
        guard known == nil else { return }
        try connection.run(
            "INSERT INTO dead_letter (output, seq, reason, rejected, run, body) VALUES (?, ?, ?, ?, ?, ?)", .integer(letter.output),
            .integer(letter.seq), .text(letter.reason), .integer(letter.rejected.milliseconds), SQLValue(letter.run),
            letter.body.map { .blob($0) } ?? .null)
        outbox.deadLetters += 1
        while outbox.deadLetters > max(0, limits.deadLetters) {
            let wasReplaying = try connection.integer(
                "SELECT replay FROM dead_letter WHERE output = ? ORDER BY seq LIMIT 1", .integer(letter.output))
            if wasReplaying == 1 { outbox.replays -= 1 }
            try connection.run(
                "DELETE FROM dead_letter WHERE output = ?1 AND seq = (SELECT min(seq) FROM dead_letter WHERE output = ?1)",
                .integer(letter.output))
            outbox.deadLetters -= 1
            outbox.deadLettersDropped += 1
        }
    }
}

extension StoreLimits {
    /// Characters kept of a receiver's answer.
    static let reasonCharacters = 1000
}
