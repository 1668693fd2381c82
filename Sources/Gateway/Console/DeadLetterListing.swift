import Metering

/// `meterctl dead-letters list`: a row for each dead letter.
package struct DeadLetterListing: Sendable {
    let letters: [DeadLetterReport]
    let now: Timestamp

    package init(_ letters: [DeadLetterReport], now: Timestamp) {
        self.letters = letters
        self.now = now
    }

    package var table: Table {
        Table(
            [
                .init("SEQ", .right, matters: true), .init("DEVICE", cut: .middle), .init("READ"), .init("REJECTED", .right),
                .init("AGAIN"),
                .init("REASON", cut: .end, matters: true),
            ],
            rows: letters.map { letter in
                [
                    .init(String(letter.seq)), .init(letter.device ?? "-"), .init(letter.time?.rfc3339 ?? "-"),
                    .init("\(Humanize.age(of: letter.rejected, at: now)) ago"), .init(letter.replaying ? "yes" : "-"), .init(letter.reason),
                ]
            })
    }
}

/// `meterctl journal`: what is kept and what was lost.
package struct JournalListing: Sendable {
    let report: JournalDetailReport

    package init(_ report: JournalDetailReport) { self.report = report }

    package func lines(width: Int?, paint: Paint) -> [String] {
        let journal = report.journal
        var lines = [
            "journal  \(report.journalID)",
            "kept     \(Humanize.count(journal.polls, "poll")), \(Humanize.count(journal.readings, "reading")), "
                + Humanize.bytes(journal.bytes),
        ]
        if journal.polls > 0 { lines.append("seq      \(journal.firstSeq) to \(journal.lastSeq)") }
        if let first = report.firstTime, let last = report.lastTime { lines.append("read     \(first.rfc3339) to \(last.rfc3339)") }
        if let from = journal.restoredFrom, let at = journal.restoredAt {
            lines.append("restored from a backup on \(at.rfc3339), when the id changed from \(from)")
        }
        lines = lines.flatMap { Folding.fold($0, indent: 9, width: width) }
        guard !report.losses.isEmpty else { return lines + ["lost     nothing"] }
        let sum = "\(Humanize.count(journal.lostPolls, "poll")), \(Humanize.count(journal.lostReadings, "reading"))"
        let table = Table(
            [
                .init("CAUSE", matters: true), .init("SEQ"), .init("POLLS", .right, matters: true), .init("READINGS", .right),
                .init("FROM"), .init("TO"),
            ],
            rows: report.losses.map { loss in
                let seqs = loss.firstSeq.map { first in "\(first) to \(loss.lastSeq ?? first)" } ?? "-"
                return [
                    .init(loss.cause), .init(seqs), .init(Humanize.count(loss.polls)), .init(Humanize.count(loss.readings)),
                    .init(loss.firstTime.rfc3339), .init(loss.lastTime.rfc3339),
                ]
            })
        return lines + Folding.fold("lost     \(paint(sum, .bad))", indent: 9, width: width) + [""]
            + table.lines(width: width, paint: paint)
    }
}
