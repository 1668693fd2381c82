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
    ///   Those of the last moments are not among them before the next commit.
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

    /// Writes a dead letter; over the limit the oldest goes and is counted.
    func keep(_ letter: PendingDeadLetter, _ outbox: inout Outbox, _ connection: Connection) throws(StoreError) {
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
