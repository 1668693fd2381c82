import Host
import Logging
import Metering
import Store

/// Hands one output's share of the journal to its upstream, part by part, until it is told to stop.
///
/// It holds at most one slice in memory and has at most one request in flight. The cursor moves only when the fate of every record up
/// to it is known; whatever is cut short is sent again with the same batch ids. It shares nothing with other outputs but the store.
package actor DeliveryService {
    /// The longest it waits without a turn of the loop, so that the heartbeat moves.
    static let turn: Duration = .seconds(30)
    /// What a turn may take beyond the wait it announced.
    static let slack: Duration = .seconds(30)
    /// What the store may take for an answer: a flush on a slow card stalls.
    static let storePatience: Duration = .seconds(90)
    /// The shortest wait, whatever the store says.
    static let shortestWait: Duration = .milliseconds(50)
    /// Rejections are logged at most this often; the lines carry how many there were.
    static let rejectionLogPeriod: Duration = .seconds(60)

    private enum Wake { case time, reload, commit }

    /// What came of the first records of the slice.
    private struct Fate {
        var records = 0
        var accepted = 0
        var rejected: [Rejection] = []
    }

    private var settings: DeliverySettings
    private let outbox: any Outbox
    let upstream: any Upstream
    private let time: any TimeSource
    private let chance: @Sendable () -> Double
    let bell = Bell()
    private let report: DeliveryReport
    let rewinds = Lock(Rewinds())

    private var plan = DeliveryPlan()
    private var gate: PaceGate
    private var sources: SourceCache
    /// The slice in hand: what can be sent of it, what cannot be decoded, and what has come of it so far.
    private var sliceEnd: Int64 = 0
    private var historical = false
    /// The slice in hand is of dead letters that are handed on again; and whether the next one may be.
    private var isReplay = false
    private var isReplayTurn = false
    private var records: [BatchRecord] = []
    private var undecodable: [Rejection] = []
    /// Polls of the slice of which the filter leaves nothing.
    private var filtered = 0
    private var fate = Fate()
    /// What the receiver said when it last refused something.
    private var refusal = ""
    /// Failures of the store in a row.
    private var storeFailures = 0

    /// - Parameters:
    ///   - decoder: makes the decoder of a catalog entry; what it throws makes the entry's records dead letters.
    ///   - chance: random numbers, 0 ..< 1, for the jitter.
    package init(
        _ settings: DeliverySettings, outbox: any Outbox, upstream: any Upstream,
        decoder: @escaping @Sendable (CatalogEntry) throws -> ReadingDecoder, time: any TimeSource, logger: Logger,
        chance: @escaping @Sendable () -> Double = { Double.random(in: 0..<1) }
    ) {
        precondition(settings.batchRecords > 0, "a batch holds at least one record")
        self.settings = settings
        self.outbox = outbox
        self.upstream = upstream
        self.time = time
        self.chance = chance
        gate = PaceGate(settings.pace, now: time.uptime())
        sources = SourceCache(filter: settings.filter, decoder: decoder)
        report = DeliveryReport(output: settings.output, time: time, logger: logger)
    }

    /// How it is doing; answers at once, whatever the loop does.
    package nonisolated var status: DeliveryStatus { report.status }

    /// Something was mended, perhaps: ends a wait before the next attempt.
    package nonisolated func reload() { bell.ring() }

    /// Someone paused or resumed the output: the store says so with the next offer; a request in flight is not cut off.
    package nonisolated func setPaused(_ isPaused: Bool) {
        report.setPaused(isPaused)
        bell.ring()
    }

    /// Returns soon after the task is cancelled: a request in flight has `stopGrace` to be answered and settled.
    package func run() async {
        var action = DeliveryPlan.Action.load
        while true {
            if Task.isCancelled {
                // What the receiver took is written down, so that it need not be sent twice.
                guard case .settle = action else { break }
            }
            if await endRewinds() { action = startAnew() }
            do {
                action = try await perform(action)
                storeFailures = 0
            } catch {
                if Task.isCancelled { break }
                if rewinds.withLock({ $0.written > 0 }) { continue }
                await storeFailed(error)
            }
        }
        await upstream.close()
    }

    private func startAnew() -> DeliveryPlan.Action {
        plan = DeliveryPlan()
        fate = Fate()
        records.removeAll()
        undecodable.removeAll()
        return .load
    }

    /// - Throws: what the store throws; then nothing was changed, and the same action is to be done again.
    private func perform(_ action: DeliveryPlan.Action) async throws -> DeliveryPlan.Action {
        report.beat(for: DeliveryService.storePatience)
        switch action {
        case .load:
            return try await load()
        case .send(let part):
            // Asked anew each time: a slice in hand is not sent, nor tried again, while someone has paused the output.
            let isPaused = await outbox.isPaused(output: settings.output)
            report.setPaused(isPaused)
            guard !isPaused, !isBeingSetBack else {
                _ = await wait(turnUntil: time.uptime() + DeliveryService.turn, orCommitAfter: nil)
                return action
            }
            return await send(part)
        case .settle(let part, let verdict):
            try await settle(part, verdict)
            return advance(.settled)
        case .wait(let deadline):
            await wait(until: deadline)
            return Task.isCancelled ? action : advance(.due)
        }
    }

    private func advance(_ event: DeliveryPlan.Event) -> DeliveryPlan.Action {
        let action = plan.handle(event, now: time.uptime(), chance: chance())
        if case .blocked(let until) = plan.state {
            report.fault(.blocked, "the receiver refuses every record: \(refusal)", nextAttempt: until)
        }
        return action
    }

    // MARK: Taking a slice

    private func load() async throws -> DeliveryPlan.Action {
        let newest = try await outbox.lastSeq()
        let opens = gate.opens(from: time.uptime())
        let isOpen = opens <= time.uptime()
        // Turn about, so that neither holds up the other.
        isReplayTurn.toggle()
        if isReplayTurn, isOpen, let slice = try await replay() { return try await take(slice, newest: .max, isReplay: true) }
        let request = SliceRequest(
            records: settings.sliceRecords, age: settings.batchAge, policy: settings.policy, backlog: isOpen, unwanted: sources.unwanted)
        let offer = try await outbox.offer(output: settings.output, request)
        report.end(.store)
        report.setPaused(offer == .paused)
        if settings.journalID.isEmpty { settings.journalID = await outbox.journalID() }
        let now = time.uptime()
        // What waits for the pace is under way.
        if isOpen { report.idle(unless: offer) }
        // Whoever asked for them does not wait for what is not there.
        if offer == .empty, !isReplayTurn, isOpen, let slice = try await replay() {
            return try await take(slice, newest: .max, isReplay: true)
        }
        switch offer {
        case .slice(let slice):
            return try await take(slice, newest: newest, isReplay: false)
        case .wait(let until):
            let turn = isOpen ? until : min(until, opens)
            _ = await wait(turnUntil: max(turn, now + DeliveryService.shortestWait), orCommitAfter: newest)
        case .empty:
            _ = await wait(
                turnUntil: isOpen ? now + DeliveryService.turn : max(opens, now + DeliveryService.shortestWait), orCommitAfter: newest)
        case .paused:
            _ = await wait(turnUntil: now + DeliveryService.turn, orCommitAfter: nil)
        }
        return .load
    }

    private func replay() async throws -> JournalSlice? {
        try await outbox.offerReplay(output: settings.output, records: settings.batchRecords)
    }

    private func take(_ offered: JournalSlice, newest: Int64, isReplay: Bool) async throws -> DeliveryPlan.Action {
        let slice: JournalSlice
        let estimated: Set<Int64>
        switch try await outbox.date(offered) {
        case .dated(let dated, let seqs): (slice, estimated) = (dated, seqs)
        case .hold(let until):
            report.holding(true)
            _ = await wait(turnUntil: max(until, time.uptime() + DeliveryService.shortestWait), orCommitAfter: newest)
            return .load
        }
        report.holding(false)
        self.isReplay = isReplay
        records.removeAll(keepingCapacity: true)
        undecodable.removeAll()
        filtered = slice.filtered
        records.reserveCapacity(min(slice.polls.count, settings.batchRecords))
        for stored in slice.polls {
            switch try await source(of: stored.poll.entry) {
            case .source(let source):
                var readings = source.decoder.decode(stored.poll.answers)
                if readings.isEmpty, settings.filter != nil {
                    leaveOut(stored.seq)
                    continue
                }
                if estimated.contains(stored.seq) {
                    for index in readings.indices { readings[index].quality.insert(.timeUnsynchronized) }
                }
                records.append(
                    BatchRecord(
                        seq: stored.seq, time: stored.poll.time, clock: stored.poll.clock, source: source, readings: readings))
            case .undecodable(let reason):
                undecodable.append(Rejection(seq: stored.seq, reason: reason))
            case .unwanted:
                leaveOut(stored.seq)
            }
        }
        sliceEnd = slice.last
        historical = isReplay || slice.isLate
        fate = Fate()
        if records.isEmpty { try await write(through: sliceEnd) }
        return advance(.loaded(records: records.count))
    }

    /// The filter leaves nothing of this poll. A dead letter stays one: someone may widen the filter.
    private func leaveOut(_ seq: Int64) {
        if isReplay {
            undecodable.append(Rejection(seq: seq, reason: "the filter of output \(settings.output) leaves nothing of this poll"))
        } else {
            filtered += 1
        }
    }

    private func source(of id: CatalogID) async throws -> SourceCache.Lookup {
        if let known = sources.known(id) { return known }
        return sources.learn(id, try await outbox.entry(id))
    }

    // MARK: Sending

    private func send(_ part: Range<Int>) async -> DeliveryPlan.Action {
        var part = part
        var batch = batch(part)
        let count = min(await upstream.fitting(batch, bytes: settings.batchBytes), settings.batchRecords)
        if count < part.count, case .send(let smaller) = advance(.narrowed(records: count)) {
            part = smaller
            batch = self.batch(part)
        }
        if historical {
            let size = gate.countsBytes ? await upstream.size(of: batch) : 0
            gate.take(records: part.count, bytes: size, at: time.uptime())
        }
        report.sending(bound: settings.requestTimeout + settings.stopGrace + DeliveryService.slack)
        let settlement = await answer(to: batch)
        if Task.isCancelled, case .unavailable = settlement { return .load }
        // The fault of nobody.
        if isBeingSetBack, case .unavailable = settlement { return .send(part) }
        refusal = settlement.refusal ?? refusal
        let action = advance(.answered(settlement))
        report.note(settlement, of: part.count, nextAttempt: action)
        return action
    }

    private func batch(_ part: Range<Int>) -> Batch {
        // A filtered slice may hold more than one batch.
        let own = records[part].prefix(settings.batchRecords)
        var batch = Batch(
            gateway: settings.gateway, site: settings.site, output: settings.output, journalID: settings.journalID,
            first: own.first?.seq ?? 0, last: own.last?.seq ?? 0, historical: historical, records: Array(own))
        batch.filter = settings.filter?.mark
        batch.isReplay = isReplay
        return batch
    }

    /// The request runs in a task of its own, since cancelling the service must leave it `stopGrace` to be answered. It is awaited here,
    /// so it never outlives the call; the timer ends by itself.
    private func answer(to batch: Batch) async -> Settlement {
        let (upstream, time, grace) = (upstream, time, settings.stopGrace)
        let request = Task { await upstream.send(batch) }
        return await withTaskCancellationHandler {
            await request.value
        } onCancel: {
            Task {
                try? await time.sleep(until: time.uptime() + grace)
                request.cancel()
            }
        }
    }

    // MARK: Settling

    /// Notes the fate of a part; with the slice's last part all of it is written down. A slice is settled as one, since its parts follow
    /// from it alone: after a crash the same slice is offered again, and its parts have the same ids as before.
    private func settle(_ part: Range<Int>, _ verdict: DeliveryPlan.Verdict) async throws {
        if part.upperBound > fate.records {
            fate.records = part.upperBound
            switch verdict {
            case .accepted(let rejected):
                fate.accepted += part.count - rejected.count
                fate.rejected += rejected.map { Rejection(seq: $0.seq, reason: $0.reason) }
            case .deadLetter(let reason):
                fate.rejected += records[part].map { Rejection(seq: $0.seq, reason: reason) }
            }
        }
        if fate.records == records.count { try await write(through: sliceEnd) }
    }

    private func write(through: Int64) async throws {
        let all = (fate.rejected + undecodable.filter { $0.seq <= through }).sorted { $0.seq < $1.seq }
        if isReplay {
            let refused = Set(all.map(\.seq))
            let accepted = records.map(\.seq).filter { !refused.contains($0) }
            try await outbox.settleReplay(output: settings.output, accepted: accepted, rejected: all)
        } else {
            try await outbox.settle(
                output: settings.output, through: through, accepted: fate.accepted, rejected: all, filtered: filtered)
        }
        report.end(.store)
        report.settled(accepted: fate.accepted, rejected: all)
        fate = Fate()
    }

    private func storeFailed(_ error: any Error) async {
        storeFailures += 1
        let until = time.uptime() + Backoff.delay(attempt: storeFailures, chance: chance())
        report.fault(.store, "the store does not answer: \(error)", nextAttempt: until)
        await wait(until: until)
    }

    // MARK: Waiting

    /// Until the time, a reload or cancellation, turning all the while.
    private func wait(until deadline: Uptime) async {
        while !Task.isCancelled, time.uptime() < deadline {
            if await wait(turnUntil: deadline, orCommitAfter: nil) == .reload { return }
        }
    }

    /// Until the time, but one turn at most, a reload, a commit after `seq`, or cancellation.
    private func wait(turnUntil deadline: Uptime, orCommitAfter seq: Int64?) async -> Wake {
        let (time, bell, outbox) = (time, bell, outbox)
        let until = min(deadline, time.uptime() + DeliveryService.turn)
        report.beat(for: DeliveryService.turn + DeliveryService.slack)
        return await withTaskGroup(of: Wake.self) { group in
            group.addTask {
                try? await time.sleep(until: until)
                return .time
            }
            group.addTask {
                await bell.wait()
                return .reload
            }
            if let seq {
                group.addTask {
                    await outbox.waitForCommit(after: seq)
                    return .commit
                }
            }
            defer { group.cancelAll() }
            return await group.next() ?? .time
        }
    }
}
