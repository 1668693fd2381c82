import Fieldbus
import Metering

/// A bus as `config check` foretells it: its load, and the periods that cannot be met.
package struct BusForecast: Hashable, Sendable {
    /// More names than this are counted instead.
    private static let namesShown = 3

    package var bus: String
    package var devices: Int
    package var load: BudgetReport
    package var warnings: [String]

    package init(_ budget: BusBudget) {
        bus = budget.bus
        devices = budget.devices
        load = BudgetReport(budget)
        warnings = budget.unmet.map { BusForecast.warning($0, budget) }
    }

    package static func table(_ forecasts: [BusForecast]) -> Table {
        Table(
            [
                .init("BUS", cut: .middle, matters: true), .init("DEVICES", .right), .init("REQUESTS/S", .right), .init("BYTES/S", .right),
                .init("ROUND", .right), .init("QUARTER HOUR", .right), .init("BUSY", .right, matters: true),
            ],
            rows: forecasts.map { forecast in
                let load = forecast.load
                return [
                    .init(forecast.bus), .init(String(forecast.devices)),
                    .init("\(ExactDecimal(rounding: load.requestsPerSecond, places: 1))"),
                    .init("\(ExactDecimal(rounding: load.bytesPerSecond, places: 0))"),
                    .init(Humanize.milliseconds(load.roundMilliseconds)),
                    .init(Humanize.milliseconds(load.sweepMilliseconds)),
                    .init(Humanize.percent(load.utilization), load.utilization > 1 ? .bad : .plain),
                ]
            })
    }

    /// `line-1: live = "1s" of d1, d2, d3 and 27 more cannot be met, 60 % of the polls would be skipped: the bus would be busy 248 % of the
    /// time, one round takes 2.5 s; live = "3s" fits`
    private static func warning(_ unmet: BusBudget.Unmet, _ budget: BusBudget) -> String {
        let key = unmet.pointClass.rawValue
        let shown = unmet.devices.count > namesShown + 1 ? namesShown : unmet.devices.count
        let rest = unmet.devices.count - shown
        let names = unmet.devices.prefix(shown).joined(separator: ", ") + (rest > 0 ? " and \(rest) more" : "")
        let why =
            budget.utilization > 1
            ? "the bus would be busy \(Humanize.percent(budget.utilization)) of the time, one round takes "
                + Humanize.milliseconds(budget.round.seconds * 1000)
            : "visits to other devices take longer than that at times"
        let cure =
            unmet.fits.map { "\(key) = \"\(Measures.text($0))\" fits" }
            ?? "no period up to an hour fits; spread the devices over more buses"
        return "\(budget.bus): \(key) = \"\(Measures.text(unmet.period))\" of \(names) cannot be met, "
            + "\(Humanize.percent(unmet.skipped)) of the polls would be skipped: \(why); \(cure)"
    }
}

extension BusForecast: JSONValue {
    private enum CodingKeys: String, CodingKey { case name, devices, predicted }

    package func write(to json: inout JSONWriter) {
        json.object {
            $0.field(CodingKeys.name, bus)
            $0.field(CodingKeys.devices, devices)
            $0.field(CodingKeys.predicted, load)
        }
    }
}

extension Configuration {
    /// What each bus is asked to carry, and whether it can.
    package var budgets: [BusBudget] {
        let byBus = Dictionary(grouping: devices) { $0.bus }
        return buses.map { bus in
            BusBudget(
                bus,
                devices: (byBus[bus.name] ?? []).map {
                    // The row number that the store would give it does not matter here.
                    DeviceDescription(name: $0.name, unit: $0.unit, entry: CatalogID(0), profile: $0.profile, periods: $0.periods)
                })
        }
    }
}
