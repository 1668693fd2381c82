import Fieldbus
import Host
import Metering
import Store

/// Takes in the maps that buses find: gives their polls a catalog entry, shows them from then on, and knows them again after a reload.
/// After a restart the newest entry of the catalog is the map that is known.
package final class MapDesk: MapKeeper {
    private struct Known {
        var device: Configuration.Device
        var id: CatalogID
    }

    private let store: Store
    private let live: LiveReadings
    private let decoders: DecoderShelf
    /// Devices that have their maps found, by name.
    private let devices = Lock<[String: Known]>([:])

    package init(store: Store, live: LiveReadings, decoders: DecoderShelf = DecoderShelf()) {
        self.store = store
        self.live = live
        self.decoders = decoders
    }

    package func keep(_ map: FoundMap, of device: String) -> CatalogID {
        devices.withLock { devices in
            guard var known = devices[device] else { return .none }
            known.device.profile = map.profile
            known.device.profileText = map.text
            known.id = store.promiseAtOnce(known.device.catalogEntry)
            devices[device] = known
            live.exchange(board(known.device, known.id))
            return known.id
        }
    }

    /// The configuration with every map that is known: of this run, or as the catalog has it.
    package func recall(_ configuration: Configuration) async throws(StoreError) -> Configuration {
        var configuration = configuration
        for index in configuration.devices.indices where configuration.devices[index].search != nil {
            let device = configuration.devices[index]
            if let known = devices.withLock({ $0[device.name]?.device }), known.isFound, known.unit == device.unit,
                known.bus == device.bus
            {
                configuration.devices[index].profile = known.profile
                configuration.devices[index].profileText = known.profileText
            } else if let entry = try await remembered(device) {
                guard let profile = try? Profile(toml: entry.profileText, file: entry.profile) else { continue }
                configuration.devices[index].profile = profile
                configuration.devices[index].profileText = entry.profileText
            }
        }
        return configuration
    }

    /// Nil too where the file cannot be read just now: the map is then found as if it were new.
    private func remembered(_ device: Configuration.Device) async throws(StoreError) -> CatalogEntry? {
        do throws(StoreError) {
            let entry = try await store.newestEntry(device: device.name, profile: device.profile.name)
            return entry?.unit == device.unit ? entry : nil
        } catch {
            if error.code == .full || error.code == .io { return nil }
            throw error
        }
    }

    /// Shows these devices from now on.
    ///
    /// - Parameter kept: buses that go on as they are; a map that one of them found meanwhile stays.
    package func show(_ shown: [Configuration.Device], _ ids: [CatalogID], kept: Set<String> = []) {
        devices.withLock { devices in
            let before = devices
            devices = [:]
            var boards: [(id: CatalogID, entry: CatalogEntry, decoder: ReadingDecoder)] = []
            for (device, id) in zip(shown, ids) {
                var known = Known(device: device, id: id)
                if device.search != nil {
                    if kept.contains(device.bus), let own = before[device.name], own.device.isFound { known = own }
                    devices[device.name] = known
                }
                if known.device.isFound { boards.append(board(known.device, known.id)) }
            }
            live.show(boards)
        }
    }

    private func board(
        _ device: Configuration.Device, _ id: CatalogID
    ) -> (id: CatalogID, entry: CatalogEntry, decoder: ReadingDecoder) {
        (id, device.catalogEntry, decoders.decoder(of: device))
    }
}

extension Configuration {
    /// What decodes the polls of its devices; a device whose map was never known has nothing yet.
    package var entries: [CatalogEntry] { devices.filter(\.isFound).map(\.catalogEntry) }

    /// - Parameter adopted: of `entries`, in their order.
    /// - Returns: one for each device.
    package func ids(_ adopted: [CatalogID]) -> [CatalogID] {
        var rest = adopted[...]
        return devices.map { $0.isFound ? rest.popFirst() ?? .none : .none }
    }
}
