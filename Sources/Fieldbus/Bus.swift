import Host
import Logging
import Metering

/// Polls the devices of one bus for as long as `run` runs, and hands every visit on as a poll, failed ones too.
///
/// It decides nothing: `PollPlan` says when and whom, `ReadPlan` what, the reader how.
package final class Bus: Sendable {
    /// The loop turns at least this often while it waits; a visit may add its timeouts. For whoever watches `heartbeat`.
    package static let longestWait = Duration.seconds(10)
    /// What the kernel says of its clock is asked no more often.
    static let clockStateLifetime = Duration.seconds(1)

    package let description: BusDescription
    package let devices: [DeviceDescription]
    private let reader: any RegisterReader
    private let sink: any PollSink
    private let time: any TimeSource
    private let log: BusLog
    private let account: Lock<BusAccount>

    package init(
        _ description: BusDescription, devices: [DeviceDescription], reader: any RegisterReader, sink: any PollSink, time: any TimeSource,
        logger: Logger
    ) {
        self.description = description
        self.devices = devices
        self.reader = reader
        self.sink = sink
        self.time = time
        log = BusLog(bus: description.name, logger)
        account = Lock(BusAccount(name: description.name, devices: devices, now: time.wall(), uptime: time.uptime()))
    }

    package func status() -> BusStatus { account.withLock { $0.status(at: time.uptime()) } }

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

    private func loop() async throws {
        let start = time.uptime()
        var plans = devices.map { ReadPlan(profile: $0.profile, cost: BusCost(of: description.address)) }
        warnOfUnreadable(plans)
        var schedule = PollPlan(periods: devices.map(Bus.usefulPeriods), start: start)
        var clock = CachedClock()
        while !Task.isCancelled {
            let now = time.uptime()
            account.withLock { $0.heartbeat = now }
            switch schedule.next(at: now, wallOffset: .nanoseconds(time.wall().milliseconds * 1_000_000 - now.nanoseconds)) {
            case .wait(let until):
                do { try await time.sleep(until: min(until, now + Bus.longestWait)) } catch { break }
            case .reopen:
                await reader.close()
            case .read(let device, let classes):
                let visit = await visit(devices[device], plans[device].blocks(for: classes))
                deliver(visit, of: device, refusals: plans[device].refusals(for: classes), &clock)
                learn(visit, device, &plans[device])
                settle(visit, device, classes, from: now, &schedule)
            case .probe(let device):
                let blocks = plans[device].probe.map { [$0] } ?? []
                var visit = await visit(devices[device], blocks)
                if let fault = Bus.lineFault(of: visit) {
                    visit.answers = plans[device].blocks(for: [.live]).map { BlockAnswer(block: $0, outcome: .fault(fault)) }
                }
                deliver(visit, of: device, refusals: [], &clock)
                settle(visit, device, [], from: now, &schedule)
                // It may be another device that came back.
                if schedule.state(of: device) == .online { plans[device].forgetRefusals() }
            }
        }
        await reader.close()
    }

    /// Classes that the profile has no point of would only wake the bus.
    private static func usefulPeriods(_ device: DeviceDescription) -> [PointClass: Duration] {
        let present = Set(device.profile.points.map(\.pointClass))
        return device.periods.filter { present.contains($0.key) }
    }

    // MARK: - A visit

    /// All blocks in one call; one by one where the device wants a pause between answer and request.
    private func visit(_ device: DeviceDescription, _ blocks: [Block]) async -> Visit {
        let pause = device.profile.limits.requestPause
        guard pause > .zero, blocks.count > 1 else { return await reader.read(blocks, unit: device.unit) }
        var whole = await reader.read([blocks[0]], unit: device.unit)
        for (index, block) in blocks.enumerated().dropFirst() {
            if let fault = Bus.lineFault(of: whole) {
                whole.answers += blocks[index...].map { BlockAnswer(block: $0, outcome: .fault(fault)) }
                break
            }
            // A cancelled sleep returns at once: the visit is finished all the same, if without the pause it would only be refused.
            try? await time.sleep(until: whole.uptime + pause)
            let part = await reader.read([block], unit: device.unit)
            whole = Visit(
                answers: whole.answers + part.answers, time: part.time, uptime: part.uptime, requests: whole.requests + part.requests)
        }
        return whole
    }

    private func deliver(_ visit: Visit, of device: Int, refusals: [BlockAnswer], _ clock: inout CachedClock) {
        let answers = refusals.isEmpty ? visit.answers : visit.answers + refusals
        guard !answers.isEmpty else { return }
        sink.take(
            Poll(
                entry: devices[device].entry, time: visit.time, uptime: visit.uptime, clock: clock.quality(at: visit.uptime, time),
                answers: answers))
    }

    private func learn(_ visit: Visit, _ device: Int, _ plan: inout ReadPlan) {
        let wasSplit = plan.wasSplit
        let found = plan.learn(from: visit.answers)
        for block in found { log.refused(block, device: devices[device].name) }
        if plan.wasSplit, !wasSplit { log.split(device: devices[device].name) }
    }

    private func settle(
        _ visit: Visit, _ device: Int, _ classes: Set<PointClass>, from start: Uptime, _ schedule: inout PollPlan
    ) {
        let outcome = Bus.outcome(of: visit)
        let change = schedule.record(device: device, outcome, classes: classes, at: visit.uptime)
        let reason = outcome == .answered ? nil : (reader as? any FaultExplaining)?.lastError?.sentence ?? Bus.firstFault(of: visit)?.name
        let skipped = schedule.skipped(of: device)
        let down = outcome == .unreachable || schedule.isSilent
        let turn = account.withLock { account in
            account.record(visit, device: device, change: change, skipped: skipped, from: start)
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

    /// The fault that ended the visit; an exception does not.
    private static func lineFault(of visit: Visit) -> ReadFault? {
        guard case .fault(let fault) = visit.answers.last?.outcome else { return nil }
        if case .exception(let code) = fault, code != 10, code != 11 { return nil }
        return fault
    }
}

/// Asks the kernel about its clock once a second at most.
private struct CachedClock {
    private var quality = TimeQuality.unknown
    private var validUntil: Uptime?

    mutating func quality(at now: Uptime, _ time: any TimeSource) -> TimeQuality {
        if let validUntil, now < validUntil { return quality }
        quality = time.clockState().quality
        validUntil = now + Bus.clockStateLifetime
        return quality
    }
}
