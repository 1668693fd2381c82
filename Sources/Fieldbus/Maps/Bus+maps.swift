import Metering

/// Devices whose map is found out by asking them. The search shares the device's turns with nobody's: each turn asks for a few registers,
/// and one answer that fails to come ends it, so that its neighbours lose no more by it than by a poll.
extension Bus {
    /// A turn asks no further after this long.
    static let searchTurn = Duration.milliseconds(250)

    /// One turn of the search in place of a poll.
    @inline(never) func find(
        _ device: Int, _ classes: Set<PointClass>, from start: Uptime, _ hand: Hand, _ schedule: inout PollPlan
    ) async {
        let description = devices[device]
        var turn = Visit(answers: [], time: time.wall(), uptime: start, requests: 0)
        var ending: SunSpecFinder.Ending?
        while ending == nil, let block = hand.finder?.next {
            let visit = await visit(description, [block], after: &hand.lastAnswer)
            // The bus ends.
            guard let outcome = visit.answers.first?.outcome else { return }
            turn = Visit(
                answers: turn.answers + visit.answers, time: visit.time, uptime: visit.uptime, requests: turn.requests + visit.requests)
            ending = hand.finder?.take(outcome, at: visit.uptime)
            if Bus.lineFault(of: visit) != nil || visit.uptime - start >= Bus.searchTurn { break }
        }
        guard !turn.answers.isEmpty else { return }
        var outcome = Bus.outcome(of: turn)
        var reason: String?
        if ending == .notSunSpec {
            let bases = (description.search?.bases ?? []).map { String($0) }.joined(separator: ", ")
            reason = "answers, but there is no SunSpec map at \(bases)"
        }
        if case .found(let chain) = ending {
            do {
                adopt(try FoundMap(chain), device, &hand.plan, &schedule, at: turn.uptime)
            } catch {
                reason = error.sentence
            }
        }
        if reason != nil {
            // It is probed ever more rarely, as a silent one is.
            outcome = .silent
            hand.finder?.begin()
        }
        note(reason, device)
        if outcome != .answered { deliverFaults(turn, device, classes, &hand.plan) }
        settle(turn, outcome, device, classes, [], from: start, hand.plan, &schedule, reason: reason, isPoll: false)
        if outcome == .answered, hand.finder?.isRetrying == false { schedule.renew(device: device, at: turn.uptime) }
    }

    /// Whether what a poll brought means that the map is another one: a model's id is not where it was, or registers are refused.
    @inline(never) func reconsider(_ device: Int, after visit: Visit, _ hand: Hand, _ schedule: inout PollPlan) {
        let now = visit.uptime
        let isOther = visit.answers.contains { answer in
            switch answer.outcome {
            case .fault(.exception(2)): return true
            case .fault: return false
            case .words(let words):
                return devices[device].profile.identity.contains { check in
                    guard answer.block.covers(check.block) else { return false }
                    let start = Int(check.block.address) - Int(answer.block.address)
                    return words.count >= start + Int(check.block.count)
                        && !check.matches(Array(words[start..<start + Int(check.block.count)]))
                }
            }
        }
        if isOther {
            guard hand.finder?.reconsider(at: now) == true else { return }
        } else {
            guard hand.finder?.wantsSecondLook(at: now) == true else { return }
            hand.finder?.begin()
        }
        schedule.renew(device: device, at: now)
    }

    /// From now on the device has this map; nothing changes where it has it already.
    private func adopt(_ map: FoundMap, _ device: Int, _ plan: inout ReadPlan, _ schedule: inout PollPlan, at now: Uptime) {
        let before = devices[device]
        let isNew = before.profile.points.isEmpty
        guard map.profile != before.profile, !map.isRemnant(of: before.profile) else { return }
        guard let entry = maps?.keep(map, of: before.name) else { return }
        var after = before
        after.profile = map.profile
        after.entry = entry
        known.withLock { $0[device] = after }
        plan = ReadPlan(profile: map.profile, cost: BusCost(of: description.address))
        budgetCache.withLock { $0 = nil }
        account.withLock { [plan] in $0.plans[device] = plan }
        let closing = description.closesQuarterHours ? plan.closingTime() : nil
        schedule.renew(device: device, periods: Bus.usefulPeriods(after), closing: closing, at: now)
        log.found(map, device: before.name, isNew: isNew)
    }

    private func note(_ reason: String?, _ device: Int) {
        let isNews = account.withLock { account in
            defer { account.note(mapFault: reason, device: device) }
            return account.mapFault(of: device) != reason
        }
        if isNews, let reason { log.unmapped(device: devices[device].name, reason: reason) }
    }

    /// What was due has no value: by the map that is known, if one is.
    private func deliverFaults(
        _ turn: Visit, _ device: Int, _ classes: Set<PointClass>, _ plan: inout ReadPlan
    ) {
        let fault = Bus.lineFault(of: turn) ?? .timeout
        var told = turn
        told.answers = plan.blocks(for: classes).map { BlockAnswer(block: $0, outcome: .fault(fault)) }
        deliver(told, of: devices[device].entry, unasked: [])
    }
}
