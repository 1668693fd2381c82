/// How raw words become a number or a text.
package enum Encoding: String, Hashable, Sendable, CaseIterable {
    case uint16, int16, uint32, int32, uint64, int64, float32, float64
    /// SunSpec accumulators: unsigned, and 0 means "not accumulated", never a reset.
    case acc32, acc64
    /// Schneider's four-quadrant power factor, a float32 in -2 ... 2: beyond ±1 it is leading, and ±2 − x is the factor.
    case schneider4q = "schneider_4q"
    /// Packed decimal: a digit in every four bits. A digit above 9 is no number.
    case bcd16, bcd32, bcd64
    /// ASCII, two characters a word, ending at the first NUL; trailing spaces are dropped.
    case string

    /// Words of one value; nil where the profile gives the length.
    package var wordCount: Int? {
        switch self {
        case .uint16, .int16, .bcd16: 1
        case .uint32, .int32, .float32, .acc32, .schneider4q, .bcd32: 2
        case .uint64, .int64, .float64, .acc64, .bcd64: 4
        case .string: nil
        }
    }

    /// True for a whole number that a value of this type may be, signed or as the pattern of its bits; -1 stands for all ones.
    package func holds(_ number: Int64) -> Bool {
        guard let wordCount, wordCount < 4 else { return true }
        let bits = Int64(wordCount) * 16
        return number >= -(1 << (bits - 1)) && number < 1 << bits
    }

    /// True where single bits of the pattern can be picked out.
    package var isUnsigned: Bool { self == .uint16 || self == .uint32 || self == .uint64 }
}

/// The order of bytes on the wire, A being the most significant; for 64 bits the same rule over four words.
package enum WordOrder: String, Hashable, Sendable, CaseIterable {
    /// Big endian, high word first: the Modbus convention.
    case abcd = "ABCD"
    /// Low word first.
    case cdab = "CDAB"
    /// High word first, bytes swapped in each word.
    case badc = "BADC"
    /// Little endian throughout.
    case dcba = "DCBA"

    package var lowWordFirst: Bool { self == .cdab || self == .dcba }
    package var swapsBytes: Bool { self == .badc || self == .dcba }
}
