import Host
import Metering

/// The decoders in use, one for all devices whose profile has the same text: of forty equal meters the profile is in memory once, whoever
/// decodes their polls.
package final class DecoderShelf: Sendable {
    /// More texts than a plant has models; beyond it all are forgotten and read anew, while those in use live on with their users.
    static let limit = 256

    private struct Key: Hashable {
        var name: String
        var text: String
        var invert: Bool
    }

    private let known = Lock<[Key: ReadingDecoder]>([:])

    package init() {}

    /// - Throws: what is wrong with the profile.
    package func decoder(of entry: CatalogEntry) throws -> ReadingDecoder {
        try decoder(Key(name: entry.profile, text: entry.profileText, invert: entry.invert)) {
            try Profile(toml: entry.profileText, file: entry.profile + ".toml")
        }
    }

    /// For a device whose profile was read already.
    package func decoder(of device: Configuration.Device) -> ReadingDecoder {
        decoder(Key(name: device.profile.name, text: device.profileText, invert: device.invert)) { device.profile }
    }

    private func decoder<Failure: Error>(_ key: Key, _ profile: () throws(Failure) -> Profile) throws(Failure) -> ReadingDecoder {
        if let decoder = known.withLock({ $0[key] }) { return decoder }
        let decoder = ReadingDecoder(profile: try profile(), invert: key.invert)
        return known.withLock { known in
            // Another may have been as quick.
            if let decoder = known[key] { return decoder }
            if known.count >= DecoderShelf.limit { known.removeAll() }
            known[key] = decoder
            return decoder
        }
    }
}
