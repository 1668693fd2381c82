import Metering

/// Writes one record as the members of a JSON object: `"seq":1041,"device":"main","time":...`; docs/http-output.md says what each means.
///
/// Written by hand: ten times the speed of a general encoder, and a key order that never changes.
struct JSONRecordWriter: Sendable {
    private var shapes = PerSource<RecordShape>()

    /// The members, without the braces around them.
    mutating func write(_ record: BatchRecord, to bytes: inout [UInt8]) {
        let shape = shape(of: record.source)
        bytes.write("\"seq\":")
        bytes.write(integer: record.seq)
        bytes.append(contentsOf: shape.head)
        bytes.write(integer: record.time.milliseconds)
        bytes.write(",\"clock\":\"")
        bytes.append(record.clock.rawValue.asciiValue ?? UInt8(ascii: "U"))
        bytes.write("\",\"values\":{")
        let readings = shape.distinct(record.readings)
        var (first, texts, bad) = (true, false, false)
        for reading in readings {
            if reading.quality != .good { bad = true }
            switch reading.value {
            case .number(let number):
                shape.writeKey(reading.point, bare: first, to: &bytes)
                number.write(to: &bytes)
                first = false
            case .text: texts = true
            case nil: break
            }
        }
        bytes.append(UInt8(ascii: "}"))
        if texts { writeTexts(readings, shape, to: &bytes) }
        if bad { writeQuality(readings, shape, to: &bytes) }
    }

    private func writeTexts(_ readings: [Reading], _ shape: RecordShape, to bytes: inout [UInt8]) {
        bytes.write(",\"texts\":{")
        var first = true
        for reading in readings {
            guard case .text(let text) = reading.value else { continue }
            shape.writeKey(reading.point, bare: first, to: &bytes)
            bytes.write(string: text)
            first = false
        }
        bytes.append(UInt8(ascii: "}"))
    }

    private func writeQuality(_ readings: [Reading], _ shape: RecordShape, to bytes: inout [UInt8]) {
        bytes.write(",\"quality\":{")
        var first = true
        for reading in readings where reading.quality != .good {
            shape.writeKey(reading.point, bare: first, to: &bytes)
            bytes.write(integer: Int64(reading.quality.rawValue))
            first = false
        }
        bytes.append(UInt8(ascii: "}"))
    }

    mutating func shape(of source: RecordSource) -> RecordShape {
        shapes.of(source) { source in
            var head: [UInt8] = []
            head.write(",\"device\":")
            head.write(string: source.entry.device)
            head.write(",\"time\":")
            return RecordShape(source, head: head) { quantity, bytes in
                bytes.write(string: quantity.id)
                bytes.append(UInt8(ascii: ":"))
            }
        }
    }
}
