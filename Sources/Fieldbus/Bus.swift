import Host
import Logging
import Metering

/// Polls the devices of one bus for as long as `run` runs, and hands every visit on as a poll, failed ones too.
///
/// It decides nothing: `PollPlan` says when and whom, `ReadPlan` what, the reader how.
package final class Bus: Sendable {
    /// The loop turns at least this often while it waits; a visit may add its timeouts. For whoever watches `heartbeat`.
    package static let longestWait = Duration.seconds(10)

    package let description: BusDescription
    /// As they are known now: a map that is found out replaces the one before.
    package var devices: [DeviceDescription] { known.withLock { $0 } }
    let known: Lock<[DeviceDescription]>
    let reader: any RegisterReader
    private let sink: any PollSink
    let maps: (any MapKeeper)?
    let time: any TimeSource
    let guests: GuestDesk
    let log: BusLog
    let account: Lock<BusAccount>
    let budgetCache = Lock<BusBudget?>(nil)
    /// One connection for all: it is quiet for as long as the one that wants most.
    private let connectDelay: Duration

    /// - Parameter maps: takes in what devices with a `search` are found to have; without it they are not asked.
    package init(
        _ description: BusDescription, devices: [DeviceDescription], reader: any RegisterReader, sink: any PollSink,
        maps: (any MapKeeper)? = nil, time: any TimeSource, logger: Logger
    ) {
        self.description = description
        known = Lock(devices)
        connectDelay = devices.map(\.profile.limits.connectDelay).max() ?? .zero
        self.reader = reader
        self.sink = sink
        self.maps = maps
        self.time = time
        guests = GuestDesk(bus: description.name)
        log = BusLog(bus: description.name, logger)
        account = Lock(BusAccount(name: description.name, devices: devices, now: time.wall(), uptime: time.uptime()))
    }

    package func status() -> BusStatus {
        var status = account.withLock { $0.status(at: time.uptime()) }
        status.response = timing(unit: nil)?.typical
        return status
    }

    /// A device's plan as it is in force; nil before the bus runs.
    func plan(of device: Int) -> ReadPlan? { account.withLock { $0.plans.isEmpty ? nil : $0.plans[device] } }

    /// When the loop last turned.
    package var heartbeat: Uptime { account.withLock { $0.heartbeat } }

    /// Polls until the task is cancelled; a visit in flight is finished and delivered first, then the port is let go.
    ///
    /// With a reader that has a thread of its own the whole loop runs there: a turn costs one wake-up and no change of threads.
    package func run() async throws {
        if let thread = (reader as? any OnThread)?.thread {
            try await withTaskExecutorPreference(thread.tasks) { try await loop() }
        } else {
            try await loop()
        }
    }

    /// What it calls is never made part of it: what a turn needs in hand every bus would hold all day, and there may be hundreds.
    private func loop() async throws {
        let hands = takeInHand()
        var schedule = makeSchedule(hands, at: time.uptime())
        await tellOfSilences()
        let cost = BusCost(of: description.address)
        guests.open()
        defer { guests.close() }
        while !Task.isCancelled {
            let now = time.uptime()
            switch nextTurn(&schedule, cost, at: now) {
            case .serve(let guest):
                await serve(guest, from: now, hands)
            case .poll(.wait(let until)):
                do { try await doze(from: now, until: min(until, now + Bus.longestWait)) } catch { break }
            case .poll(.reopen):
                await reader.close()
            case .poll(.read(let device, let classes)):
                let hand = hands[device]
                if hand.isSearching {
                    await find(device, classes, from: now, hand, &schedule)
                } else {
                    let visit = await poll(device, classes, from: now, hand, &schedule)
                    if hand.isFound { reconsider(device, after: visit, hand, &schedule) }
                }
            case .poll(.close(let device)):
                // What its registers mean is not known just now.
                if hands[device].isSearching { continue }
                await close(device, from: now, hands[device], &schedule)
            case .poll(.probe(let device)):
                let hand = hands[device]
                if hand.isFound {
                    // It may be another device that comes back.
                    hand.beginSearch()
                    await find(device, [.live], from: now, hand, &schedule)
                } else {
                    await probe(device, from: now, hand, &schedule)
                }
            }
        }
        await reader.close()
    }

    private enum Turn {
        case serve(GuestDesk.Guest)
        case poll(PollAction)
    }

    /// A guest who waited long goes first, one for whom there is time until the next poll goes before the wait.
    @inline(never) private func nextTurn(_ schedule: inout PollPlan, _ cost: BusCost, at now: Uptime) -> Turn {
        account.withLock { $0.heartbeat = now }
        if let guest = guests.nextOverdue(at: now) { return .serve(guest) }
        let action = schedule.next(at: now, wallOffset: .nanoseconds(time.wall().milliseconds * 1_000_000 - now.nanoseconds))
        if case .wait(let until) = action, let guest = guests.next(at: now, free: until - now, cost: { cost.time(of: $0) }) {
            return .serve(guest)
        }
        return .poll(action)
    }

    @inline(never) private func takeInHand() -> [Hand] {
        let cost = BusCost(of: description.address)
        let hands = devices.map { device in
            Hand(
                plan: ReadPlan(device.map, cost: cost),
                finder: maps == nil ? nil : device.search.map { SunSpecFinder(bases: $0.bases) })
        }
        let plans = hands.map(\.plan)
        warnOfUnreadable(plans)
        account.withLock { $0.plans = plans }
        return hands
    }

    @inline(never) private func makeSchedule(_ hands: [Hand], at start: Uptime) -> PollPlan {
        let closing = description.closesQuarterHours ? hands.map { $0.plan.closingTime() } : []
        return PollPlan(periods: devices.map(Bus.usefulPeriods), closing: closing, start: start)
    }

    /// Says to the reader what silences devices want.
    @inline(never) private func tellOfSilences() async {
        for device in devices where device.profile.limits.requestPause > .zero {
            await (reader as? any PauseKeeping)?.keep(pause: device.profile.limits.requestPause, unit: device.unit)
        }
        if connectDelay > .zero { await (reader as? any DelayKeeping)?.keep(connectDelay: connectDelay) }
    }

    /// Sleeps, and wakes for a guest. A short sleep is not broken off, unless guests are about: the watch for them costs two tasks a
    /// sleep, which buses that are polled each second need not pay day and night.
    @inline(never) private func doze(from now: Uptime, until: Uptime) async throws {
        guard guests.waitingCount == 0, until - now > GuestDesk.patience || guests.expectsMore(at: now) else {
            return try await time.sleep(until: until)
        }
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { [time] in try await time.sleep(until: until) }
            group.addTask { [guests] in await guests.arrival() }
            defer { group.cancelAll() }
            try await group.next()
        }
    }

    @inline(never) private func serve(_ guest: GuestDesk.Guest, from start: Uptime, _ hands: [Hand]) async {
        let answer: Visit
        if let device = devices.firstIndex(where: { $0.unit == guest.unit }) {
            answer = await visit(devices[device], [guest.block], after: &hands[device].lastAnswer)
        } else {
            answer = await reader.read([guest.block], unit: guest.unit)
        }
        account.withLock { $0.record(guest: answer, from: start) }
        guest.take(answer)
    }

    /// Classes that the profile has no point of would only wake the bus. Of a map that is not known yet they all may have some.
    static func usefulPeriods(_ device: DeviceDescription) -> [PointClass: Duration] {
        if device.search != nil, device.profile.points.isEmpty { return device.periods }
        let present = Set(device.profile.points.map(\.pointClass))
        return device.periods.filter { present.contains($0.key) }
    }

    // MARK: - A visit

    @inline(never) private func poll(
        _ device: Int, _ classes: Set<PointClass>, from start: Uptime, _ hand: Hand, _ schedule: inout PollPlan
    ) async -> Visit {
        let common = hand.plan.blocks(for: classes)
        let asked = devices[device]
        var visit = await visit(asked, common + [hand.plan.retry(at: start)].compactMap { $0 }, after: &hand.lastAnswer)
        let unasked = hand.plan.unasked(for: classes, besides: visit.answers)
        deliver(visit, of: asked.entry, unasked: unasked)
        learn(visit, device, classes, &hand.plan)
        var outcome = Bus.outcome(of: visit)
        if outcome == .answered, !visit.hasWords, hand.plan.hasNothingLeft(of: Set(asked.periods.keys)) {
            outcome = .silent
            if visit.answers.isEmpty { visit.answers = unasked }
        } else if visit.answers.isEmpty {
            // All that was due is put aside: nothing was asked, nothing is known.
            return visit
        }
        let unread = hand.plan.unread(visit.answers, of: classes)
        settle(visit, outcome, device, classes, unread, from: start, hand.plan, &schedule)
        return visit
    }

    /// The counters alone, for the end of a quarter hour.
    @inline(never) private func close(
        _ device: Int, from start: Uptime, _ hand: Hand, _ schedule: inout PollPlan
    ) async {
        let (blocks, classes) = hand.plan.closing()
        let visit = await visit(devices[device], blocks, after: &hand.lastAnswer)
        guard !visit.answers.isEmpty else { return }
        deliver(visit, of: devices[device].entry, unasked: [])
        learn(visit, device, classes, &hand.plan)
        settle(visit, Bus.outcome(of: visit), device, [], [], from: start, hand.plan, &schedule)
    }

    @inline(never) private func probe(
        _ device: Int, from start: Uptime, _ hand: Hand, _ schedule: inout PollPlan
    ) async {
        // Everything was refused: by a device that boots, or by one that is there no more.
        if hand.plan.probe == nil { hand.plan.forgetRefusals(at: start) }
        let visit = await visit(devices[device], hand.plan.probe.map { [$0] } ?? [], after: &hand.lastAnswer)
        var told = visit
        if let fault = Bus.lineFault(of: visit) {
            told.answers = hand.plan.blocks(for: [.live]).map { BlockAnswer(block: $0, outcome: .fault(fault)) }
        }
        deliver(told, of: devices[device].entry, unasked: hand.plan.unasked(for: [.live], besides: told.answers))
        learn(visit, device, [], &hand.plan)
        // A refusal does not bring a device back; the next probe asks for something else.
        let isRefused = visit.answers.contains { $0.outcome == .fault(.exception(2)) }
        settle(visit, isRefused ? .silent : Bus.outcome(of: visit), device, [], [], from: start, hand.plan, &schedule)
        // It may be another device that came back.
        if schedule.state(of: device) == .online { hand.plan.forgetRefusals(at: visit.uptime) }
    }

    /// One visit; a device that sleeps is asked a second time. Nothing is asked when the bus ends before the device may be.
    ///
    /// The request that such a device loses counts as a request and not as a timeout: it is its way.
    func visit(_ device: DeviceDescription, _ blocks: [Block], after lastAnswer: inout Uptime?) async -> Visit {
        guard !blocks.isEmpty, await connectionIsQuiet() else {
            return Visit(answers: [], time: time.wall(), uptime: time.uptime(), requests: 0)
        }
        let visit = await ask(device, blocks, after: &lastAnswer)
        guard device.profile.limits.losesFirstRequest, visit.answers.first?.outcome == .fault(.timeout), !Task.isCancelled else {
            return visit
        }
        var second = await ask(device, blocks, after: &lastAnswer)
        second.requests += visit.requests
        return second
    }

    /// Connects, and waits for the silence that devices want after that; false when the bus is to end meanwhile.
    private func connectionIsQuiet() async -> Bool {
        guard connectDelay > .zero, let reader = reader as? any DelayKeeping, let quiet = await reader.connect() else { return true }
        while time.uptime() < quiet {
            let now = time.uptime()
            account.withLock { $0.heartbeat = now }
            do { try await time.sleep(until: min(quiet, now + Bus.longestWait)) } catch { return false }
        }
        return true
    }

    /// All blocks in one call; one by one where the device wants a pause between answer and request, from visit to visit too.
    private func ask(_ device: DeviceDescription, _ blocks: [Block], after lastAnswer: inout Uptime?) async -> Visit {
        let pause = device.profile.limits.requestPause
        guard pause > .zero, let first = blocks.first else { return await reader.read(blocks, unit: device.unit) }
        if let lastAnswer, time.uptime() < lastAnswer + pause { try? await time.sleep(until: lastAnswer + pause) }
        var whole = await reader.read([first], unit: device.unit)
        for (index, block) in blocks.enumerated().dropFirst() {
            // As a reader does: an exception does not end the visit, whoever it is from.
            if let fault = Bus.lineFault(of: whole), !Bus.isException(fault) {
                whole.answers += blocks[index...].map { BlockAnswer(block: $0, outcome: .fault(fault)) }
                break
            }
            // A cancelled sleep returns at once: the visit is finished all the same, if without the pause it would only be refused.
            try? await time.sleep(until: whole.uptime + pause)
            let part = await reader.read([block], unit: device.unit)
            whole = Visit(
                answers: whole.answers + part.answers, time: part.time, uptime: part.uptime, requests: whole.requests + part.requests)
        }
        if whole.requests > 0 { lastAnswer = whole.uptime }
        return whole
    }

    func deliver(_ visit: Visit, of entry: CatalogID, unasked: [BlockAnswer]) {
        let answers = unasked.isEmpty ? visit.answers : visit.answers + unasked
        guard !answers.isEmpty else { return }
        sink.take(
            Poll(
                entry: entry, time: visit.time, uptime: visit.uptime, clock: time.clockState().quality,
                answers: answers))
    }

    private func learn(_ visit: Visit, _ device: Int, _ classes: Set<PointClass>, _ plan: inout ReadPlan) {
        let wasSplit = plan.wasSplit
        let found = plan.learn(from: visit.answers, for: classes, at: visit.uptime)
        for block in found { log.refused(block, device: devices[device].name) }
        account.withLock { $0.publish(plan, of: device, after: visit) }
        if plan.wasSplit, !wasSplit { log.split(device: devices[device].name) }
    }

    func settle(
        _ visit: Visit, _ outcome: PollPlan.Outcome, _ device: Int, _ classes: Set<PointClass>, _ unread: Set<PointClass>,
        from start: Uptime, _ plan: ReadPlan, _ schedule: inout PollPlan, reason: String? = nil, isPoll: Bool = true
    ) {
        let change = schedule.record(device: device, outcome, classes: classes, unread: unread, at: visit.uptime)
        let reason =
            outcome == .answered ? nil : reason ?? (reader as? any FaultExplaining)?.lastError?.sentence ?? Bus.firstFault(of: visit)?.name
        let slots = schedule.slots(of: device)
        // A connection that ends over a request is the fault of the device that was asked.
        let down = outcome == .unreachable && visit.requests == 0 || schedule.isSilent
        let refused = plan.refusedPoints.map { plan.profile.points[$0].quantity.id }
        let turn = account.withLock { account in
            account.record(visit, device: device, change: change, slots: slots, refused: refused, isPoll: isPoll, from: start)
            return account.turnBus(down: down, answered: outcome == .answered, reason: reason, at: visit.time)
        }
        switch change {
        case .cameOnline: log.online(device: devices[device].name)
        case .wentOffline: log.offline(device: devices[device].name, fault: reason ?? "")
        case nil: break
        }
        if let turn { log.bus(turn, fault: reason ?? "") }
    }

    private func warnOfUnreadable(_ plans: [ReadPlan]) {
        for (device, plan) in zip(devices, plans) {
            for point in plan.unreadable { log.unreadable(device.profile.points[point].quantity.id, device: device.name) }
        }
    }

    // MARK: - What a visit means

    /// Exceptions 10 and 11 come from a gateway and say that the device behind it did not.
    static func outcome(of visit: Visit) -> PollPlan.Outcome {
        guard !visit.answers.isEmpty else { return .answered }
        var outcome = PollPlan.Outcome.silent
        for answer in visit.answers {
            switch answer.outcome {
            case .words: return .answered
            case .fault(.exception(let code)): if code != 10 && code != 11 { return .answered }
            case .fault(.noConnection): outcome = .unreachable
            case .fault(.timeout), .fault(.garbled): break
            }
        }
        return outcome
    }

    static func firstFault(of visit: Visit) -> ReadFault? {
        for answer in visit.answers { if case .fault(let fault) = answer.outcome { return fault } }
        return nil
    }

    private static func isException(_ fault: ReadFault) -> Bool { if case .exception = fault { true } else { false } }

    /// The fault that ended the visit; an exception does not.
    static func lineFault(of visit: Visit) -> ReadFault? {
        guard case .fault(let fault) = visit.answers.last?.outcome else { return nil }
        if case .exception(let code) = fault, code != 10, code != 11 { return nil }
        return fault
    }
}
