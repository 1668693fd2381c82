import FoundationEssentials
import Metering

/// The last values and the daemon's own health in the text format of Prometheus, as `/metrics` answers.
///
/// - Source: Prometheus, "Exposition formats", text format 0.0.4: label values escape backslash, double quote and line feed.
package struct MetricsText: Sendable {
    package static let contentType = "text/plain; version=0.0.4; charset=utf-8"

    package private(set) var text = ""

    package init(status: StatusReport, readings: ReadingsReport) {
        measured(readings)
        daemon(status)
        buses(status.buses)
        devices(status.devices)
        outputs(status.outputs)
    }

    // MARK: What the meters say

    private mutating func measured(_ report: ReadingsReport) {
        typealias Sample = (labels: [(String, String)], value: String)
        var samples: [Sample] = []
        for device in report.readings {
            for point in device.points {
                guard case .number(let number)? = point.value else { continue }
                let labels = [
                    ("device", device.device), ("role", device.role.rawValue), ("quantity", point.quantity), ("unit", point.unit),
                ]
                samples.append((labels, number.description))
            }
        }
        // Counters may fall when a meter is exchanged, and gauges stand beside them: what kind a point is, its quantity says.
        family("meterd_reading", "untyped", "The last value of a point, in its unit; none while it is not known.", samples)
    }

    // MARK: How the daemon is

    private mutating func daemon(_ status: StatusReport) {
        single("meterd_info", "gauge", "The running daemon.", [("version", status.version), ("gateway", status.gateway)], 1)
        let health: [StatusReport.Health] = [.ok, .degraded, .failed]
        family(
            "meterd_health", "gauge", "1 for how the daemon is now.",
            health.map { ([("state", $0.rawValue)], status.health == $0 ? "1" : "0") })
        single("meterd_problems", "gauge", "Problems that meterctl status lists.", [], status.problems.count)
        single("meterd_uptime_seconds", "gauge", "Time since the daemon started.", [], status.uptimeSeconds)
        single(
            "meterd_clock_synchronized", "gauge", "1 while the kernel calls the clock synchronised.", [], status.clock.synchronized ? 1 : 0)
        single("meterd_journal_bytes", "gauge", "Bytes in use in the database.", [], status.journal.bytes)
        single("meterd_journal_polls", "gauge", "Polls that are kept.", [], status.journal.polls)
        single("meterd_journal_last_seq", "gauge", "Seq of the newest committed poll.", [], Int(status.journal.lastSeq))
        single("meterd_lost_polls_total", "counter", "Polls lost since the database was made.", [], status.journal.lostPolls)
        single("meterd_lost_readings_total", "counter", "Readings lost since the database was made.", [], status.journal.lostReadings)
    }

    private mutating func buses(_ buses: [BusReport]) {
        func each(_ value: (BusReport) -> String) -> [([(String, String)], String)] { buses.map { ([("bus", $0.name)], value($0)) } }
        family("meterd_bus_up", "gauge", "1 while the bus works.", each { $0.state == .up ? "1" : "0" })
        family("meterd_bus_utilization_ratio", "gauge", "Share of the time with a request in flight.", each { "\($0.utilization)" })
        family("meterd_bus_requests_total", "counter", "Requests put on the wire.", each { "\($0.requests)" })
        family("meterd_bus_timeouts_total", "counter", "Requests without an answer in time.", each { "\($0.timeouts)" })
        family("meterd_bus_errors_total", "counter", "Requests with a garbled answer or an exception.", each { "\($0.errors)" })
    }

    private mutating func devices(_ devices: [DeviceReport]) {
        func each(_ value: (DeviceReport) -> String) -> [([(String, String)], String)] {
            devices.map { ([("device", $0.name), ("bus", $0.bus)], value($0)) }
        }
        family("meterd_device_online", "gauge", "1 while the device answers.", each { $0.state == .online ? "1" : "0" })
        family(
            "meterd_device_polls_total", "counter", "Polls by what came of them.",
            devices.flatMap { device in
                [("ok", device.pollsOK), ("failed", device.pollsFailed), ("skipped", device.pollsSkipped)].map { result, count in
                    ([("device", device.name), ("bus", device.bus), ("result", result)], "\(count)")
                }
            })
    }

    private mutating func outputs(_ outputs: [OutputReport]) {
        func each(_ value: (OutputReport) -> String) -> [([(String, String)], String)] {
            outputs.map { ([("output", $0.name), ("type", $0.type)], value($0)) }
        }
        family(
            "meterd_output_up", "gauge", "1 while the output delivers or has nothing to deliver.",
            each { $0.state == .delivering || $0.state == .idle ? "1" : "0" })
        family("meterd_output_backlog_polls", "gauge", "Polls that wait to be handed on.", each { "\($0.backlogPolls)" })
        family(
            "meterd_output_historical_polls", "gauge", "Those of the waiting polls that newer ones have overtaken.",
            each { "\($0.historicalPolls)" })
        family(
            "meterd_output_filtered_polls_total", "counter", "Polls of which the output's filter left nothing.",
            each { "\($0.filteredPolls)" })
        family("meterd_output_accepted_polls_total", "counter", "Polls that the receiver took.", each { "\($0.acceptedPolls)" })
        family("meterd_output_rejected_polls_total", "counter", "Polls that the receiver refused.", each { "\($0.rejectedPolls)" })
        family("meterd_output_dead_letters", "gauge", "Refused polls that are kept.", each { "\($0.deadLetters)" })
    }

    // MARK: The format

    private mutating func single(_ name: String, _ type: String, _ help: String, _ labels: [(String, String)], _ value: Int) {
        family(name, type, help, [(labels, "\(value)")])
    }

    /// A family's lines stand together, after its HELP and TYPE.
    private mutating func family(_ name: String, _ type: String, _ help: String, _ samples: [(labels: [(String, String)], value: String)]) {
        if samples.isEmpty { return }
        text += "# HELP \(name) \(help)\n# TYPE \(name) \(type)\n"
        for sample in samples {
            let labels = sample.labels.map { "\($0.0)=\"\(MetricsText.escaped($0.1))\"" }.joined(separator: ",")
            text += labels.isEmpty ? "\(name) \(sample.value)\n" : "\(name){\(labels)} \(sample.value)\n"
        }
    }

    package static func escaped(_ value: String) -> String {
        value.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"").replacing("\n", with: "\\n")
    }
}
