import Metering

/// What the local API shows of the configuration.
package protocol ConfigurationView: Sendable {
    /// What the daemon runs with.
    func inForce() -> ConfigurationListing
    /// How the files, as they stand now, differ from that.
    /// - Throws: the problems of files that are not valid.
    func difference() throws(Problems) -> ConfigurationDifferences
}

/// The configuration of the running gateway and its files.
package struct ConfigurationDesk: ConfigurationView {
    private let load: @Sendable () throws(Problems) -> Configuration
    private let listing: @Sendable () -> ConfigurationListing

    /// - Parameters:
    ///   - load: reads the files as they stand now.
    ///   - listing: what is in force; a reload changes it.
    package init(
        load: @escaping @Sendable () throws(Problems) -> Configuration, listing: @escaping @Sendable () -> ConfigurationListing
    ) {
        self.load = load
        self.listing = listing
    }

    package func inForce() -> ConfigurationListing { listing() }

    package func difference() throws(Problems) -> ConfigurationDifferences {
        ConfigurationDifferences(from: listing(), to: try load().listing)
    }
}
