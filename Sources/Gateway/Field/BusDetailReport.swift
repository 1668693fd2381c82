import Fieldbus
import Metering

/// One bus with its load, as `/v1/buses` lists it.
package struct BusDetailReport: Hashable, Sendable, Decodable {
    /// What one of its devices gets of it.
    package struct Device: Hashable, Sendable, Decodable {
        package var name: String
        package var unit: Int
        package var state: DeviceReport.State
        package var pollsOK: Int
        package var pollsFailed: Int
        package var pollsSkipped: Int
        package var pollsLate: Int
        /// Running mean, wire time apart; nil before its first answer.
        package var responseMilliseconds: Double?
        /// How long its next answer is waited for; nil where that is not known.
        package var timeoutMilliseconds: Double?
    }

    package var name: String
    package var state: BusReport.State
    /// Why it is down.
    package var fault: String?
    /// Measured: share of the last minute in which a request was in flight.
    package var utilization: Double
    package var predicted: BudgetReport
    package var requests: Int
    package var timeouts: Int
    package var errors: Int
    package var responseMilliseconds: Double?
    package var devices: [Device]

    package var pollsSkipped: Int { devices.reduce(0) { $0 + $1.pollsSkipped } }
    package var pollsLate: Int { devices.reduce(0) { $0 + $1.pollsLate } }

    init(_ bus: Bus) {
        let status = bus.status()
        name = status.name
        state = BusReport.State(rawValue: status.state.rawValue) ?? .starting
        fault = status.fault
        utilization = status.utilization
        predicted = BudgetReport(bus.budget)
        requests = status.requests
        timeouts = status.timeouts
        errors = status.errors
        responseMilliseconds = status.response.map { $0.seconds * 1000 }
        devices = status.devices.map { device in
            let timing = bus.timing(unit: device.unit)
            return Device(
                name: device.name, unit: Int(device.unit), state: DeviceReport.State(rawValue: device.state.rawValue) ?? .starting,
                pollsOK: device.pollsOK, pollsFailed: device.pollsFailed, pollsSkipped: device.pollsSkipped, pollsLate: device.pollsLate,
                responseMilliseconds: timing?.typical.map { $0.seconds * 1000 },
                timeoutMilliseconds: timing.map { $0.timeout.seconds * 1000 })
        }
    }
}

extension BusDetailReport: JSONValue {
    private enum CodingKeys: String, CodingKey {
        case name, state, fault, utilization, predicted, requests, timeouts, errors, devices
        case responseMilliseconds = "response_ms"
    }

    /// Sums, for scripts: written, and counted anew when read.
    private enum SumKeys: String, CodingKey {
        case pollsSkipped = "polls_skipped"
        case pollsLate = "polls_late"
    }

    package func write(to json: inout JSONWriter) {
        json.object {
            $0.field(CodingKeys.name, name)
            $0.field(CodingKeys.state, state)
            $0.field(CodingKeys.fault, fault)
            $0.field(CodingKeys.utilization, ExactDecimal(rounding: utilization, places: 4))
            $0.field(CodingKeys.predicted, predicted)
            $0.field(CodingKeys.requests, requests)
            $0.field(CodingKeys.timeouts, timeouts)
            $0.field(CodingKeys.errors, errors)
            $0.field(CodingKeys.responseMilliseconds, responseMilliseconds.map { ExactDecimal(rounding: $0, places: 2) })
            $0.field(SumKeys.pollsSkipped, pollsSkipped)
            $0.field(SumKeys.pollsLate, pollsLate)
            $0.field(CodingKeys.devices, devices)
        }
    }
}

extension BusDetailReport.Device: JSONValue {
    private enum CodingKeys: String, CodingKey {
        case name, unit, state
        case pollsOK = "polls_ok"
        case pollsFailed = "polls_failed"
        case pollsSkipped = "polls_skipped"
        case pollsLate = "polls_late"
        case responseMilliseconds = "response_ms"
        case timeoutMilliseconds = "timeout_ms"
    }

    package func write(to json: inout JSONWriter) {
        json.object {
            $0.field(CodingKeys.name, name)
            $0.field(CodingKeys.unit, unit)
            $0.field(CodingKeys.state, state)
            $0.field(CodingKeys.pollsOK, pollsOK)
            $0.field(CodingKeys.pollsFailed, pollsFailed)
            $0.field(CodingKeys.pollsSkipped, pollsSkipped)
            $0.field(CodingKeys.pollsLate, pollsLate)
            $0.field(CodingKeys.responseMilliseconds, responseMilliseconds.map { ExactDecimal(rounding: $0, places: 2) })
            $0.field(CodingKeys.timeoutMilliseconds, timeoutMilliseconds.map { ExactDecimal(rounding: $0, places: 1) })
        }
    }
}

/// `/v1/buses`: an object, so that fields can be added beside the list.
package struct BusesReport: Hashable, Sendable, Decodable, JSONValue {
    package var buses: [BusDetailReport]

    package init(buses: [BusDetailReport]) { self.buses = buses }

    private enum CodingKeys: String, CodingKey { case buses }

    package func write(to json: inout JSONWriter) {
        json.object { $0.field(CodingKeys.buses, buses) }
    }
}
