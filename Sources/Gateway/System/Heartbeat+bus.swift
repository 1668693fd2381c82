import Fieldbus

extension Heartbeat {
    /// The loop of a bus. A visit may run into its timeout, be read block by block, synchronise the line, or wait for a name server.
    package init(of bus: Bus) {
        self.init(name: "bus \(bus.description.name)", patience: Bus.longestWait + bus.description.timeout * 8 + .seconds(300)) {
            bus.heartbeat
        }
    }
}
