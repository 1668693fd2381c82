import Fieldbus
import Host
import Metering
import Store
import Uplink

/// The gateway as it is seen from outside: every figure gathered from the part that keeps it.
package final class GatewayState: GatewayView {
    private let started: Timestamp
    private let startedUptime: Uptime
    private let parts: GatewayParts
    private let time: any TimeSource
    /// When a problem was first seen, for those whose part does not keep it.
    private let firstSeen = Lock<[String: Timestamp]>([:])
    /// The count of lost polls and when it last grew.
    private let losses = Lock<(polls: Int, grew: Uptime?)?>(nil)
    /// Why the last reload changed nothing; nil when it was applied.
    private let reloadProblem = Lock<ReloadProblem?>(nil)
    let listenerFaults = ListenerFaults()
    /// A loss is news for so long.
    static let lossNews: Duration = .seconds(3600)

    init(started: Timestamp, startedUptime: Uptime, parts: GatewayParts, time: any TimeSource) {
        self.started = started
        self.startedUptime = startedUptime
        self.parts = parts
        self.time = time
    }

    func note(reloadProblem problem: ReloadProblem?) { reloadProblem.withLock { $0 = problem } }

    package func status() async -> StatusReport {
        let lineup = parts.lineup.withLock { $0 }
        let configuration = lineup.configuration
        let buses = lineup.buses.map { $0.status() }
        let journalState = await parts.store.journalState()
        let outputStates = await parts.store.outputStates()
        // A journal that could not be opened at the start may be by now.
        let openReport = await parts.store.openReport
        let clock = time.clockState()
        let facts = ProblemFacts(
            now: time.wall(), started: started, buses: buses, clock: clock, journal: journalState, isLosing: isLosing(journalState),
            journalError: parts.journal.lastError, openReport: openReport, outputs: configuration.outputs.map(\.name),
            deliveries: lineup.deliveries.map(\.status), outputStates: outputStates, reloadProblem: reloadProblem.withLock { $0 },
            exchanges: configuration.devices.compactMap { [known = parts.exchanges.exchanges] in known[$0.name] },
            listenerFaults: listenerFaults.all)
        let problems = dated(facts.problems)
        return StatusReport(
            version: Gateway.version, gateway: configuration.gateway.id, journalID: openReport.journalID, started: started,
            uptimeSeconds: Int((time.uptime() - startedUptime).seconds), health: ProblemFacts.health(problems.map(\.severity)),
            problems: problems.map(\.report),
            clock: ClockReport(clock),
            buses: buses.map(GatewayState.report), devices: deviceReports(configuration, buses), journal: GatewayState.report(journalState),
            outputs: outputReports(lineup, outputStates))
    }

    package func devices() async -> [DeviceReport] {
        let lineup = parts.lineup.withLock { $0 }
        return deviceReports(lineup.configuration, lineup.buses.map { $0.status() })
    }

    package func outputs() async -> [OutputReport] {
        outputReports(parts.lineup.withLock { $0 }, await parts.store.outputStates())
    }

    package func readings(device: String?) async throws(GatewayViewError) -> ReadingsReport {
        let configuration = parts.lineup.withLock { $0.configuration }
        let names = configuration.devices.map(\.name)
        if let device, !names.contains(device) { throw .unknownDevice(device, known: names) }
        let snapshots = parts.live.snapshots().filter { device == nil || $0.entry.device == device }
        // A device whose map was found later stands where the config has it.
        let places = Dictionary(names.enumerated().map { ($0.element, $0.offset) }) { first, _ in first }
        let sorted = snapshots.sorted { places[$0.entry.device] ?? 0 < places[$1.entry.device] ?? 0 }
        return ReadingsReport(gateway: configuration.gateway.id, time: time.wall(), readings: sorted.map(GatewayState.report))
    }

    /// One line for `systemctl status`.
    func line() async -> String {
        let report = await status()
        let online = report.devices.reduce(0) { $0 + ($1.state == .online ? 1 : 0) }
        let backlog = report.outputs.map(\.backlogPolls).max() ?? 0
        return "\(report.health.rawValue): \(online) of \(report.devices.count) devices online, \(backlog) polls to hand on"
    }

    // MARK: Reports

    private func isLosing(_ journal: JournalState) -> Bool {
        let now = time.uptime()
        return losses.withLock { losses in
            let grew = losses.map { $0.polls < journal.lostPolls ? now : $0.grew } ?? nil
            losses = (journal.lostPolls, grew)
            return grew.map { now - $0 < GatewayState.lossNews } ?? false
        }
    }

    private func dated(_ problems: [ProblemFacts.Problem]) -> [ProblemFacts.Problem] {
        let now = time.wall()
        return firstSeen.withLock { seen in
            let keys = Set(problems.map(\.key))
            seen = seen.filter { keys.contains($0.key) }
            return problems.map { problem in
                var problem = problem
                if problem.report.since == ProblemFacts.unknownSince {
                    problem.report.since = seen[problem.key] ?? now
                    seen[problem.key] = problem.report.since
                }
                return problem
            }
        }
    }

    private func deviceReports(_ configuration: Configuration, _ buses: [BusStatus]) -> [DeviceReport] {
        let known = Dictionary(buses.flatMap(\.devices).map { ($0.name, $0) }) { first, _ in first }
        return configuration.devices.map { device in
            let status = known[device.name]
            return DeviceReport(
                name: device.name, bus: device.bus, unit: Int(device.unit), profile: device.profile.name,
                state: status.flatMap { DeviceReport.State(rawValue: $0.state.rawValue) } ?? .starting, lastPoll: status?.lastPoll,
                pollsOK: status?.pollsOK ?? 0, pollsFailed: status?.pollsFailed ?? 0, pollsSkipped: status?.pollsSkipped ?? 0)
        }
    }

    private func outputReports(_ lineup: Lineup, _ states: [OutputState]) -> [OutputReport] {
        let known = Dictionary(states.map { ($0.name, $0) }) { first, _ in first }
        return zip(lineup.configuration.outputs, lineup.deliveries).map { output, delivery in
            let state = known[output.name]
            let status = delivery.status
            return OutputReport(
                name: output.name, type: output.type.rawValue,
                state: state?.isPaused == true ? .paused : OutputReport.State(rawValue: status.state.rawValue) ?? .idle,
                cursor: state?.cursor ?? 0, backlogPolls: state?.backlogPolls ?? 0, acceptedPolls: state?.acceptedPolls ?? 0,
                rejectedPolls: state?.rejectedPolls ?? 0, deadLetters: state?.deadLetters ?? 0,
                deadLettersDropped: state?.deadLettersDropped ?? 0, pausedByOperator: state?.isPaused ?? false,
                lastSuccess: status.lastSuccess, lastError: status.lastError, filteredPolls: state?.filteredPolls ?? 0,
                liveCursor: state?.liveCursor, historicalPolls: state?.historicalPolls ?? 0)
        }
    }

    private static func report(_ bus: BusStatus) -> BusReport {
        BusReport(
            name: bus.name, state: BusReport.State(rawValue: bus.state.rawValue) ?? .starting, utilization: bus.utilization,
            requests: bus.requests, timeouts: bus.timeouts, errors: bus.errors)
    }

    static func report(_ journal: JournalState) -> JournalReport {
        JournalReport(
            firstSeq: journal.firstSeq, lastSeq: journal.lastSeq, polls: journal.polls, readings: journal.readings, bytes: journal.bytes,
            lostPolls: journal.lostPolls, lostReadings: journal.lostReadings, lostFrom: journal.lostTimes?.lowerBound,
            lostUntil: journal.lostTimes?.upperBound, restoredFrom: journal.restore?.from, restoredAt: journal.restore?.at)
    }

    private static func report(_ device: LiveReadings.Snapshot) -> DeviceReadings {
        DeviceReadings(
            device: device.entry.device, role: device.entry.role, lastPoll: device.readings.map(\.time).max(),
            points: device.readings.map { reading, time, clock in
                PointReport(
                    quantity: device.decoder.quantities[reading.point], value: reading.value, quality: reading.quality, time: time,
                    clock: clock)
            })
    }
}
