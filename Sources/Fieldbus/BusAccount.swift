import Metering

/// The books of a bus: what `status()` shows. Kept under a lock by `Bus`.
struct BusAccount: Sendable {
    enum Turn: Hashable, Sendable { case up, down }

    var heartbeat: Uptime
    /// As they are in force; empty before the bus runs.
    var plans: [ReadPlan] = []
    private var book: BusStatus
    private var utilization: Utilization

    init(name: String, devices: [DeviceDescription], now: Timestamp, uptime: Uptime) {
        heartbeat = uptime
        utilization = Utilization(start: uptime)
        book = BusStatus(
            name: name, state: .starting,
            devices: devices.map { DeviceStatus(name: $0.name, unit: $0.unit, state: .starting, stateSince: now) })
    }

    mutating func status(at now: Uptime) -> BusStatus {
        var copy = book
        copy.utilization = utilization.value(at: now)
        return copy
    }

    mutating func record(
        _ visit: Visit, device: Int, change: PollPlan.Change?, slots: SlotCount, refused: [String], isPoll: Bool = true, from start: Uptime
    ) {
        let fault = Bus.firstFault(of: visit)
        let failed = visit.answers.allSatisfy { if case .fault = $0.outcome { true } else { false } }
        heartbeat = visit.uptime
        utilization.add(from: start, to: visit.uptime)
        book.requests += visit.requests
        if visit.requests > 0 { count(visit.answers) }
        if isPoll, !failed {
            book.devices[device].lastPoll = visit.time
            book.devices[device].pollsOK += 1
        }
        book.devices[device].lastFault = isPoll || failed ? fault : nil
        book.devices[device].pollsFailed += failed ? 1 : 0
        book.devices[device].pollsSkipped = slots.skipped
        book.devices[device].pollsLate = slots.late
        book.devices[device].refusedPoints = refused
        guard let change else { return }
        book.devices[device].state = change == .cameOnline ? .online : .offline
        book.devices[device].stateSince = visit.time
    }

    /// Keeps a plan that has changed: its requests, or when it asks again for what it did not get.
    mutating func publish(_ plan: ReadPlan, of device: Int, after visit: Visit) {
        guard plan.revision != plans[device].revision || Bus.firstFault(of: visit) != nil else { return }
        plans[device] = plan
    }

    /// - Parameter fault: nil when the device has a map.
    mutating func note(mapFault fault: String?, device: Int) { book.devices[device].mapFault = fault }

    func mapFault(of device: Int) -> String? { book.devices[device].mapFault }

    /// A request between the polls. Its bus time counts; that nobody answers at an address someone tries is no fault of the bus.
    mutating func record(guest visit: Visit, from start: Uptime) {
        heartbeat = visit.uptime
        utilization.add(from: start, to: visit.uptime)
        book.requests += visit.requests
    }

    /// Up to the first fault of the line: what came after it was not asked.
    private mutating func count(_ answers: [BlockAnswer]) {
        for answer in answers {
            switch answer.outcome {
            case .words: continue
            case .fault(.exception): book.errors += 1
            case .fault(.timeout): return book.timeouts += 1
            case .fault(.garbled): return book.errors += 1
            case .fault(.noConnection): return
            }
        }
    }

    /// Nil when the bus stays as it was. Between up and down a silent device of several changes nothing.
    mutating func turnBus(down: Bool, answered: Bool, reason: String?, at now: Timestamp) -> Turn? {
        if answered, book.state != .up {
            let wasDown = book.state == .down
            book.state = .up
            book.fault = nil
            book.faultSince = nil
            return wasDown ? .up : nil
        }
        guard down else { return nil }
        book.fault = reason
        guard book.state != .down else { return nil }
        book.state = .down
        book.faultSince = now
        return .down
    }
}
