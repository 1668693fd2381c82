import Metering

/// What a salvage brought over.
package struct SalvageReport: Hashable, Sendable {
    package var polls = 0
    package var readings = 0
    /// Known to have been in the damaged file, and not brought over. Readings where their number is known.
    package var lostPolls = 0
    package var lostReadings = 0
    /// Seqs and cursors go on, and the journal's id, unless the log was broken. Otherwise there is another journal id, and no cursor.
    package var keepsBooks = false
    /// Outputs that go on at their cursor; others begin anew with what was brought over.
    package var cursors = 0

    package init() {}
}

extension Salvage {
    /// Writes what was found into a new file, the newest chunks first, in transactions of a bounded size.
    ///
    /// - Parameter bytes: of chunk bodies at most; older ones are lost.
    func write(to connection: Connection, bytes limit: Int, now: Timestamp) throws(StoreError) -> SalvageReport {
        var report = SalvageReport()
        report.keepsBooks = journal != nil
        report.cursors = journal != nil ? outputs.count : 0
        try connection.transaction { () throws(StoreError) in
            try writeRows(connection)
        }
        var kept: [Found] = []
        var entries: Set<Int64> = []
        var bytes = 0
        var index = chunks.count
        while index > 0, bytes < limit {
            let start = max(0, index - Salvage.chunksPerTransaction)
            try connection.transaction { () throws(StoreError) in
                for chunk in chunks[start..<index].reversed() where bytes < limit {
                    guard let (run, body) = body(of: chunk), let polls = try? ChunkDecoder.decode(body) else { continue }
                    try connection.run(
                        "INSERT INTO chunk VALUES (?, ?, ?, ?, ?, ?, ?, ?)", .integer(chunk.firstSeq), .integer(chunk.lastSeq), run,
                        SQLValue(chunk.polls), SQLValue(chunk.readings), .integer(chunk.firstTime), .integer(chunk.lastTime), .blob(body))
                    for poll in polls { entries.insert(poll.poll.entry.rawValue) }
                    kept.append(chunk)
                    bytes += body.count
                }
            }
            index = start
        }
        kept.reverse()
        let unknown = entries.filter { catalog[$0] == nil }.sorted()
        try connection.transaction { () throws(StoreError) in
            for entry in unknown { try reserve(entry, connection) }
            try writeBooks(kept, &report, connection, now: now)
        }
        return report
    }

    private func writeRows(_ connection: Connection) throws(StoreError) {
        for (rowid, values) in catalog {
            try insert("catalog", [.integer(rowid)] + values.dropFirst(), connection)
        }
        for (rowid, row) in runs { try insert("run", [.integer(rowid)] + row.values.dropFirst(), connection) }
        for (rowid, row) in events { try insert("event", [.integer(rowid)] + row.values.dropFirst(), connection) }
        for (rowid, row) in losses { try insert("loss", [.integer(rowid)] + row.values.dropFirst(), connection) }
        guard journal != nil else { return }
        for letter in deadLetters.values { try insert("dead_letter", letter.values, connection) }
        for (rowid, row) in outputs {
            var values = [.integer(rowid)] + row.values.dropFirst()
            let letters = deadLetters.keys.count { $0.output == rowid }
            values[7] = SQLValue(letters)
            try insert("output", values, connection)
        }
    }

    private func insert(_ table: String, _ values: [SQLValue], _ connection: Connection) throws(StoreError) {
        let marks = values.map { _ in "?" }.joined(separator: ", ")
        let statement = try connection.statement("INSERT OR IGNORE INTO \(table) VALUES (\(marks))")
        defer { statement.reset() }
        try statement.bind(values)
        while try statement.step() {}
    }

    /// Keeps the number of a catalog row that was not found from being given to another: polls that name it must not be decoded by that.
    private func reserve(_ entry: Int64, _ connection: Connection) throws(StoreError) {
        guard entry > 0, entry < .max else { return }
        try connection.run(
            "INSERT OR IGNORE INTO catalog VALUES (?, ?, '', 0, 'lost', 0, '', '')", .integer(entry), .blob(Array("lost \(entry)".utf8)))
    }

