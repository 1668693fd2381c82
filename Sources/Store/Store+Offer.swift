import Host
import Metering

extension Store {
    /// What this output may be handed now. The same range again until it is settled.
    ///
    /// - Throws: `.misuse` for an output that was not named at `open`; `.io`, which heals; `.corrupt`; `.closed`.
    package func offer(output name: String, _ request: SliceRequest) throws(StoreError) -> SliceOffer {
        if !isStarted { _ = try opened() }
        guard var outbox = outboxes[name] else { throw unknown(name) }
        guard !outbox.isPaused else { return .paused }
        requests[name] = request
        let now = time.uptime()
        if outbox.skip(to: books.firstSeq, records: request.records) { store(outbox) }
        // A range of which every chunk is damaged, or every poll unwanted, is passed over; bounds keep one call short.
        var filtered = 0
        for _ in 0..<StoreLimits.emptyRangesPerOffer where filtered < StoreLimits.filteredPollsPerOffer {
            switch choice(of: outbox, request, now: now) {
            case .wait(let until): return .wait(until: until)
            case .empty: return .empty
            case .lane(let lane, let isLate):
                guard let range = outbox.next(records: request.records, lane: lane) else { return .empty }
                outboxes[name] = outbox
                let kept = try polls(in: range)
                let wanted = request.unwanted.isEmpty ? kept : kept.filter { !request.unwanted.contains($0.poll.entry) }
                if !wanted.isEmpty {
                    return .slice(
                        JournalSlice(
                            first: range.lowerBound, last: range.upperBound, polls: wanted, filtered: kept.count - wanted.count,
                            isLate: isLate))
                }
                outbox.settle(through: range.upperBound, accepted: 0, rejected: 0, filtered: kept.count)
                store(outbox)
                filtered += kept.count
            }
        }
        return .wait(until: now)
    }

    /// Moves the cursor at once; it is on the disk with the next commit. Twice is harmless.
    ///
    /// - Parameters:
    ///   - through: the last seq whose fate is known; within a range that was offered.
    ///   - accepted: polls that the receiver took.
    ///   - rejected: polls that it refused for good; each is kept as a dead letter.
    ///   - filtered: polls that were not for it.
    /// - Throws: `.misuse`; `.io` and `.corrupt` when a rejected poll cannot be read, `.io` when the dead letters cannot; then nothing moved.
    package func settle(
        output name: String, through: Int64, accepted: Int, rejected: [Rejection], filtered: Int = 0
    ) throws(StoreError) {
        guard var outbox = outboxes[name] else { throw unknown(name) }
        guard let lane = outbox.laneOut(at: through), let pending = outbox.lanes[lane].pending else {
            if outbox.hasSettled(through) { return }
            throw StoreError(.misuse, "output \(name): settled through \(through), which was not offered; report this")
        }
        let refused = rejected.filter { pending.contains($0.seq) }
        var changes: [DeadLetterChange] = []
        for rejection in refused { changes.append(.keep(try deadLetter(rejection, of: outbox.id))) }
        if accepted > 0 {
            let refused = Set(refused.map(\.seq))
            for seq in try letters(of: outbox, in: pending.lowerBound...through) where !refused.contains(seq) {
                changes.append(.remove(seq: seq, output: outbox.id))
            }
        }
        outbox.settle(through: through, accepted: accepted, rejected: refused.count, filtered: filtered)
        letterChanges.append(contentsOf: changes)
        store(outbox)
        if accepted > 0 { wishFork(of: outbox) }
    }

    /// Committed polls, in order of seq.
    ///
    /// - Parameter limit: the first so many of them.
    package func read(first: Int64, last: Int64, limit: Int) throws(StoreError) -> [StoredPoll] {
        let upper = min(last, books.lastSeq)
        let lower = max(first, books.firstSeq)
        guard lower <= upper, limit > 0 else { return [] }
        return try polls(in: lower...lower + min(upper - lower, Int64(limit) - 1))
    }

    /// An output that a retention or status computation knows nothing of yet: everything up to here has been handed to all.
    var sentThrough: Int64 { activeOutputs.compactMap { outboxes[$0]?.cursor }.min() ?? books.lastSeq }

    func remember(commit lastSeq: Int64, at: Uptime) {
        if commitTimes.count >= StoreLimits.timedCommits {
            let dropped = StoreLimits.timedCommits / 2
            openedAt = max(openedAt, commitTimes[dropped - 1].lastSeq)
            commitTimes.removeFirst(dropped)
        }
        commitTimes.append((lastSeq, at))
    }

    /// When a poll was committed; nil when that was before this start, or too long ago to be remembered.
    func commitTime(of seq: Int64) -> Uptime? {
        guard seq > openedAt else { return nil }
        var low = 0
        var high = commitTimes.count
        while low < high {
            let middle = (low + high) / 2
            if commitTimes[middle].lastSeq < seq { low = middle + 1 } else { high = middle }
        }
        return low < commitTimes.count ? commitTimes[low].at : nil
    }

