/// The stored bytes are not what an encoder of ours writes.
struct ChunkDamage: Error, Hashable {
    /// What was found wrong, for the log.
    var what: String
}

/// Reads numbers from bytes that anyone may have written: it throws where they end early, and never traps.
struct ByteReader {
    private let bytes: [UInt8]
    private(set) var position: Int

    init(_ bytes: [UInt8], from position: Int = 0) {
        self.bytes = bytes
        self.position = min(max(position, 0), bytes.count)
    }

    var isAtEnd: Bool { position == bytes.count }

    mutating func byte() throws(ChunkDamage) -> UInt8 {
        guard position < bytes.count else { throw ChunkDamage(what: "ends early") }
        defer { position += 1 }
        return bytes[position]
    }

    /// LEB128: seven bits a byte, lowest first, the top bit set on all but the last; at most ten bytes.
    mutating func varint() throws(ChunkDamage) -> UInt64 {
        var value: UInt64 = 0
        var shift: UInt64 = 0
        while true {
            let next = try byte()
            guard shift < 63 || next <= 1 else { throw ChunkDamage(what: "number too long") }
            value |= UInt64(next & 0x7f) << shift
            if next & 0x80 == 0 { return value }
            shift += 7
            guard shift <= 63 else { throw ChunkDamage(what: "number too long") }
        }
    }

    /// A varint that must not be above `limit`.
    mutating func count(limit: Int) throws(ChunkDamage) -> Int {
        let value = try varint()
        guard limit >= 0, value <= UInt64(limit) else { throw ChunkDamage(what: "count \(value) above \(limit)") }
        return Int(value)
    }

    /// A zigzag varint: 0, -1, 1, -2 ... are written as 0, 1, 2, 3 ...
    mutating func signed() throws(ChunkDamage) -> Int64 { Int64(zigzag: try varint()) }

    mutating func take(_ count: Int) throws(ChunkDamage) -> [UInt8] {
        guard count >= 0, count <= bytes.count - position else { throw ChunkDamage(what: "ends early") }
        defer { position += count }
        return Array(bytes[position..<position + count])
    }
}

extension [UInt8] {
    mutating func append(varint value: UInt64) {
        var rest = value
        while rest >= 0x80 {
            append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        append(UInt8(rest))
    }

    mutating func append(count: Int) { append(varint: UInt64(count)) }
    mutating func append(signed value: Int64) { append(varint: value.zigzag) }
}

extension Int64 {
    /// Small magnitudes as small numbers: 0, -1, 1, -2 → 0, 1, 2, 3.
    var zigzag: UInt64 { UInt64(bitPattern: (self << 1) ^ (self >> 63)) }
    init(zigzag value: UInt64) { self = Int64(bitPattern: (value >> 1) ^ (0 &- (value & 1))) }
}

/// CRC-32 as zlib, PNG and Ethernet have it: polynomial 0x04C11DB7 reflected, start and end inverted. `123456789` → 0xCBF43926.
enum Checksum {
    private static let table: [UInt32] = (0..<256).map { index in
        (0..<8).reduce(UInt32(index)) { value, _ in value & 1 == 0 ? value >> 1 : 0xedb8_8320 ^ (value >> 1) }
    }

    static func crc32(_ bytes: ArraySlice<UInt8>) -> UInt32 {
        var value = UInt32.max
        table.withUnsafeBufferPointer { table in
            bytes.withUnsafeBufferPointer { bytes in
                // The index is one byte, the table has 256 places.
                for byte in bytes { value = table[Int(UInt8(truncatingIfNeeded: value) ^ byte)] ^ (value >> 8) }
            }
        }
        return ~value
    }
}
