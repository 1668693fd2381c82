/// What `meterctl config check` has to say of a configuration.
package struct ConfigurationVerdict: Hashable, Sendable {
    package var file: String
    /// `file:line:column: key: what is wrong; how to mend it`, in the order of their places; empty when the file is valid.
    package var problems: [String]
    /// What a valid file sets up; zero when it is not valid.
    package var buses: Int
    package var devices: Int
    package var outputs: Int
    /// What each bus is asked to carry; empty when the file is not valid.
    package var budgets: [BusForecast] = []

    package init(file: String, problems: [String]) {
        self.file = file
        self.problems = problems
        (buses, devices, outputs) = (0, 0, 0)
    }

    package init(file: String, buses: Int, devices: Int, outputs: Int, budgets: [BusForecast] = []) {
        self.file = file
        self.budgets = budgets
        self.buses = buses
        self.devices = devices
        self.outputs = outputs
        problems = []
    }

    package var valid: Bool { problems.isEmpty }

    /// A valid file may ask for more than its buses can carry: each period that cannot be met, and one that can.
    package var warnings: [String] { budgets.flatMap(\.warnings) }

    /// The summary, and what each bus is asked to carry.
    package func lines(width: Int?, paint: Paint) -> [String] {
        let lines = Folding.fold(summary, indent: 2, width: width)
        return budgets.isEmpty ? lines : lines + [""] + BusForecast.table(budgets).lines(width: width, paint: paint)
    }

    /// `/etc/meterd/meterd.toml: valid; 2 buses, 30 devices, 1 output`
    package var summary: String {
        guard valid else { return "\(file): not valid; \(Humanize.count(problems.count, "problem"))" }
        let busNoun = buses == 1 ? "bus" : "buses"
        return "\(file): valid; \(buses) \(busNoun), \(Humanize.count(devices, "device")), \(Humanize.count(outputs, "output"))"
    }
}

extension ConfigurationVerdict: JSONValue {
    private enum CodingKeys: String, CodingKey { case valid, file, problems, buses, warnings }

    package func write(to json: inout JSONWriter) {
        json.object {
            $0.field(CodingKeys.valid, valid)
            $0.field(CodingKeys.file, file)
            $0.field(CodingKeys.problems, problems)
            $0.field(CodingKeys.buses, budgets)
            $0.field(CodingKeys.warnings, warnings)
        }
    }
}
