import Host
import Metering

/// The last polls of each device, ready to be decoded when somebody asks.
///
/// A device's points come in polls of different shapes (live, slow, once); the last poll of each shape is kept. Decoding waits until a
/// person looks: most polls are never looked at.
package final class LiveReadings: Sendable {
    /// One device's points as last read.
    package struct Snapshot: Sendable {
        package var entry: CatalogEntry
        package var decoder: ReadingDecoder
        /// By point index; each with the time of its poll.
        package var readings: [(reading: Reading, time: Timestamp, clock: TimeQuality)]
    }

    private struct Board: Sendable {
        var entry: CatalogEntry
        var decoder: ReadingDecoder
        /// The newest last.
        var polls: [(poll: Poll, readings: Int)] = []

        mutating func remember(_ poll: Poll) -> Int {
            let same = polls.firstIndex { known in
                known.poll.answers.count == poll.answers.count && zip(known.poll.answers, poll.answers).allSatisfy { $0.block == $1.block }
            }
            let readings = same.map { polls[$0].readings } ?? decoder.count(poll.answers)
            if let same, same == polls.count - 1 {
                polls[same].poll = poll
                return readings
            }
            if let same { polls.remove(at: same) } else if polls.count == LiveReadings.shapeLimit { polls.removeFirst() }
            polls.append((poll, readings))
            return readings
        }

        var snapshot: Snapshot {
            var newest: [Int: (reading: Reading, time: Timestamp, clock: TimeQuality)] = [:]
            for (poll, _) in polls {
                for reading in decoder.decode(poll.answers) { newest[reading.point] = (reading, poll.time, poll.clock) }
            }
            if let last = polls.last?.poll, last.failed {
                // What was read before the device fell silent is not how it is now; who it is stays.
                for (point, known) in newest where known.time < last.time && decoder.profile.points[point].pointClass != .once {
                    newest[point]?.reading = Reading(point: point, value: nil, quality: .noCommunication)
                }
            }
            return Snapshot(entry: entry, decoder: decoder, readings: newest.sorted { $0.key < $1.key }.map(\.value))
        }
    }

    /// More shapes than a schedule makes: live, slow, once and their unions, and the splits after a refused block.
    package static let shapeLimit = 16

    private struct Boards: Sendable {
        /// What is shown; a device that leaves is counted until its bus has ended.
        var order: [CatalogID]
        var byID: [CatalogID: Board]
    }

    private let boards: Lock<Boards>

    /// - Parameter devices: in the order in which they are shown.
    package init(_ devices: [(id: CatalogID, entry: CatalogEntry, decoder: ReadingDecoder)]) {
        boards = Lock(Boards(order: [], byID: [:]))
        show(devices)
    }

    /// Shows these devices from now on. Those that were shown before keep what was read of them; the others are still counted.
    package func show(_ devices: [(id: CatalogID, entry: CatalogEntry, decoder: ReadingDecoder)]) {
        boards.withLock { boards in
            boards.order = devices.map(\.id)
            for device in devices where boards.byID[device.id] == nil {
                boards.byID[device.id] = Board(entry: device.entry, decoder: device.decoder)
            }
        }
    }

    /// One device has another entry from now on; what was read by the one before is shown no more.
    package func exchange(_ device: (id: CatalogID, entry: CatalogEntry, decoder: ReadingDecoder)) {
        boards.withLock { boards in
            let before = boards.order.firstIndex { boards.byID[$0]?.entry.device == device.entry.device }
            if boards.byID[device.id] == nil { boards.byID[device.id] = Board(entry: device.entry, decoder: device.decoder) }
            guard let before else { return boards.order.append(device.id) }
            let old = boards.order[before]
            boards.order[before] = device.id
            if old != device.id { boards.byID[old] = nil }
        }
    }

    /// No poll of these will come any more; those that are shown stay.
    package func forget(_ ids: [CatalogID]) {
        boards.withLock { boards in
            for id in ids where !boards.order.contains(id) { boards.byID[id] = nil }
        }
    }

    /// Remembers the poll and returns how many readings it holds.
    package func remember(_ poll: Poll) -> Int {
        boards.withLock { boards in boards.byID[poll.entry]?.remember(poll) ?? 0 }
    }

    /// What decodes the polls of the devices that are shown, in their order.
    package var entries: [CatalogEntry] { boards.withLock { boards in boards.order.compactMap { boards.byID[$0]?.entry } } }

    /// What decodes the polls of an entry; nil for one that is gone.
    package func source(of id: CatalogID) -> (entry: CatalogEntry, decoder: ReadingDecoder)? {
        boards.withLock { boards in boards.byID[id].map { ($0.entry, $0.decoder) } }
    }

    package func snapshots() -> [Snapshot] {
        let all = boards.withLock { $0 }
        return all.order.compactMap { all.byID[$0]?.snapshot }
    }
}
