import FoundationEssentials
import Metering

/// One way to write records into a file, such that a file cut anywhere can be mended: each record says who it is and when it is whole.
protocol FileFormat: BatchEncoder {
    /// What a file begins with.
    var header: [UInt8] { get }
    /// Reads a line, without its end; nil when it is not one that this format writes.
    func mark(_ line: ArraySlice<UInt8>) -> FileMark?
}

extension FileFormat {
    func overhead(of batch: Batch) -> Int { 0 }
    func frame(_ records: [UInt8], of batch: Batch) -> [UInt8] { records }
}

/// What a line says of the record it belongs to.
struct FileMark: Hashable {
    var journalID: String
    var seq: Int64
    /// Lines of the whole record.
    var lines: Int
    var day: FileDay

    /// The one with the higher seq; of two journals this one.
    func later(than other: FileMark?) -> FileMark {
        guard let other, other.journalID == journalID, other.seq > seq else { return self }
        return other
    }
}

/// A day in UTC, counted from 1970-01-01.
struct FileDay: Hashable, Comparable {
    var number: Int64
    init(_ time: Timestamp) { number = time.milliseconds.flooredQuotient(by: 86_400_000) }
    static func < (a: FileDay, b: FileDay) -> Bool { a.number < b.number }
}

/// JSON lines: a record is a line.
struct JSONLinesFormat: FileFormat {
    private var writer = JSONRecordWriter()

    let header: [UInt8] = []

    mutating func append(_ record: BatchRecord, of batch: Batch, first: Bool, to bytes: inout [UInt8]) {
        bytes.write("{\"gateway\":")
        bytes.write(string: batch.gateway)
        if let site = batch.site {
            bytes.write(",\"site\":")
            bytes.write(string: site)
        }
        bytes.write(",\"journal\":")
        bytes.write(string: batch.journalID)
        bytes.append(UInt8(ascii: ","))
        writer.write(record, to: &bytes)
        bytes.write("}\n")
    }

    func mark(_ line: ArraySlice<UInt8>) -> FileMark? {
        guard line.last == UInt8(ascii: "}"), let head = try? JSONDecoder().decode(Head.self, from: Data(line)) else { return nil }
        return FileMark(journalID: head.journal, seq: head.seq, lines: 1, day: FileDay(Timestamp(milliseconds: head.time)))
    }

    private struct Head: Decodable {
        var journal: String
        var seq: Int64
        var time: Int64
    }
}

/// CSV after RFC 4180 with LF line ends: a reading is a line, for spreadsheets and databases.
struct CSVFormat: FileFormat {
    let header = Array("time,gateway,site,device,role,quantity,value,unit,quality,clock,time_ms,seq,lines,journal\n".utf8)

    mutating func append(_ record: BatchRecord, of batch: Batch, first: Bool, to bytes: inout [UInt8]) {
        let quantities = record.source.decoder.quantities
        let readings = record.readings.filter { quantities.indices.contains($0.point) }
        var head = Array(record.time.rfc3339.utf8)
        for field in [batch.gateway, batch.site ?? "", record.source.entry.device, record.source.entry.role.rawValue] {
            head.append(UInt8(ascii: ","))
            head.write(csv: field)
        }
        head.append(UInt8(ascii: ","))
        let tail = ",\(record.clock.rawValue),\(record.time.milliseconds),\(record.seq),\(readings.count),\(batch.journalID)\n"
        for reading in readings {
            let quantity = quantities[reading.point]
            bytes.append(contentsOf: head)
            bytes.write(csv: quantity.id)
            bytes.append(UInt8(ascii: ","))
            switch reading.value {
            case .number(let number): number.write(to: &bytes)
            case .text(let text): bytes.write(csv: text)
            case nil: break
            }
            bytes.append(UInt8(ascii: ","))
            bytes.write(csv: quantity.unit)
            bytes.append(UInt8(ascii: ","))
            bytes.write(integer: Int64(reading.quality.rawValue))
            bytes.append(contentsOf: tail.utf8)
        }
    }

    func mark(_ line: ArraySlice<UInt8>) -> FileMark? {
        // The last four fields are never quoted.
        let fields = line.split(separator: UInt8(ascii: ","), omittingEmptySubsequences: false).suffix(4)
            .map { String(decoding: $0, as: UTF8.self) }
        guard fields.count == 4, let time = Int64(fields[0]), let seq = Int64(fields[1]), let lines = Int(fields[2]), lines > 0 else {
            return nil
        }
        return FileMark(journalID: fields[3], seq: seq, lines: lines, day: FileDay(Timestamp(milliseconds: time)))
    }
}

extension [UInt8] {
    /// A CSV field, quoted when it must be. Line breaks and other control characters become spaces, so that a line is a row.
    mutating func write(csv text: String) {
        let quoted = text.utf8.contains { $0 == UInt8(ascii: ",") || $0 == UInt8(ascii: "\"") }
        if quoted { append(UInt8(ascii: "\"")) }
        for byte in text.utf8 {
            if byte == UInt8(ascii: "\"") { append(byte) }
            append(byte < 0x20 || byte == 0x7F ? 0x20 : byte)
        }
        if quoted { append(UInt8(ascii: "\"")) }
    }
}
