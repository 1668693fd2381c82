import Metering

/// The text of an export as it grows, and the catalog entries it was decoded by.
struct ExportText {
    struct Entry {
        var device: String
        var decoder: ReadingDecoder
        /// In the order of the points, as they go into the text.
        fileprivate var columns: [Column]
        fileprivate var csvDevice: [UInt8]
        fileprivate var jsonDevice: [UInt8]
    }

    fileprivate struct Column {
        var csvQuantity: [UInt8]
        var csvUnit: [UInt8]
        var jsonKey: [UInt8]
    }

    private let format: JournalExport.Format
    private var bytes: [UInt8] = []
    /// Nil for what cannot be decoded.
    private var entries: [CatalogID: Entry?] = [:]

    init(format: JournalExport.Format) { self.format = format }

    mutating func take() -> [UInt8] {
        defer { bytes.removeAll(keepingCapacity: true) }
        return bytes
    }

    mutating func entry(_ id: CatalogID, _ store: Store) async throws -> Entry? {
        if let known = entries[id] { return known }
        var found: Entry?
        if let entry = try await store.entry(id), let profile = try? Profile(toml: entry.profileText, file: entry.profile + ".toml") {
            let decoder = ReadingDecoder(profile: profile, invert: entry.invert)
            found = Entry(
                device: entry.device, decoder: decoder,
                columns: decoder.quantities.map {
                    Column(csvQuantity: ExportText.csv($0.id), csvUnit: ExportText.csv($0.unit), jsonKey: ExportText.json($0.id))
                },
                csvDevice: ExportText.csv(entry.device), jsonDevice: ExportText.json(entry.device))
        }
        if entries.count >= ExportText.entryLimit { entries = [:] }
        entries[id] = .some(found)
        return found
    }

    /// Returns the number of readings.
    mutating func append(_ stored: StoredPoll, _ entry: Entry) -> Int {
        let readings = entry.decoder.decode(stored.poll.answers)
        switch format {
        case .csv: appendRows(stored, entry, readings)
        case .jsonLines: appendLine(stored, entry, readings)
        }
        return readings.count
    }

    private mutating func appendRows(_ stored: StoredPoll, _ entry: Entry, _ readings: [Reading]) {
        let head = Array("\(stored.poll.time.rfc3339),".utf8) + entry.csvDevice + [UInt8(ascii: ",")]
        let tail = Array(",\(stored.poll.clock.rawValue),\(stored.seq)\n".utf8)
        for reading in readings {
            let column = entry.columns[reading.point]
            bytes += head
            bytes += column.csvQuantity
            bytes.append(UInt8(ascii: ","))
            switch reading.value {
            case .number(let number): number.write(to: &bytes)
            case .text(let text): bytes += ExportText.csv(text)
            case nil: break
            }
            bytes.append(UInt8(ascii: ","))
            bytes += column.csvUnit
            bytes += Array(",\(reading.quality.rawValue)".utf8)
            bytes += tail
        }
    }

    private mutating func appendLine(_ stored: StoredPoll, _ entry: Entry, _ readings: [Reading]) {
        bytes += Array("{\"seq\":\(stored.seq),\"device\":".utf8)
        bytes += entry.jsonDevice
        bytes += Array(",\"time\":\"\(stored.poll.time.rfc3339)\",\"clock\":\"\(stored.poll.clock.rawValue)\",\"values\":{".utf8)
        var separator: [UInt8] = []
        for reading in readings {
            guard let value = reading.value else { continue }
            bytes += separator + entry.columns[reading.point].jsonKey + [UInt8(ascii: ":")]
            switch value {
            case .number(let number): number.write(to: &bytes)
            case .text(let text): bytes += ExportText.json(text)
            }
            separator = [UInt8(ascii: ",")]
        }
        bytes.append(UInt8(ascii: "}"))
        let doubtful = readings.filter { $0.quality != .good }
        if !doubtful.isEmpty {
            bytes += Array(",\"quality\":{".utf8)
            for (index, reading) in doubtful.enumerated() {
                if index > 0 { bytes.append(UInt8(ascii: ",")) }
                bytes += entry.columns[reading.point].jsonKey + Array(":\(reading.quality.rawValue)".utf8)
            }
            bytes.append(UInt8(ascii: "}"))
        }
        bytes += [UInt8(ascii: "}"), UInt8(ascii: "\n")]
    }

    /// RFC 4180: quoted where it must be.
    static func csv(_ text: String) -> [UInt8] {
        let bytes = Array(text.utf8)
        guard bytes.contains(where: { $0 == UInt8(ascii: ",") || $0 == UInt8(ascii: "\"") || $0 == 10 || $0 == 13 }) else { return bytes }
        return [UInt8(ascii: "\"")] + bytes.flatMap { $0 == UInt8(ascii: "\"") ? [$0, $0] : [$0] } + [UInt8(ascii: "\"")]
    }

    static func json(_ text: String) -> [UInt8] {
        var quoted: [UInt8] = [UInt8(ascii: "\"")]
        let digits = Array("0123456789abcdef".utf8)
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"): quoted += [UInt8(ascii: "\\"), byte]
            case ..<0x20: quoted += Array("\\u00".utf8) + [digits[Int(byte >> 4)], digits[Int(byte & 15)]]
            default: quoted.append(byte)
            }
        }
        return quoted + [UInt8(ascii: "\"")]
    }

    /// Decoders held at once: those of a large plant.
    static let entryLimit = 4096
}