    private func store(_ outbox: Outbox) {
        outboxes[outbox.name] = outbox
        isDirty = true
    }

    private func unknown(_ name: String) -> StoreError {
        StoreError(.misuse, "output \(name) was not named when the store was opened; report this")
    }

    func polls(in range: ClosedRange<Int64>) throws(StoreError) -> [StoredPoll] {
        var found: [StoredPoll] = []
        for chunk in try chunks(in: range) {
            guard let polls = try decoded(chunk) else { continue }
            let skipped = Int(max(0, range.lowerBound - chunk.firstSeq))
            let wanted = Int(min(range.upperBound, chunk.lastSeq) - chunk.firstSeq) + 1
            for index in skipped..<max(skipped, min(wanted, polls.polls.count)) {
                found.append(StoredPoll(seq: chunk.firstSeq + Int64(index), poll: polls.polls[index].poll))
            }
        }
        return found
    }

    /// The chunks that hold some of the range, without their bodies.
    private func chunks(in range: ClosedRange<Int64>) throws(StoreError) -> [ChunkSummary] {
        try summaries(
            """
            \(Store.summaryColumns) WHERE first_seq >= coalesce((SELECT max(first_seq) FROM chunk WHERE first_seq <= ?1), ?1)
            AND first_seq <= ?2 AND last_seq >= ?1 ORDER BY first_seq
            """, [.integer(range.lowerBound), .integer(range.upperBound)])
    }

    static var summaryColumns: String {
        "SELECT first_seq, last_seq, polls, readings, first_time, last_time, length(body), run FROM chunk"
    }

    func summaries(_ sql: String, _ values: [SQLValue]) throws(StoreError) -> [ChunkSummary] {
        let statement = try opened().statement(sql)
        defer { statement.reset() }
        var found: [ChunkSummary] = []
        do {
            try statement.bind(values)
            while try statement.step() {
                found.append(
                    ChunkSummary(
                        firstSeq: statement.integer(0), lastSeq: statement.integer(1), polls: Int(statement.integer(2)),
                        readings: Int(statement.integer(3)), firstTime: Timestamp(milliseconds: statement.integer(4)),
                        lastTime: Timestamp(milliseconds: statement.integer(5)), bytes: Int(statement.integer(6)),
                        run: statement.integer(7)))
            }
        } catch {
            fail(error)
            throw error
        }
        return found
    }

    /// A chunk's polls; nil when it is damaged, which is counted once.
    func decoded(_ chunk: ChunkSummary) throws(StoreError) -> CachedChunk? {
        if let known = cache.first(where: { $0.firstSeq == chunk.firstSeq }) { return known }
        guard !damagedChunks.contains(chunk.firstSeq) else { return nil }
        let statement = try opened().statement("SELECT run, body FROM chunk WHERE first_seq = ?")
        defer { statement.reset() }
        do {
            try statement.bind([.integer(chunk.firstSeq)])
            guard try statement.step() else { return nil }
            let polls: [CountedPoll]
            do { polls = try ChunkDecoder.decode(statement.blob(1)) } catch {
                noteDamage(chunk, what: error.what)
                return nil
            }
            let read = CachedChunk(firstSeq: chunk.firstSeq, run: statement.integer(0), polls: polls)
            if cache.count >= StoreLimits.cachedChunks { cache.removeFirst() }
            cache.append(read)
            return read
        } catch {
            // Costs this chunk, and is counted; the file goes on being used.
            guard error.code == .corrupt else {
                fail(error)
                throw error
            }
            noteDamage(chunk, what: error.cause ?? error.message)
            return nil
        }
    }

    private func noteDamage(_ chunk: ChunkSummary, what: String) {
        guard damagedChunks.insert(chunk.firstSeq).inserted else { return }
        files?.markSuspect()
        logger.error(
            "a chunk of the journal cannot be read; its polls are lost",
            metadata: [
                "store.first_seq": "\(chunk.firstSeq)", "store.last_seq": "\(chunk.lastSeq)", "store.reason": "\(what)",
            ])
        note(
            Loss(
                cause: .damaged, seqs: chunk.firstSeq...max(chunk.firstSeq, chunk.lastSeq), polls: chunk.polls,
                readings: chunk.readings, firstTime: chunk.firstTime, lastTime: chunk.lastTime))
    }
}

extension StoreLimits {
    /// Ranges without a readable poll that one offer passes over.
    static let emptyRangesPerOffer = 64
    /// Polls that an output does not want, passed over in one offer.
    static let filteredPollsPerOffer = 16_384
    /// How long an output waits that has come to its horizon, if no commit wakes it.
    static let horizonWait: Duration = .seconds(1)
}
