import Fieldbus
import Host
import Logging
import Store
import Uplink

/// What stays through every reload, and the two crews whose members change.
struct GatewayParts: Sendable {
    let store: Store
    let journal: JournalWriter
    let live: LiveReadings
    let maps: MapDesk
    let intake: PollIntake
    let lineup: Lock<Lineup>
    let busCrew = Crew()
    let outputCrew = Crew()
    let logger: Logger

    /// Starts all that the lineup holds.
    func startBuses() {
        for bus in lineup.withLock({ $0.buses }) { start(bus) }
    }

    func startOutputs() {
        let lineup = lineup.withLock { $0 }
        for (output, delivery) in zip(lineup.configuration.outputs, lineup.deliveries) { start(delivery, output: output.name) }
    }

    /// A bus begins when the one before it of this name, or at this port or address, has finished its visit.
    func start(_ bus: Bus) {
        let name = bus.description.name
        busCrew.start(name, places: ["name \(name)", "\(bus.description.address.endpoint)"]) { [live, logger] in
            do {
                try await bus.run()
            } catch {
                logger.error("bus ended", metadata: ["bus.name": "\(name)", "error": "\(error)"])
            }
            live.forget(bus.devices.map(\.entry))
        }
    }

    func start(_ delivery: DeliveryService, output name: String) {
        outputCrew.start(name, places: [name]) { await delivery.run() }
    }

    /// Lets the output's place in the journal go, once what it has in hand is settled.
    func retire(output name: String) {
        outputCrew.start("retire \(name)", places: [name]) { [store] in await store.retire(output: name) }
    }

    func adapt(to settings: Configuration.Journal) async {
        journal.change(interval: settings.commitInterval)
        await store.change(limits: Gateway.limits(settings))
    }
}
