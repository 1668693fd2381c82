import Gateway
import Metering

/// Where `config check` meets the daemon's own loader, so that both say the same of a file.
func checkConfiguration(file: String) -> ConfigurationVerdict {
    do throws(Problems) {
        let configuration = try Configuration.load(file: file)
        return ConfigurationVerdict(
            file: file, buses: configuration.buses.count, devices: configuration.devices.count, outputs: configuration.outputs.count,
            budgets: configuration.budgets.map { BusForecast($0) })
    } catch {
        return ConfigurationVerdict(file: file, problems: error.list.map(\.description))
    }
}
