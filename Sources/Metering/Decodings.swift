/// Every reading that raw words allow, for whoever compares a register with a meter's display.
package struct Decoding: Hashable, Sendable {
    /// Address of its first word.
    package var address: UInt16
    package var encoding: Encoding
    package var order: WordOrder
    package var value: Value

    /// All plausible decodings of a run of registers that begin at its first word: types × orders, without those that give the same
    /// value as one before, and without numbers that no meter shows.
    ///
    ///     4366 6666 → float32 ABCD 230.4; uint32 ABCD (1130784358) is left out: beyond 10^9
    package static func all(_ words: [UInt16], at address: UInt16) -> [Decoding] {
        var found: [Decoding] = []
        for encoding in Decoding.candidates {
            guard let count = encoding.wordCount, words.count >= count else { continue }
            for order in count == 1 ? [.abcd, .badc] : WordOrder.allCases {
                guard let number = encoding.number(order.pattern(words[..<count])), isPlausible(number, encoding) else { continue }
                let isKnown = found.contains { $0.value == .number(number) && $0.encoding.wordCount == count }
                if !isKnown { found.append(Decoding(address: address, encoding: encoding, order: order, value: .number(number))) }
            }
        }
        for order in [WordOrder.abcd, .badc] {
            guard let text = RawText.text(words[...], order: order), text.utf8.count > 1, text.utf8.allSatisfy({ $0 < 0x7F }) else {
                continue
            }
            found.append(Decoding(address: address, encoding: .string, order: order, value: .text(text)))
        }
        return found
    }

    /// One decoding, plausible or not; nil when the words are too few or no such number.
    package static func one(_ words: [UInt16], at address: UInt16, _ encoding: Encoding, _ order: WordOrder) -> Decoding? {
        guard let count = encoding.wordCount else {
            return RawText.text(words[...], order: order).map {
                Decoding(address: address, encoding: encoding, order: order, value: .text($0))
            }
        }
        guard words.count >= count, let number = encoding.number(order.pattern(words[..<count])) else { return nil }
        return Decoding(address: address, encoding: encoding, order: order, value: .number(number))
    }

    private static let candidates: [Encoding] = [
        .uint16, .int16, .bcd16, .float32, .uint32, .int32, .bcd32, .float64, .uint64, .int64, .bcd64,
    ]

    private static func isPlausible(_ number: ExactDecimal, _ encoding: Encoding) -> Bool {
        let magnitude = abs(number.double)
        switch encoding {
        case .uint16, .int16, .bcd16: return true
        case .float32, .float64: return magnitude == 0 || (1e-4...1e10).contains(magnitude)
        case .uint32, .int32, .bcd32, .acc32: return magnitude < 1e9
        case .uint64, .int64, .bcd64, .acc64: return magnitude < 1e13
        case .schneider4q: return magnitude <= 1
        case .string: return false
        }
    }
}

/// Text in registers, for those who read registers without a profile.
package enum RegisterText {
    /// Printable text up to the first NUL, without trailing spaces; nil when there is none.
    package static func text(_ words: ArraySlice<UInt16>) -> String? { RawText.text(words, order: .abcd) }
}
