import Metering

/// Writes batches as InfluxDB line protocol, one line a record; docs/outputs.md says what each part means.
///
///     meterd,device=main,gateway=gw-017,role=grid,site=park-2/factory-12 seq=1041,voltage_l1=230.4 1795459200123
///
/// Every number is a float, never one with `i`: a field of InfluxDB keeps for ever the type it was first written with, and a meter's
/// counter may be whole in one profile and not in the next. Tags stand in the order of their names, as the servers like them best.
/// - Source: InfluxDB line protocol reference, "Special characters" (escapes) and "Data types and format".
struct LineProtocolEncoder: BatchEncoder {
    /// The field that stands for the record's time among the qualities; no quantity has this id.
    static let timeQuality: StaticString = ",quality_time="

    private let measurement: [UInt8]
    private let texts: Bool
    private var shapes = PerSource<RecordShape>()

    /// - Parameter texts: whether serial numbers and the like are sent as string fields; VictoriaMetrics stores such a field as 0.
    init(measurement: String, texts: Bool) {
        var name: [UInt8] = []
        name.write(tag: measurement, equals: false)
        self.measurement = name
        self.texts = texts
    }

    func overhead(of batch: Batch) -> Int { 0 }

    func frame(_ records: [UInt8], of batch: Batch) -> [UInt8] { records }

    mutating func append(_ record: BatchRecord, of batch: Batch, first: Bool, to bytes: inout [UInt8]) {
        if !first { bytes.append(UInt8(ascii: "\n")) }
        let shape = shape(of: record.source)
        bytes.append(contentsOf: shape.head)
        bytes.write(",gateway=")
        bytes.write(tag: batch.gateway)
        bytes.write(",role=")
        bytes.append(contentsOf: record.source.entry.role.rawValue.utf8)
        if let site = batch.site, !site.isEmpty {
            bytes.write(",site=")
            bytes.write(tag: site)
        }
        bytes.write(" seq=")
        bytes.write(integer: record.seq)
        let readings = shape.distinct(record.readings)
        for reading in readings {
            switch reading.value {
            case .number(let number):
                shape.writeKey(reading.point, bare: false, to: &bytes)
                number.write(to: &bytes)
            case .text(let text) where texts:
                shape.writeKey(reading.point, bare: false, to: &bytes)
                bytes.write(fieldText: text)
            case .text, nil: break
            }
        }
        for reading in readings where reading.quality != .good {
            bytes.write(",quality_")
            shape.writeKey(reading.point, bare: true, to: &bytes)
            bytes.write(integer: Int64(reading.quality.rawValue))
        }
        if record.clock != .synchronized {
            bytes.write(LineProtocolEncoder.timeQuality)
            bytes.write(integer: Int64(Quality.timeUnsynchronized.rawValue))
        }
        bytes.append(UInt8(ascii: " "))
        bytes.write(integer: record.time.milliseconds)
    }

    private mutating func shape(of source: RecordSource) -> RecordShape {
        shapes.of(source) { [measurement] source in
            var head = measurement
            head.write(",device=")
            head.write(tag: source.entry.device)
            return RecordShape(source, head: head) { quantity, bytes in
                bytes.write(tag: quantity.id)
                bytes.append(UInt8(ascii: "="))
            }
        }
    }
}

extension [UInt8] {
    /// A tag value or a key. Comma, space and equals sign get a backslash. Nothing can stand for a line break or for a backslash before
    /// one of these, so a line break becomes a space and a backslash a slash.
    ///
    /// - Parameter equals: false for measurements, in which an equals sign is not escaped.
    mutating func write(tag text: String, equals: Bool = true) {
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: ","): write("\\,")
            case UInt8(ascii: "="): equals ? write("\\=") : append(byte)
            case 0x20, 0..<0x20, 0x7F: write("\\ ")
            case UInt8(ascii: "\\"): append(UInt8(ascii: "/"))
            default: append(byte)
            }
        }
    }

    /// A string field with its quotes; quotes and backslashes in it get a backslash.
    mutating func write(fieldText text: String) {
        append(UInt8(ascii: "\""))
        for byte in text.utf8 {
            if byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") { append(UInt8(ascii: "\\")) }
            append(byte < 0x20 ? 0x20 : byte)
        }
        append(UInt8(ascii: "\""))
    }
}
