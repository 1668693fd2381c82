import Fieldbus
import Metering

/// What the config asks of a bus, as `config check` and `/v1/buses` tell it.
package struct BudgetReport: Hashable, Sendable, Decodable {
    package var requestsPerSecond: Double
    package var bytesPerSecond: Double
    /// One visit to each device.
    package var roundMilliseconds: Double
    /// All counters, for the end of a quarter hour; nil where they are not read for it.
    package var sweepMilliseconds: Double?
    /// Share of the time; above 1 the bus cannot do it.
    package var utilization: Double

    package init(_ budget: BusBudget) {
        requestsPerSecond = budget.requestsPerSecond
        bytesPerSecond = budget.bytesPerSecond
        roundMilliseconds = budget.round.seconds * 1000
        sweepMilliseconds = budget.sweep.map { $0.seconds * 1000 }
        utilization = budget.utilization
    }
}

extension BudgetReport: JSONValue {
    fileprivate enum CodingKeys: String, CodingKey {
        case requestsPerSecond = "requests_per_s"
        case bytesPerSecond = "bytes_per_s"
        case roundMilliseconds = "round_ms"
        case sweepMilliseconds = "sweep_ms"
        case utilization
    }

    package func write(to json: inout JSONWriter) {
        json.object {
            $0.field(CodingKeys.utilization, ExactDecimal(rounding: utilization, places: 4))
            $0.field(CodingKeys.requestsPerSecond, ExactDecimal(rounding: requestsPerSecond, places: 3))
            $0.field(CodingKeys.bytesPerSecond, ExactDecimal(rounding: bytesPerSecond, places: 1))
            $0.field(CodingKeys.roundMilliseconds, ExactDecimal(rounding: roundMilliseconds, places: 1))
            $0.field(CodingKeys.sweepMilliseconds, sweepMilliseconds.map { ExactDecimal(rounding: $0, places: 1) })
        }
    }
}

extension ExactDecimal {
    /// 0.41236 to 4 places is 0.4124; what is no number, or too large, is 0: more digits would only be noise in a diff.
    init(rounding value: Double, places: Int) {
        var factor = 1.0
        for _ in 0..<places { factor *= 10 }
        let scaled = (value * factor).rounded()
        self = abs(scaled) < 9e18 ? ExactDecimal(mantissa: Int64(scaled), exponent: -places) ?? .zero : .zero
    }
}
