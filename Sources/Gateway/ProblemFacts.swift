import Fieldbus
import Host
import Metering
import Store
import Uplink

/// What is wrong now, told from the state of the parts. Pure: the same facts give the same problems.
struct ProblemFacts {
    enum Severity: Comparable {
        /// Over; it is told, and changes nothing.
        case past
        case heals
        case needsSomeone
    }

    struct Problem {
        var report: ProblemReport
        var severity: Severity
        var key: String { "\(report.code) \(report.subject)" }
    }

    /// Stands for "since it was first seen", where a part does not keep it.
    static let unknownSince = Timestamp(milliseconds: 0)
    /// How long the status tells that the journal was put back from a backup.
    static let restoreTold: Duration = .seconds(7 * 86_400)

    var now: Timestamp
    var started: Timestamp
    var buses: [BusStatus]
    var clock: ClockState
    var journal: JournalState
    /// Polls were lost within the last hour.
    var isLosing: Bool
    var journalError: StoreError?
    var openReport: OpenReport
    var outputs: [String]
    var deliveries: [DeliveryStatus]
    var outputStates: [OutputState]
    /// Why the last reload changed nothing; nil when it was applied.
    var reloadProblem: ReloadProblem?
    /// The last exchange of each configured device that had one.
    var exchanges: [DeviceExchange] = []
    /// Where the local API should be and is not, and why.
    var listenerFaults: [(door: String, text: String)] = []

    /// The worst first, then in the order of buses, devices and outputs.
    var problems: [Problem] {
        let all = reloadProblems + journalProblems + busProblems + exchangeProblems + outputProblems + clockProblems + listenerProblems
        return all.enumerated().sorted { ($1.element.severity, $0.offset) < ($0.element.severity, $1.offset) }.map(\.element)
    }

    static func health(_ severities: [Severity]) -> StatusReport.Health {
        switch severities.max() {
        case nil, .past: .ok
        case .heals: .degraded
        case .needsSomeone: .failed
        }
    }

    private func problem(_ severity: Severity, _ code: String, _ subject: String, since: Timestamp? = nil, _ text: String) -> Problem {
        Problem(
            report: ProblemReport(code: code, subject: subject, since: since ?? ProblemFacts.unknownSince, text: text), severity: severity)
    }

    private var reloadProblems: [Problem] {
        guard let reloadProblem else { return [] }
        switch reloadProblem {
        case .refused(let text):
            // With this file the daemon would not start again.
            return [problem(.needsSomeone, "reload_refused", "config", "\(text); mend it and run meterctl reload")]
        case .needsRestart(let text):
            return [problem(.heals, "restart_needed", "config", text)]
        }
    }

    private var journalProblems: [Problem] {
        var list: [Problem] = []
        if let journalError {
            list.append(
                problem(
                    .needsSomeone, journalError.code.rawValue, "journal",
                    "\(journalError); polling goes on, the newest polls wait in memory"))
        }
        if let path = openReport.quarantined {
            list.append(
                problem(
                    .heals, "database_quarantined", "journal", since: started,
                    "the database was damaged (\(openReport.reason ?? "unknown damage")) and stands aside as \(path); a new one was begun"
                        + ProblemFacts.salvage(openReport.salvaged)))
        }
        if let restore = journal.restore, openReport.restoredFrom != nil || restore.at.advanced(by: ProblemFacts.restoreTold) > now {
            list.append(
                problem(
                    .past, "journal_restored", "journal", since: restore.at,
                    "the database is older than the one that was here, from a backup or after damage: on \(restore.at.rfc3339) its journal "
                        + "id changed from \(restore.from) to \(journal.journalID); what was unsent in it may reach receivers twice"))
        }
        if journal.lostPolls > 0 {
            list.append(
                problem(
                    isLosing ? .needsSomeone : .past, "polls_lost", "journal",
                    "\(journal.lostPolls) polls with \(journal.lostReadings) readings\(ProblemFacts.span(journal.lostTimes)) were lost: "
                        + "to a full disk or the size limit before every output had them, or to damage (meterctl journal lists them)"))
        }
        return list
    }

