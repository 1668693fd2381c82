import Metering

/// Writes what the journal keeps as text, a page at a time, so that memory stays flat and commits get in between.
///
///     let export = JournalExport(format: .csv, devices: ["main"], from: start, until: end)
///     let result = try await export.run(on: store, write: { try file.append($0) }, progress: { show($0) })
package struct JournalExport: Hashable, Sendable {
    package enum Format: String, Hashable, Sendable, CaseIterable {
        /// A row a reading: `time,device,quantity,value,unit,quality,clock,seq`, after a row with these names.
        case csv
        /// A line a poll: `seq`, `device`, `time` (RFC 3339), `clock`, `values` and `quality` as in the HTTP batch.
        case jsonLines = "jsonl"
    }

    package struct Progress: Hashable, Sendable {
        /// The seq up to which the journal was looked through, and where it began and ends.
        package var seq: Int64
        package var first: Int64
        package var last: Int64
        package var polls = 0
        package var readings = 0
        /// Polls within the time asked for whose catalog entry is missing or cannot be read any more: their words cannot be decoded.
        package var undecodable = 0

        /// 0 ... 1.
        package var fraction: Double { last < first ? 1 : Double(seq - first + 1) / Double(last - first + 1) }
    }

    package var format: Format
    /// Nil for all.
    package var devices: Set<String>?
    /// Inclusive; nil for the beginning.
    package var from: Timestamp?
    /// Exclusive; nil for the end.
    package var until: Timestamp?

    package init(format: Format, devices: Set<String>? = nil, from: Timestamp? = nil, until: Timestamp? = nil) {
        self.format = format
        self.devices = devices
        self.from = from
        self.until = until
    }

    /// In order of seq, everything that was committed when it was called; polls that were taken before the clock was set have their
    /// corrected time. Cancelling the task ends it with `CancellationError`.
    ///
    /// - Parameters:
    ///   - write: takes the text piece by piece; what it throws ends the export.
    ///   - progress: called after each piece.
    /// - Throws: `StoreError` `.io`, `.corrupt`, `.closed`, and what `write` throws.
    @discardableResult
    package func run(
        on store: Store, write: ([UInt8]) async throws -> Void, progress: (Progress) -> Void = { _ in }
    ) async throws -> Progress {
        let state = await store.journalState()
        var now = Progress(seq: state.firstSeq - 1, first: state.firstSeq, last: state.lastSeq)
        let corrections = try await store.timeCorrections()
        var text = ExportText(format: format)
        if format == .csv { try await write(Array("time,device,quantity,value,unit,quality,clock,seq\n".utf8)) }
        while now.seq < now.last {
            try Task.checkCancellation()
            let page = try await store.exportPage(after: now.seq, through: now.last, from: from, until: until, corrections: corrections)
            for stored in page.polls {
                guard let entry = try await text.entry(stored.poll.entry, store) else {
                    now.undecodable += 1
                    continue
                }
                guard devices.map({ $0.contains(entry.device) }) ?? true else { continue }
                now.polls += 1
                now.readings += text.append(stored, entry)
            }
            now.seq = page.through
            let piece = text.take()
            if !piece.isEmpty { try await write(piece) }
            progress(now)
        }
        return now
    }
}

extension Store {
    /// A poll as a line of the JSON export, without its end; nil when its catalog entry is missing or cannot be read any more.
    package func recordText(_ stored: StoredPoll) async -> String? {
        var text = ExportText(format: .jsonLines)
        guard let entry = try? await text.entry(stored.poll.entry, self) else { return nil }
        _ = text.append(stored, entry)
        return String(decoding: text.take().dropLast(), as: UTF8.self)
    }

    /// When the first and the last poll that are kept were read, as far as that is known by now; nil when none are.
    package func keptTimes() throws(StoreError) -> ClosedRange<Timestamp>? {
        let corrections = try knownCorrections()
        let ends =
            try summaries("\(Store.summaryColumns) ORDER BY first_seq LIMIT 1", [])
            + summaries("\(Store.summaryColumns) ORDER BY first_seq DESC LIMIT 1", [])
        var times: [Timestamp] = []
        for chunk in ends {
            let seqs = chunk.firstSeq...max(chunk.firstSeq, chunk.lastSeq)
            if corrections.contains(where: { $0.seqs.overlaps(seqs) }) {
                times += try polls(in: seqs).map { stored in corrections.reduce(stored) { $1.corrected($0) }.poll.time }
            } else {
                times += [chunk.firstTime, chunk.lastTime]
            }
        }
        guard let from = times.min(), let until = times.max() else { return nil }
        return from...until
    }

    /// Names of the devices of which polls were ever kept, in the order of the alphabet.
    package func keptDevices() throws(StoreError) -> [String] {
        let statement = try opened().statement("SELECT DISTINCT device FROM catalog ORDER BY device")
        defer { statement.reset() }
        var names: [String] = []
        while try statement.step() { names.append(statement.text(0)) }
        return names
    }

    struct ExportPage: Sendable {
        var polls: [StoredPoll]
        /// Everything up to here has been looked at.
        var through: Int64
    }

    /// The next polls of the time asked for. Chunks that lie outside it are passed over unread.
    func exportPage(
        after seq: Int64, through last: Int64, from: Timestamp?, until: Timestamp?, corrections: [TimeCorrection]
    ) throws(StoreError) -> ExportPage {
        let chunks = try summaries(
            """
            \(Store.summaryColumns) WHERE first_seq >= coalesce((SELECT max(first_seq) FROM chunk WHERE first_seq <= ?1), ?1)
            AND first_seq <= ?2 AND last_seq >= ?1 ORDER BY first_seq LIMIT \(StoreLimits.exportedChunks)
            """, [.integer(seq + 1), .integer(last)])
        guard !chunks.isEmpty else { return ExportPage(polls: [], through: last) }
        for chunk in chunks {
            let range = chunk.firstSeq...max(chunk.firstSeq, chunk.lastSeq)
            // Where times are corrected, those of the chunk say nothing.
            let isOutside = (from.map { chunk.lastTime < $0 } ?? false) || (until.map { chunk.firstTime >= $0 } ?? false)
            guard !isOutside || corrections.contains(where: { $0.seqs.overlaps(range) }) else { continue }
            let wanted = max(seq + 1, range.lowerBound)...max(seq + 1, min(last, range.upperBound))
            let polls = try polls(in: wanted).map { stored in corrections.reduce(stored) { $1.corrected($0) } }
                .filter { stored in (from.map { stored.poll.time >= $0 } ?? true) && (until.map { stored.poll.time < $0 } ?? true) }
            return ExportPage(polls: polls, through: wanted.upperBound)
        }
        return ExportPage(polls: [], through: min(last, chunks.last?.lastSeq ?? last))
    }
}

extension StoreLimits {
    /// Chunks looked at for one page of an export; at most one of them is decoded.
    static let exportedChunks = 64
}
