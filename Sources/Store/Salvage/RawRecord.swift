/// A row as it lies in a page, of whatever table it may be.
///
/// - Source: SQLite "Database File Format", 1.6 (b-tree pages), 2.1 (records).
struct RawRecord {
    /// Nil in a table without one.
    var rowid: Int64?
    var values: [SQLValue]

    /// No row of ours is longer: a chunk of 2^20 words is the longest.
    static let limit = 8 << 20

    /// The rows of a page, as many as make sense. Whatever the bytes are, it never traps.
    static func all(in page: [UInt8], isFirst: Bool, of images: PageImages) -> [RawRecord] {
        let header = isFirst ? 100 : 0
        let kind = page[header]
        // Leaf of a table, leaf and interior page of an index.
        guard kind == 0x0d || kind == 0x0a || kind == 0x02 else { return [] }
        let pointers = header + (kind == 0x02 ? 12 : 8)
        let count = min(number(page, header + 3), (page.count - pointers) / 2)
        return (0..<count).compactMap { index in
            var start = number(page, pointers + 2 * index)
            if kind == 0x02 { start += 4 }
            return cell(page, at: start, isTable: kind == 0x0d, images)
        }
    }

    private static func cell(_ page: [UInt8], at start: Int, isTable: Bool, _ images: PageImages) -> RawRecord? {
        var reader = RecordReader(page, from: start)
        guard let length = reader.varint(), length >= 1, length <= Int64(limit) else { return nil }
        let rowid = isTable ? reader.varint() : nil
        guard !isTable || rowid != nil, let payload = payload(Int(length), page, reader.position, isTable: isTable, images) else {
            return nil
        }
        return values(of: payload).map { RawRecord(rowid: rowid, values: $0) }
    }

    /// What stands in the page, and the rest from its chain of overflow pages.
    private static func payload(
        _ length: Int, _ page: [UInt8], _ start: Int, isTable: Bool, _ images: PageImages
    ) -> [UInt8]? {
        let usable = PageImages.size
        let most = isTable ? usable - 35 : (usable - 12) * 64 / 255 - 23
        let least = (usable - 12) * 32 / 255 - 23
        var local = length
        if length > most {
            let wanted = least + (length - least) % (usable - 4)
            local = wanted <= most ? wanted : least
        }
        guard start + local + (length > most ? 4 : 0) <= page.count else { return nil }
        var bytes = Array(page[start..<start + local])
        guard length > most else { return bytes }
        bytes.reserveCapacity(length)
        var next = page[(start + local)...].bigEndian
        while bytes.count < length {
            guard next != 0, let overflow = images.bytes(ofPage: next) else { return nil }
            bytes.append(contentsOf: overflow[4..<min(usable, 4 + length - bytes.count)])
            next = overflow[0...].bigEndian
        }
        return bytes
    }

    private static func values(of payload: [UInt8]) -> [SQLValue]? {
        var header = RecordReader(payload, from: 0)
        guard let headerLength = header.varint(), headerLength <= Int64(payload.count) else { return nil }
        var body = RecordReader(payload, from: Int(headerLength))
        var values: [SQLValue] = []
        while header.position < Int(headerLength) {
            guard let type = header.varint(), let value = body.value(type) else { return nil }
            values.append(value)
        }
        return values
    }

    private static func number(_ bytes: [UInt8], _ offset: Int) -> Int { Int(bytes[offset]) << 8 | Int(bytes[offset + 1]) }
}

/// Reads SQLite's own numbers from bytes that anyone may have written.
private struct RecordReader {
    private let bytes: [UInt8]
    private(set) var position: Int

    init(_ bytes: [UInt8], from position: Int) {
        self.bytes = bytes
        self.position = min(max(position, 0), bytes.count)
    }

    /// Seven bits a byte, high ones first; a ninth byte has eight.
    mutating func varint() -> Int64? {
        var value: UInt64 = 0
        for index in 0..<9 {
            guard position < bytes.count else { return nil }
            let byte = bytes[position]
            position += 1
            if index == 8 { return Int64(bitPattern: value << 8 | UInt64(byte)) }
            value = value << 7 | UInt64(byte & 0x7f)
            if byte & 0x80 == 0 { break }
        }
        return Int64(bitPattern: value)
    }

    /// Nil for what no table of ours holds.
    mutating func value(_ type: Int64) -> SQLValue? {
        switch type {
        case 0: return .null
        case 1...6: return integer([1, 2, 3, 4, 6, 8][Int(type) - 1])
        case 8: return .integer(0)
        case 9: return .integer(1)
        case 12...:
            let length = (type - 12) / 2
            guard length <= Int64(bytes.count - position) else { return nil }
            defer { position += Int(length) }
            let part = Array(bytes[position..<position + Int(length)])
            return type & 1 == 0 ? .blob(part) : .text(String(decoding: part, as: UTF8.self))
        default: return nil
        }
    }

    private mutating func integer(_ width: Int) -> SQLValue? {
        guard width <= bytes.count - position else { return nil }
        defer { position += width }
        let isNegative = bytes[position] & 0x80 != 0
        return .integer(bytes[position..<position + width].reduce(isNegative ? -1 : 0) { $0 << 8 | Int64($1) })
    }
}
