import Metering

/// What one run of the daemon left in the journal.
package struct KeptRun: Hashable, Sendable {
    let id: Int64
    package var seqs: ClosedRange<Int64>
    /// The same for runs of one start of the machine, whose uptimes go on.
    package var boot: Int
    /// By how much the wall clock was set back within it, all steps on record together.
    var setBack: Duration
    /// There are as many steps on record as there ever are, and none from before this run: it may have had more.
    var lacksSteps: Bool

    /// Its polls are not in the order of their times.
    var wentBack: Bool { setBack > .zero }
}

extension Store {
    /// The runs of which polls are kept, oldest first.
    package func keptRuns() throws(StoreError) -> [KeptRun] {
        let statement = try opened().statement(
            """
            SELECT run.first_seq, lead(run.first_seq) OVER (ORDER BY run.id) - 1, run.boot, run.id,
            (SELECT sum(-event.step) FROM event WHERE event.run = run.id AND event.kind = 'clock_step' AND event.step < 0),
            run.id <= (SELECT event.run FROM event WHERE event.kind = 'clock_step' ORDER BY event.id DESC LIMIT 1
                OFFSET \(StoreLimits.clockSteps - 1))
            FROM run WHERE run.first_seq IS NOT NULL ORDER BY run.id
            """)
        defer { statement.reset() }
        var found: [KeptRun] = []
        var boot = 0
        var name: String?
        while try statement.step() {
            let own = statement.text(2)
            // A machine that does not name its starts may have started anew.
            if own != name || own.isEmpty { boot += 1 }
            name = own
            let first = max(statement.integer(0), books.firstSeq)
            let last = min(statement.optionalInteger(1) ?? books.lastSeq, books.lastSeq)
            guard first <= last else { continue }
            found.append(
                KeptRun(
                    id: statement.integer(3), seqs: first...last, boot: boot, setBack: .milliseconds(statement.integer(4)),
                    lacksSteps: statement.integer(5) != 0))
        }
        return found
    }

    /// The part of a run that was read in this time, chunks at its edges whole; nil for none. Within a run times rise, so it is looked for
    /// by halving, and what lies outside is not touched.
    func seqs(
        of run: KeptRun, from: Timestamp, until: Timestamp, corrections: [TimeCorrection]
    ) throws(StoreError) -> ClosedRange<Int64>? {
        guard !run.wentBack, !run.lacksSteps else { return run.seqs }
        let first = try seq(in: run.seqs) { chunk throws(StoreError) in try times(of: chunk, corrections).upperBound >= from }
        guard let first else { return nil }
        let beyond = try seq(in: first...run.seqs.upperBound) { chunk throws(StoreError) in
            try times(of: chunk, corrections).lowerBound >= until
        }
        let last = beyond.map { $0 - 1 } ?? run.seqs.upperBound
        return first <= last ? first...last : nil
    }

    /// A seq of a run before which nothing of it was read at this time or later; nil when nothing of it was.
    ///
    /// A poll's time is behind that of an earlier one by what the clock was set back in between at most. So a chunk that is older than the time
    /// by more than that tells of all before it, and halving needs no order of times.
    func lowerBound(of run: KeptRun, from: Timestamp, corrections: [TimeCorrection]) throws(StoreError) -> Int64? {
        guard !run.lacksSteps else { return run.seqs.lowerBound }
        let bound = from.advanced(by: .zero - run.setBack - StoreLimits.disorder)
        return try seq(in: run.seqs) { chunk throws(StoreError) in
            // Of another run, whose row was lost with a damaged file: it tells nothing of this one.
            guard chunk.run == run.id else { return true }
            return try times(of: chunk, corrections).upperBound >= bound
        }
    }

    /// The first seq of the first chunk that fits, where all after it fit as well; nil when none does.
    private func seq(
        in range: ClosedRange<Int64>, fits: (ChunkSummary) throws(StoreError) -> Bool
    ) throws(StoreError) -> Int64? {
        var low = range.lowerBound
        var high = range.upperBound
        var found: Int64?
        while low <= high {
            let middle = low + (high - low) / 2
            guard let chunk = try chunk(at: middle, upTo: high) else {
                high = middle - 1
                continue
            }
            if try fits(chunk) {
                found = max(range.lowerBound, chunk.firstSeq)
                high = min(middle, chunk.firstSeq) - 1
            } else {
                low = max(middle, chunk.lastSeq) + 1
            }
        }
        return found
    }

    /// The chunk that holds a seq, or the next one.
    private func chunk(at seq: Int64, upTo last: Int64) throws(StoreError) -> ChunkSummary? {
        let holding = try summaries("\(Store.summaryColumns) WHERE first_seq <= ?1 ORDER BY first_seq DESC LIMIT 1", [.integer(seq)])
        if let chunk = holding.first, chunk.lastSeq >= seq { return chunk }
        return try summaries(
            "\(Store.summaryColumns) WHERE first_seq > ?1 AND first_seq <= ?2 ORDER BY first_seq LIMIT 1", [.integer(seq), .integer(last)]
        ).first
    }

    /// When its polls were read, as far as that is known by now.
    private func times(of chunk: ChunkSummary, _ corrections: [TimeCorrection]) throws(StoreError) -> ClosedRange<Timestamp> {
        let seqs = chunk.firstSeq...max(chunk.firstSeq, chunk.lastSeq)
        let own = corrections.filter { $0.seqs.overlaps(seqs) }
        if !own.isEmpty {
            let times = try polls(in: seqs).map { stored in own.reduce(stored) { $1.corrected($0) }.poll.time }
            // What cannot be read may be of any time.
            return (times.min() ?? Timestamp(milliseconds: .min))...(times.max() ?? Timestamp(milliseconds: .max))
        }
        return min(chunk.firstTime, chunk.lastTime)...max(chunk.firstTime, chunk.lastTime)
    }
}

extension Store {
    /// The names of all devices that the catalog knows, those that are configured no more as well.
    package func catalogDevices() throws(StoreError) -> Set<String> {
        let statement = try opened().statement("SELECT DISTINCT device FROM catalog")
        defer { statement.reset() }
        var names: Set<String> = []
        while try statement.step() { names.insert(statement.text(0)) }
        return names
    }
}

extension StoreLimits {
    /// A poll that was read before another is handed in so much later than that at most.
    static let disorder = Duration.seconds(60)
}
