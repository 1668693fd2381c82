import Fieldbus
import Metering

/// Everything a config file says, checked: names are unique, references lead somewhere, profiles are read.
package struct Configuration: Sendable {
    package struct Gateway: Hashable, Sendable {
        package var id: String
        package var site: String?
        package var timezone: String?
        package var dataDirectory = "/var/lib/meterd"
        package var profilePath = ["/etc/meterd/profiles", "/usr/share/meterd/profiles"]
    }

    package struct Journal: Hashable, Sendable {
        /// What a power cut may cost: 1 s ... 60 s.
        package var commitInterval: Duration = .seconds(5)
        package var retention: Duration = .seconds(60 * 86_400)
        /// Bytes of the database.
        package var sizeLimit = 2 << 30
        /// How long outputs hold polls from before the first clock synchronisation, if it does not come.
        package var undatedHold: Duration = .seconds(86_400)
        /// They do not hold them: dates before 2020 leave the box.
        package var sendsUndated = false
    }

    package struct API: Hashable, Sendable {
        package var socket = "/run/meterd/meterd.sock"
        /// Where the API listens beside the socket; nil: nowhere.
        package var listen: ListenAddress?
        /// What holds the token that callers over TCP must know; nil: they may only look, and only on this machine.
        package var tokenFile: String?
    }

    package struct Device: Hashable, Sendable {
        package var name: String
        package var bus: String
        package var unit: UInt8
        package var role: Role
        package var profile: Profile
        package var profileText: String
        package var invert: Bool
        package var periods: [PointClass: Duration]
        /// How its map is found out; nil where the profile is the map.
        package var search: MapSearch?

        /// False for a device whose map was never known.
        package var isFound: Bool { !profile.points.isEmpty }

        package var catalogEntry: CatalogEntry {
            CatalogEntry(device: name, unit: unit, role: role, profile: profile.name, profileText: profileText, invert: invert)
        }
    }

    package var gateway: Gateway
    package var journal = Journal()
    package var api = API()
    package var buses: [BusDescription] = []
    package var devices: [Device] = []
    package var outputs: [Output] = []
    /// Every key with its value and where that comes from.
    package var listing = ConfigurationListing()
}

/// What can grow, and how far.
package enum ConfigurationLimits {
    /// Each bus is a thread and a file descriptor, and libmodbus cannot use descriptors from 1024 on.
    package static let buses = 512
    package static let devicesPerBus = 247
    package static let outputs = 16
    package static let fileBytes = 4 << 20
    package static let files = 1000
    /// Of what a problem says, with what it quotes.
    package static let problemCharacters = 400
}
