import Metering

/// `meterctl buses`: a row for each bus; of one bus its devices, too.
package struct BusListing: Sendable {
    let buses: [BusDetailReport]
    let now: Timestamp

    package init(_ buses: [BusDetailReport], now: Timestamp) {
        self.buses = buses
        self.now = now
    }

    package func lines(width: Int?, paint: Paint, withDevices: Bool) -> [String] {
        let faults = buses.flatMap { bus -> [String] in
            guard let fault = bus.fault else { return [] }
            return Folding.wrap("\(bus.name): \(fault)", width: width)
        }
        var lines = table.lines(width: width, paint: paint) + (faults.isEmpty ? [] : [""] + faults)
        guard withDevices, let bus = buses.first else { return lines }
        lines.append("")
        lines += Folding.fold(BusListing.forecast(bus.predicted), indent: 10, width: width)
        return lines + (bus.devices.isEmpty ? [] : [""] + BusListing.devices(bus.devices).lines(width: width, paint: paint))
    }

    private var table: Table {
        Table(
            [
                .init("BUS", cut: .middle, matters: true), .init("STATE", matters: true), .init("BUSY", .right),
                .init("EXPECTED", .right), .init("REQUESTS", .right), .init("TIMEOUTS", .right), .init("ERRORS", .right),
                .init("RESPONSE", .right), .init("LATE", .right), .init("SKIPPED", .right),
            ],
            rows: buses.map { bus in
                [
                    .init(bus.name), .init(bus.state.rawValue, bus.state.tone), .init(Humanize.percent(bus.utilization)),
                    .init(Humanize.percent(bus.predicted.utilization), bus.predicted.utilization > 1 ? .bad : .plain),
                    .init(Humanize.count(bus.requests)), .init(Humanize.count(bus.timeouts)), .init(Humanize.count(bus.errors)),
                    .init(Humanize.milliseconds(bus.responseMilliseconds)), .init(Humanize.count(bus.pollsLate)),
                    .init(Humanize.count(bus.pollsSkipped), bus.pollsSkipped > 0 ? .warning : .plain),
                ]
            })
    }

    private static func devices(_ devices: [BusDetailReport.Device]) -> Table {
        Table(
            [
                .init("DEVICE", cut: .middle, matters: true), .init("UNIT", .right), .init("STATE", matters: true), .init("OK", .right),
                .init("FAILED", .right), .init("LATE", .right), .init("SKIPPED", .right), .init("RESPONSE", .right),
                .init("TIMEOUT", .right),
            ],
            rows: devices.map { device in
                [
                    .init(device.name), .init(String(device.unit)), .init(device.state.rawValue, device.state.tone),
                    .init(Humanize.count(device.pollsOK)), .init(Humanize.count(device.pollsFailed)),
                    .init(Humanize.count(device.pollsLate)),
                    .init(Humanize.count(device.pollsSkipped)), .init(Humanize.milliseconds(device.responseMilliseconds)),
                    .init(Humanize.milliseconds(device.timeoutMilliseconds)),
                ]
            })
    }

    /// `expected: 6.0 requests and 318 bytes a second, 2.5 s for a round, 2.5 s for the counters of a quarter hour`
    package static func forecast(_ budget: BudgetReport) -> String {
        let requests = ExactDecimal(rounding: budget.requestsPerSecond, places: 1)
        let bytes = ExactDecimal(rounding: budget.bytesPerSecond, places: 0)
        let round = Humanize.milliseconds(budget.roundMilliseconds)
        let sweep = budget.sweepMilliseconds.map { ", \(Humanize.milliseconds($0)) for the counters of a quarter hour" } ?? ""
        return "expected: \(requests) requests and \(bytes) bytes a second, \(round) for a round\(sweep)"
    }
}

extension Humanize {
    /// 0.42 → `0.4 ms`, 82.5 → `83 ms`, 2475 → `2.5 s`; `-` when there is none.
    package static func milliseconds(_ milliseconds: Double?) -> String {
        guard let milliseconds else { return "-" }
        if milliseconds < 10 { return "\(ExactDecimal(rounding: milliseconds, places: 1)) ms" }
        if milliseconds < 1000 { return "\(ExactDecimal(rounding: milliseconds, places: 0)) ms" }
        return "\(ExactDecimal(rounding: milliseconds / 1000, places: 1)) s"
    }
}
