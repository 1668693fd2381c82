import Metering

/// Registers as they are being filled, bit by bit: points share words, so each bit is known or still free.
struct RegisterSheet {
    private struct Place: Hashable {
        var table: RegisterTable
        var address: Int
    }

    private struct Cell {
        var word: UInt16
        var known: UInt16
    }

    private var cells: [Place: Cell] = [:]

    /// What stands there; 0 where nothing was put.
    func word(_ table: RegisterTable, _ address: Int) -> UInt16 { cells[Place(table: table, address: address)]?.word ?? 0 }

    func knownBits(_ table: RegisterTable, _ address: Int) -> UInt16 { cells[Place(table: table, address: address)]?.known ?? 0 }

    mutating func put(_ table: RegisterTable, _ address: Int, _ word: UInt16, bits: UInt16 = 0xFFFF) {
        let place = Place(table: table, address: address)
        let old = cells[place] ?? Cell(word: 0, known: 0)
        cells[place] = Cell(word: old.word & ~bits | word & bits, known: old.known | bits)
    }
}

/// The registers of one number of a point: its own, a term's or a ratio's.
struct RegisterSlot {
    var table: RegisterTable
    /// In the order of the registers; of parts, most significant first.
    var addresses: [Int]
    /// True when `addresses` are single words in the order of significance, whatever the word order says.
    var isParts = false
    var encoding: Encoding
    var order: WordOrder
    var factor: ExactDecimal
    var absent: [UInt64]
    var mask: UInt64?
    var map: [Int64: ExactDecimal]

    init(own point: PointDefinition) {
        table = point.block.table
        addresses = Array(point.block.range) + point.parts.map { Int($0.address) }
        isParts = !point.parts.isEmpty
        encoding = point.encoding
        order = point.order
        factor = point.factor
        absent = point.absent
        mask = point.mask
        map = point.map
    }

    init(_ operand: Operand) {
        table = operand.block.table
        addresses = Array(operand.block.range)
        encoding = operand.encoding
        order = operand.order
        factor = operand.factor
        absent = operand.absent
        map = operand.map
    }

    /// The words of a pattern in the order of `addresses`: the inverse of `WordOrder.pattern`.
    func words(of pattern: UInt64) -> [UInt16] {
        let count = addresses.count
        var words = (0..<count).map { UInt16(truncatingIfNeeded: pattern >> UInt64(16 * (count - 1 - $0))) }
        if order.swapsBytes { words = words.map(\.byteSwapped) }
        if order.lowWordFirst, !isParts { words.reverse() }
        return words
    }

    /// The raw number's bits, moved to where the mask has them.
    func pattern(of raw: ExactDecimal) -> UInt64? {
        guard let bits = encoding.pattern(of: raw) else { return nil }
        if table.isBits, bits > 1 { return nil }
        guard let mask else { return bits }
        let shift = UInt64(mask.trailingZeroBitCount)
        let moved = bits << shift
        return moved & mask == moved && moved >> shift == bits ? moved : nil
    }

    /// Which bits of each word are the number's.
    var bits: [UInt16] { words(of: mask ?? .max) }

    func isKnown(in sheet: RegisterSheet) -> Bool {
        zip(addresses, bits).allSatisfy { sheet.knownBits(table, $0) & $1 == $1 }
    }

    func put(_ pattern: UInt64, into sheet: inout RegisterSheet) {
        for (place, word) in words(of: pattern).enumerated() { sheet.put(table, addresses[place], word, bits: bits[place]) }
    }

    /// The number that stands there already, with its factor; nil for what is none.
    func number(in sheet: RegisterSheet) -> ExactDecimal? {
        let words = addresses.map { sheet.word(table, $0) }
        var pattern: UInt64 = 0
        if isParts {
            for word in words { pattern = pattern << 16 | order.pattern([word]) }
        } else {
            pattern = order.pattern(words[...])
        }
        if absent.contains(pattern) { return nil }
        if let mask { pattern = (pattern & mask) >> UInt64(mask.trailingZeroBitCount) }
        guard let raw = encoding.number(pattern) else { return nil }
        if map.isEmpty { return raw.multiplied(by: factor) }
        return raw.integer.flatMap { map[$0] }?.multiplied(by: factor)
    }
}

extension Encoding {
    /// The bits of a raw number: the inverse of `number(_:)`. Nil for what the type does not hold.
    package func pattern(of raw: ExactDecimal) -> UInt64? {
        switch self {
        case .float32: Float(raw.description).flatMap { $0.isFinite ? UInt64($0.bitPattern) : nil }
        case .float64: Double(raw.description).flatMap { $0.isFinite ? $0.bitPattern : nil }
        // A factor within ±1 is written as it is; what is folded outwards beyond it means the same.
        case .schneider4q: abs(raw.double) <= 1 ? Encoding.float32.pattern(of: raw) : nil
        case .string: nil
        case .bcd16, .bcd32, .bcd64: raw.integer.flatMap { packedDecimal($0) }
        case .uint16, .int16, .uint32, .int32, .uint64, .int64, .acc32, .acc64:
            raw.integer.flatMap { integers?.contains($0) == true ? UInt64(bitPattern: $0) & (.max >> UInt64(64 - bitCount)) : nil }
        }
    }

    private var bitCount: Int { (wordCount ?? 4) * 16 }

    /// What the type holds; nil for floats and texts. An accumulator at 0 means that there is none.
    package var integers: ClosedRange<Int64>? {
        switch self {
        case .uint16: 0...0xFFFF
        case .int16: -0x8000...0x7FFF
        case .uint32: 0...0xFFFF_FFFF
        case .int32: -0x8000_0000...0x7FFF_FFFF
        case .acc32: 1...0xFFFF_FFFF
        case .uint64: 0...Int64.max
        case .acc64: 1...Int64.max
        case .int64: Int64.min...Int64.max
        case .bcd16: 0...9999
        case .bcd32: 0...99_999_999
        case .bcd64: 0...9_999_999_999_999_999
        case .float32, .float64, .schneider4q, .string: nil
        }
    }

    private func packedDecimal(_ number: Int64) -> UInt64? {
        guard integers?.contains(number) == true else { return nil }
        var rest = number
        var pattern: UInt64 = 0
        var shift: UInt64 = 0
        while rest > 0 {
            pattern |= UInt64(rest % 10) << shift
            rest /= 10
            shift += 4
        }
        return pattern
    }
}