    /// How much of the damaged database is in the new one.
    private static func salvage(_ report: SalvageReport?) -> String {
        guard let report else { return ", nothing could be brought over into it" }
        let lost = report.lostPolls == 0 ? "none is known to be missing" : "\(report.lostPolls) are lost"
        return " with \(report.polls) polls that could be read; \(lost)"
    }

    private var busProblems: [Problem] {
        buses.flatMap { bus -> [Problem] in
            if bus.state == .down {
                let fault = bus.fault ?? "no device answers"
                return [problem(.heals, "bus_down", bus.name, since: bus.faultSince, "\(fault); it is tried again")]
            }
            let refusals = bus.devices.filter { !$0.refusedPoints.isEmpty }.map { device in
                problem(
                    .heals, "registers_refused", device.name,
                    "refuses the registers of \(device.refusedPoints.joined(separator: ", ")) (exception 2); they are asked again every ten "
                        + "minutes, check that the profile fits the model")
            }
            return refusals
                + bus.devices.filter { $0.state == .offline }.map { device in
                    problem(
                        .heals, "device_offline", device.name, since: device.stateSince,
                        ProblemFacts.silence(of: device, on: bus.name))
                }
        }
    }

    private static func silence(of device: DeviceStatus, on bus: String) -> String {
        if let fault = device.mapFault {
            return "\(fault) (on \(bus), unit \(device.unit)); it is asked again, or name the profile of its model"
        }
        return "does not answer on \(bus), unit \(device.unit) (\(device.lastFault?.name ?? "no answer")); it is probed, check its "
            + "power, wiring and address"
    }

    /// ` read from 2026-11-24T06:00:00.000Z to 2026-11-24T07:00:00.000Z`.
    private static func span(_ times: ClosedRange<Timestamp>?) -> String {
        times.map { " read from \($0.lowerBound.rfc3339) to \($0.upperBound.rfc3339)" } ?? ""
    }

    private var outputProblems: [Problem] {
        let paused = Set(outputStates.filter(\.isPaused).map(\.name))
        return zip(outputs, deliveries).flatMap { name, delivery -> [Problem] in
            if paused.contains(name) {
                let text = "someone paused it; go on with: meterctl outputs \(name) resume"
                return [problem(.heals, "output_paused_by_operator", name, text)]
            }
            if let since = delivery.holdingSince {
                return [
                    problem(
                        .heals, "output_holds_undated", name, since: since,
                        "polls that were read before the clock was set wait for a time server; check that the gateway reaches one")
                ]
            }
            let error = delivery.lastError ?? "no answer"
            switch delivery.state {
            case .delivering, .idle: return []
            case .retrying: return [problem(.heals, "output_retrying", name, since: delivery.failingSince, "\(error); it is tried again")]
            case .paused:
                return [problem(.needsSomeone, "output_paused", name, since: delivery.failingSince, "\(error); nothing is lost, mend it")]
            case .blocked:
                return [problem(.needsSomeone, "output_blocked", name, since: delivery.failingSince, "\(error); nothing is lost, mend it")]
            }
        }
            + outputStates.filter { $0.deadLetters > 0 }.map { state in
                problem(
                    .past, "dead_letters", state.name,
                    "\(state.deadLetters) records were refused by the receiver and are kept as dead letters (meterctl dead-letters list "
                        + "\(state.name) shows why)")
            }
            + outputStates.filter { $0.deadLettersDropped > 0 }.map { state in
                problem(
                    .past, "dead_letters_dropped", state.name,
                    "\(state.deadLettersDropped) dead letters were removed for newer ones: only so many are kept")
            }
    }

    private var listenerProblems: [Problem] {
        listenerFaults.map { door, text in problem(.heals, "api_not_listening", door, "\(text); it is tried again") }
    }
}
