import Host
import Logging
import Metering

/// A meter that was replaced by another at the same address.
package struct DeviceExchange: Hashable, Sendable {
    package var device: String
    package var oldSerial: String
    package var newSerial: String
    /// When the old number was last read.
    package var lastSeen: Timestamp
    /// When the new one was first read.
    package var time: Timestamp
    /// How often the device was exchanged since the daemon started, this time too.
    package var count: Int
}

/// Looks for another serial number in each poll that has one. Devices say theirs at every start of the daemon and after each time away.
package final class ExchangeWatch: Sendable {
    private struct Known {
        var identity = IdentityRecord()
        var firstSeen: Timestamp?
        /// What stands in the journal of before this start was told.
        var isRecalled = false
        var last: DeviceExchange?
    }

    private struct State {
        var devices: [String: Known] = [:]
        /// Where each entry has its serial number; nil for none.
        var places: [CatalogID: (device: String, block: Block, decoder: ReadingDecoder)?] = [:]
    }

    private let state = Lock(State())
    private let live: LiveReadings
    private let logger: Logger

    /// Entries whose place is remembered: more than any configuration has devices.
    private static let placesLimit = 65_536

    package init(live: LiveReadings, logger: Logger) {
        self.live = live
        self.logger = logger
    }

    package func take(_ poll: Poll) {
        guard let place = place(of: poll.entry), poll.answers.contains(where: { $0.block.covers(place.block) }) else { return }
        let serial = place.decoder.decode(poll.answers).lazy.compactMap { reading -> String? in
            guard place.decoder.quantities[reading.point].id == "device_serial", case .text(let text)? = reading.value else { return nil }
            return text
        }.first
        guard let serial else { return }
        let exchange = state.withLock { state -> DeviceExchange? in
            var known = state.devices[place.device] ?? Known()
            defer { state.devices[place.device] = known }
            let former = known.identity.take(serial, poll, failed: false, isRestart: false)
            if known.firstSeen == nil || former != nil { known.firstSeen = poll.time }
            guard let former else { return nil }
            known.last = DeviceExchange(
                device: place.device, oldSerial: former.serial, newSerial: serial, lastSeen: former.lastSeen, time: poll.time,
                count: (known.last?.count ?? 0) + 1)
            return known.last
        }
        if let exchange { tell(exchange) }
    }

    /// Which meter stood at a device's address before this start; it may be told before or after the first poll.
    package func recall(device: String, serial: String, lastSeen: Timestamp) {
        let exchange = state.withLock { state -> DeviceExchange? in
            var known = state.devices[device] ?? Known()
            guard !known.isRecalled else { return nil }
            known.isRecalled = true
            defer { state.devices[device] = known }
            guard let current = known.identity.serial, let firstSeen = known.firstSeen else {
                known.identity = IdentityRecord(serial: serial, lastSeen: lastSeen)
                return nil
            }
            // Once exchanged within this run, the meter of before is two meters ago.
            guard current != serial, known.last == nil else { return nil }
            known.last = DeviceExchange(
                device: device, oldSerial: serial, newSerial: current, lastSeen: lastSeen, time: firstSeen, count: 1)
            return known.last
        }
        if let exchange { tell(exchange) }
    }

    /// The last exchange of each device.
    package var exchanges: [String: DeviceExchange] { state.withLock { $0.devices.compactMapValues(\.last) } }

    private func tell(_ exchange: DeviceExchange) {
        logger.warning(
            "another meter answers",
            metadata: [
                "device.name": "\(exchange.device)", "serial.old": "\(exchange.oldSerial)", "serial.new": "\(exchange.newSerial)",
            ])
    }

    private func place(of id: CatalogID) -> (device: String, block: Block, decoder: ReadingDecoder)? {
        if let known = state.withLock({ $0.places[id] }) { return known }
        guard let (entry, decoder) = live.source(of: id) else { return nil }
        let point = decoder.profile.points.first { $0.quantity.id == "device_serial" }
        let found = point.map { (device: entry.device, block: $0.block, decoder: decoder) }
        state.withLock { state in
            if state.places.count >= ExchangeWatch.placesLimit { state.places = [:] }
            state.places[id] = .some(found)
        }
        return found
    }
}
