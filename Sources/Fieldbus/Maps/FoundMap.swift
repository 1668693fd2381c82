import Metering

/// How the map of a device is found out by asking it, where the config names none.
package struct MapSearch: Hashable, Sendable {
    /// Where the marker of a SunSpec map may be, in the order to look.
    package var bases: [UInt16]

    package init(bases: [UInt16] = SunSpecWalk.bases) { self.bases = bases }
}

/// The map that a device was found to have, as the profile that decodes it.
package struct FoundMap: Hashable, Sendable {
    package var profile: Profile
    package var text: String
    package var chain: SunSpecChain

    /// - Throws: a sentence why the models of the device make no profile.
    package init(_ chain: SunSpecChain) throws(MapError) {
        guard let text = SunSpecProfile.text(of: chain) else {
            let models = chain.models.map { String($0.id) }.joined(separator: " ")
            throw MapError(
                "has a SunSpec map at \(chain.base), but no model of it is known here (models: \(models.isEmpty ? "none" : models))")
        }
        do {
            profile = try Profile(toml: text, file: "sunspec")
        } catch {
            throw MapError("has a SunSpec map that makes no profile: \(error.list.first?.description ?? "")")
        }
        self.text = text
        self.chain = chain
    }

    /// True when all that this says for certain was known before: a device that fell silent half way through a search has not lost its
    /// models, and one without voltage at night has not turned its words round.
    func isRemnant(of known: Profile) -> Bool {
        chain.isUncertain && !known.identity.isEmpty && profile.identity.allSatisfy(known.identity.contains)
    }
}

package struct MapError: Error, Hashable, Sendable, CustomStringConvertible {
    package var sentence: String
    package var description: String { sentence }
    init(_ sentence: String) { self.sentence = sentence }
}

/// Takes in the maps that are found, before the first poll that is decoded by them. Must return at once: a bus does not wait for a disk.
package protocol MapKeeper: Sendable {
    /// - Returns: the catalog entry of the polls that this map decodes.
    func keep(_ map: FoundMap, of device: String) -> CatalogID
}

extension Profile {
    /// Stands for the map of a device that was never heard: it has no points, and no poll is decoded by it.
    package static func unfound(_ name: String) -> Profile {
        Profile(name: name, version: 1, vendor: "", models: [], source: "", points: [])
    }
}

extension CatalogID {
    /// Stands for the entry of a device whose map is not known; no poll has it.
    package static let none = CatalogID(0)
}
