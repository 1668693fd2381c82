import Fieldbus
import Host
import Metering
import Uplink

/// The parts that run now and the configuration they were made of. A reload replaces it as one.
struct Lineup: Sendable {
    var configuration: Configuration
    /// In the order of the configuration.
    var buses: [Bus]
    /// In the order of the configuration's outputs.
    var deliveries: [DeliveryService]

    func bus(_ name: String) -> Bus? { buses.first { $0.description.name == name } }

    func delivery(_ name: String) -> DeliveryService? {
        zip(configuration.outputs, deliveries).first { $0.0.name == name }?.1
    }

    /// The loops that must turn: these buses and outputs.
    func heartbeats(_ time: any TimeSource) -> [Heartbeat] {
        let buses = buses.map { Heartbeat(of: $0) }
        let deliveries = zip(configuration.outputs, deliveries).map { output, delivery in
            Heartbeat(name: "output \(output.name)", patience: .zero) {
                delivery.status.isAlive(at: time.uptime()) ? time.uptime() : delivery.status.heartbeat
            }
        }
        return buses + deliveries
    }
}
