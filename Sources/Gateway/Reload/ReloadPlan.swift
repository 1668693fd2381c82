import Fieldbus

/// Why the last reload changed nothing, as text for the status.
enum ReloadProblem: Hashable, Sendable {
    /// The config is not valid, or cannot be applied now.
    case refused(String)
    /// It is valid, and a restart puts it in force.
    case needsRestart(String)
}

/// What a new configuration means for the parts that run: which go on untouched, which end, which begin. Pure; it does none of it.
///
/// A part that changed is stopped and started under its name. A bus is changed when its line or one of its devices is: they share one
/// connection.
package struct ReloadPlan: Hashable, Sendable {
    /// The parts of one kind, by name, in the order of the configurations.
    package struct Change: Hashable, Sendable {
        package var keep: [String] = []
        package var stop: [String] = []
        package var start: [String] = []

        /// - Parameter facts: of each part its name and all that it is made of.
        init<Facts: Hashable>(from old: [(name: String, facts: Facts)], to new: [(name: String, facts: Facts)]) {
            let before = Dictionary(old.map { ($0.name, $0.facts) }) { first, _ in first }
            let after = Dictionary(new.map { ($0.name, $0.facts) }) { first, _ in first }
            keep = new.map(\.name).filter { before[$0] != nil && before[$0] == after[$0] }
            stop = old.map(\.name).filter { after[$0] != before[$0] }
            start = new.map(\.name).filter { after[$0] != before[$0] }
        }
    }

    package var buses: Change
    package var outputs: Change
    /// What only a restart can change, each as a sentence; then nothing is to be done.
    package var refusals: [String]

    package init(from old: Configuration, to new: Configuration) {
        buses = Change(from: ReloadPlan.buses(of: old), to: ReloadPlan.buses(of: new))
        outputs = Change(from: ReloadPlan.outputs(of: old), to: ReloadPlan.outputs(of: new))
        refusals = []
        func refuse(_ key: String, _ before: String, _ after: String) {
            guard before != after else { return }
            refusals.append(
                "\(key): cannot change from \(before) to \(after) while meterd runs; restart it (sudo systemctl restart meterd) or put it back"
            )
        }
        refuse("gateway.data_directory", old.gateway.dataDirectory, new.gateway.dataDirectory)
        refuse("api.socket", old.api.socket, new.api.socket)
        refuse("api.listen", old.api.listen?.text ?? "nothing", new.api.listen?.text ?? "nothing")
        refuse("api.token_file", old.api.tokenFile ?? "nothing", new.api.tokenFile ?? "nothing")
    }

    private struct BusFacts: Hashable {
        var bus: BusDescription
        /// By unit, since the order in the file means nothing to the bus.
        var devices: [Configuration.Device]
    }

    private static func buses(of configuration: Configuration) -> [(name: String, facts: BusFacts)] {
        let devices = Dictionary(grouping: configuration.devices, by: \.bus)
        return configuration.buses.map { bus in
            (bus.name, BusFacts(bus: bus, devices: (devices[bus.name] ?? []).sorted { $0.unit < $1.unit }))
        }
    }

    private struct OutputFacts: Hashable {
        var output: Configuration.Output
        /// Every batch names them.
        var gateway: String
        var site: String?
    }

    private static func outputs(of configuration: Configuration) -> [(name: String, facts: OutputFacts)] {
        configuration.outputs.map { output in
            (output.name, OutputFacts(output: output, gateway: configuration.gateway.id, site: configuration.gateway.site))
        }
    }
}
