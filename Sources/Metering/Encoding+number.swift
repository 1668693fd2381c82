extension Encoding {
    /// The raw number of a bit pattern; nil for NaN, infinities, accumulators at zero and magnitudes beyond Int64.
    package func number(_ pattern: UInt64) -> ExactDecimal? {
        switch self {
        case .uint16, .uint32:
            return ExactDecimal(Int64(pattern))
        case .int16:
            return ExactDecimal(Int64(Int16(bitPattern: UInt16(truncatingIfNeeded: pattern))))
        case .int32:
            return ExactDecimal(Int64(Int32(bitPattern: UInt32(truncatingIfNeeded: pattern))))
        case .uint64:
            return Int64(exactly: pattern).map { ExactDecimal($0) }
        case .int64:
            return ExactDecimal(Int64(bitPattern: pattern))
        case .acc32, .acc64:
            return pattern == 0 ? nil : Int64(exactly: pattern).map { ExactDecimal($0) }
        case .float32:
            return ExactDecimal(shortest: Float(bitPattern: UInt32(truncatingIfNeeded: pattern)))
        case .float64:
            return ExactDecimal(shortest: Double(bitPattern: pattern))
        case .schneider4q:
            guard let raw = ExactDecimal(shortest: Float(bitPattern: UInt32(truncatingIfNeeded: pattern))) else { return nil }
            let value = raw.double
            guard abs(value) <= 2 else { return nil }
            if value > 1 { return raw.negated?.adding(ExactDecimal(2)) }
            if value < -1 { return raw.negated?.adding(ExactDecimal(-2)) }
            return raw
        case .bcd16, .bcd32, .bcd64:
            return Encoding.packedDecimal(pattern)
        case .string:
            return nil
        }
    }

    /// 0x1234 is 1234; nil when a digit is above 9.
    private static func packedDecimal(_ pattern: UInt64) -> ExactDecimal? {
        var value: Int64 = 0
        for shift in stride(from: UInt64(60), through: 0, by: -4) {
            let digit = Int64(pattern >> shift & 0xF)
            guard digit <= 9 else { return nil }
            value = value * 10 + digit
        }
        return ExactDecimal(value)
    }
}

extension WordOrder {
    /// The value's bits, most significant first, whatever the order on the wire.
    package func pattern(_ words: ArraySlice<UInt16>) -> UInt64 {
        var pattern: UInt64 = 0
        if lowWordFirst {
            for word in words.reversed() { pattern = pattern << 16 | UInt64(swapsBytes ? word.byteSwapped : word) }
        } else {
            for word in words { pattern = pattern << 16 | UInt64(swapsBytes ? word.byteSwapped : word) }
        }
        return pattern
    }
}

/// Text in registers.
enum RawText {
    /// Printable UTF-8 up to the first NUL, without trailing spaces; nil when empty or not text.
    static func text(_ words: ArraySlice<UInt16>, order: WordOrder) -> String? {
        var bytes: [UInt8] = []
        for word in order.lowWordFirst ? Array(words.reversed()) : Array(words) {
            let own = order.swapsBytes ? word.byteSwapped : word
            bytes.append(UInt8(own >> 8))
            bytes.append(UInt8(own & 0xFF))
        }
        var content = bytes.prefix { $0 != 0 }
        while let last = content.last, last == UInt8(ascii: " ") { content.removeLast() }
        guard !content.isEmpty, content.allSatisfy({ $0 >= 0x20 && $0 != 0x7F }) else { return nil }
        return String(validating: content, as: UTF8.self)
    }
}