    private func writeBooks(
        _ kept: [Found], _ report: inout SalvageReport, _ connection: Connection, now: Timestamp
    ) throws(StoreError) {
        report.polls = kept.reduce(0) { $0 + $1.polls }
        report.readings = kept.reduce(0) { $0 + $1.readings }
        let last = max(journal?.lastSeq ?? 0, kept.last?.lastSeq ?? 0)
        let known = knownDamage
        let gaps = gaps(between: kept, through: last).filter { gap in
            !known.contains { $0.seqs.contains(gap.lowerBound) && $0.seqs.contains(gap.upperBound) }
        }
        report.lostPolls = gaps.reduce(0) { $0 + $1.count }
        if let journal { report.lostReadings = max(0, Int(journal.readings) - report.readings - known.reduce(0) { $0 + $1.readings }) }
        var readingsLeft = report.lostReadings
        for gap in gaps {
            // The sum is known, not how it spreads: each gap its share, the last the rest.
            let share = gap == gaps.last ? readingsLeft : report.lostReadings / report.lostPolls * gap.count
            readingsLeft -= share
            let before = kept.last { $0.lastSeq < gap.lowerBound }?.lastTime
            let after = kept.first { $0.firstSeq > gap.upperBound }?.firstTime
            let end = after ?? now.milliseconds
            try connection.run(
                "INSERT INTO loss VALUES (NULL, 'damaged', ?, ?, ?, ?, ?, ?, ?)", .integer(gap.lowerBound), .integer(gap.upperBound),
                SQLValue(gap.count), SQLValue(share), .integer(before ?? min(begin(of: gap), end)), .integer(end),
                .integer(now.milliseconds))
        }
        if let journal {
            try connection.run("UPDATE journal SET created = ?", .integer(journal.created))
        }
        try connection.run(
            "UPDATE journal SET last_seq = ?, polls = ?, readings = ?, lost_polls = ?, lost_readings = ?, commits = ?", .integer(last),
            SQLValue(report.polls), SQLValue(report.readings), .integer((journal?.lostPolls ?? 0) + Int64(report.lostPolls)),
            .integer((journal?.lostReadings ?? 0) + Int64(report.lostReadings)), .integer((journal?.commits ?? 0) + 1))
    }

    /// When the first poll of a gap may have been read, of which no chunk tells: when its run began, else when the journal did.
    private func begin(of gap: ClosedRange<Int64>) -> Int64 {
        let opened = runs.values.filter { row in
            guard case .integer(let first) = row.values[4] else { return false }
            return first <= gap.lowerBound
        }
        return opened.max { $0.values[4].number < $1.values[4].number }?.values[2].number ?? journal?.created ?? 0
    }

    /// What was written down as damaged before, and not removed since.
    private var knownDamage: [(seqs: ClosedRange<Int64>, readings: Int)] {
        let first = journal.map { $0.lastSeq - $0.polls + 1 } ?? 1
        return losses.values.compactMap { row in
            guard case .text(Loss.Cause.damaged.rawValue) = row.values[1], case .integer(let lower) = row.values[2],
                case .integer(let upper) = row.values[3], first <= lower, lower <= upper
            else { return nil }
            return (lower...upper, Int(row.values[5].number))
        }
    }

    /// What lies between the chunks, and between them and the ends that the books name.
    private func gaps(between kept: [Found], through last: Int64) -> [ClosedRange<Int64>] {
        var next = journal.map { $0.lastSeq - $0.polls + 1 } ?? kept.first?.firstSeq ?? last + 1
        var gaps: [ClosedRange<Int64>] = []
        for chunk in kept {
            if chunk.firstSeq > next { gaps.append(next...chunk.firstSeq - 1) }
            next = max(next, chunk.lastSeq + 1)
        }
        if next <= last { gaps.append(next...last) }
        return gaps
    }

    static let chunksPerTransaction = 64
}
