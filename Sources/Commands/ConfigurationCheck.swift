import Gateway
import Metering

/// Where `config check` meets the daemon's own loader, so that both say the same of a file.
func checkConfiguration(file: String) -> ConfigurationVerdict {
    let (configuration, problems) = Configuration.examine(file: file)
    guard problems.isEmpty else { return ConfigurationVerdict(file: file, problems: problems.map(\.description)) }
    return ConfigurationVerdict(
        file: file, buses: configuration.buses.count, devices: configuration.devices.count, outputs: configuration.outputs.count,
        budgets: configuration.budgets.map { BusForecast($0) })
}
