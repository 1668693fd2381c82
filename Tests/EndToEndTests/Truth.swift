import Metering
import Simulators
import Testing

/// Holds what arrived upstream against what the plant's meters showed.
///
/// A record's time is when its answer was read; the meter made it at most `latency` before. Gauges are constant through a plant second,
/// so a record must agree, in all its gauges at once, with one of the seconds it can come from; counters must lie between the two ends.
struct Truth {
    let plant: Plant
    /// More than the response timeout, which bounds how old an answer can be.
    static let latency: Int64 = 1500

    private typealias Gauge = (id: String, value: (PlantState) -> Double)

    func check(_ record: SinkRecord) {
        let early = Timestamp(milliseconds: record.time.milliseconds - Truth.latency)
        let seconds = stride(from: early.milliseconds, through: record.time.milliseconds, by: 100).map {
            plant.state(at: Timestamp(milliseconds: $0))
        }
        let (before, after) = (plant.state(at: early), plant.state(at: record.time))
        func number(_ id: String) -> Double? { record.values[id]?.number }
        func isFromOneInstant(_ gauges: [Gauge]) -> Bool {
            seconds.contains { state in
                gauges.allSatisfy { gauge in
                    guard let own = number(gauge.id) else { return true }
                    return own == gauge.value(state)
                }
            }
        }
        func lies(_ id: String, _ low: Double, _ high: Double) -> Bool {
            guard let own = number(id) else { return true }
            return low <= own && own <= high
        }
        switch record.device {
        case "grid":
            let gauges: [Gauge] = [
                ("power_active", { Double($0.grid.active.total) }), ("power_active_l1", { Double($0.grid.active.l1) }),
                ("power_reactive", { Double($0.grid.reactive.total) }),
                ("frequency", { Truth.float32(Double($0.electricity.centihertz) / 100) }),
            ]
            let (low, high) = (before.gridEnergy.active.imported, after.gridEnergy.active.imported)
            #expect(isFromOneInstant(gauges), "grid \(record.seq) \(record.values)")
            #expect(lies("energy_active_import", Truth.kilowattHours(low), Truth.kilowattHours(high)), "grid \(record.seq)")
        case "sub":
            let gauges: [Gauge] = [("power_active", { Double($0.submeter.active.total) })]
            let (low, high) = (before.submeterEnergy.active.imported, after.submeterEnergy.active.imported)
            #expect(isFromOneInstant(gauges), "sub \(record.seq) \(record.values)")
            #expect(lies("energy_active_import", Truth.wattHours(low), Truth.wattHours(high)), "sub \(record.seq)")
        case "roof":
            let gauges: [Gauge] = [
                ("pv_power", { Double($0.pv.active.total) }), ("power_active", { -Double($0.pv.active.total) }),
            ]
            let (low, high) = (before.pvEnergy.active.imported, after.pvEnergy.active.imported)
            #expect(isFromOneInstant(gauges), "roof \(record.seq) \(record.values)")
            #expect(lies("pv_energy", Truth.wattHours(low), Truth.wattHours(high)), "roof \(record.seq)")
        default:
            Issue.record("a device that the plant does not have: \(record.device)")
        }
    }

    /// Whole watt hours, as the iEM3155 and the inverter show them.
    static func wattHours(_ wattMilliseconds: Int64) -> Double { Double(wattMilliseconds / MeterEnergy.wattHour) }

    /// A float32 as the shortest decimal that names it.
    static func float32(_ value: Double) -> Double { Double(Float(value).description) ?? .nan }

    /// What the SDM630 shows of a counter, in Wh: a float32 of kWh.
    static func kilowattHours(_ wattMilliseconds: Int64) -> Double {
        (ExactDecimal(shortest: Float(Double(wattMilliseconds) / 3.6e9))?.multiplied(by: ExactDecimal(1000))?.double) ?? .nan
    }
}
