/// Turns the raw words of a poll into readings, by one catalog entry's profile and settings.
///
/// Never throws: a point whose words are missing, a sentinel or not a number is a reading with a quality and no value.
package struct ReadingDecoder: Sendable {
    package let profile: Profile
    package let invert: Bool
    /// The quantity of each point as it is handed on: with `invert`, import and export have changed places.
    package let quantities: [Quantity]

    package init(profile: Profile, invert: Bool = false) {
        self.profile = profile
        self.invert = invert
        quantities = profile.points.map { invert ? ReadingDecoder.mirrored($0.quantity) : $0.quantity }
    }

    /// One reading for every point that the answers touch, in profile order. A point of a block that was not asked gives none.
    package func decode(_ answers: [BlockAnswer]) -> [Reading] {
        var readings: [Reading] = []
        readings.reserveCapacity(profile.points.count)
        for index in profile.points.indices {
            if let reading = decode(point: index, answers) { readings.append(reading) }
        }
        return readings
    }

    /// How many readings `decode` would give.
    package func count(_ answers: [BlockAnswer]) -> Int {
        profile.points.reduce(0) { sum, point in sum + (answers.contains { $0.block.covers(point.block) } ? 1 : 0) }
    }

    private func decode(point index: Int, _ answers: [BlockAnswer]) -> Reading? {
        let point = profile.points[index]
        guard let answer = answers.first(where: { $0.block.covers(point.block) }) else { return nil }
        switch answer.outcome {
        case .fault(let fault):
            return Reading(point: index, value: nil, quality: fault.quality)
        case .words(let words):
            let start = Int(point.block.address) - Int(answer.block.address)
            guard words.count >= start + Int(point.block.count) else { return Reading(point: index, value: nil, quality: .badValue) }
            let own = words[start..<start + Int(point.block.count)]
            if point.encoding == .string {
                return text(own, order: point.order).map { Reading(point: index, value: .text($0)) }
                    ?? Reading(point: index, value: nil, quality: .badValue)
            }
            guard let number = number(own, point, answer: answer, words) else {
                return Reading(point: index, value: nil, quality: .badValue)
            }
            return Reading(point: index, value: point.quantity.kind == .text ? .text(number.description) : .number(number))
        }
    }

    private func number(_ own: ArraySlice<UInt16>, _ point: PointDefinition, answer: BlockAnswer, _ words: [UInt16]) -> ExactDecimal? {
        let pattern = ReadingDecoder.pattern(own, order: point.order)
        if point.absent.contains(pattern) { return nil }
        guard var value = point.encoding.number(pattern) else { return nil }
        if let register = point.scaleRegister {
            // The factor must come from the same answer: it may change between two.
            guard answer.block.covers(register) else { return nil }
            let power = Int16(bitPattern: words[Int(register.address) - Int(answer.block.address)])
            guard (-10...10).contains(power),
                let scaled = ExactDecimal(mantissa: value.mantissa, exponent: Int(value.exponent) + Int(power))
            else { return nil }
            value = scaled
        }
        guard var result = value.multiplied(by: point.factor)?.adding(point.offset) else { return nil }
        if point.invert != (invert && ReadingDecoder.hasDirection(point.quantity)) {
            guard let negated = result.negated else { return nil }
            result = negated
        }
        return result
    }

    /// The value's bits, most significant first, whatever the order on the wire.
    static func pattern(_ words: ArraySlice<UInt16>, order: WordOrder) -> UInt64 {
        var pattern: UInt64 = 0
        if order.lowWordFirst {
            for word in words.reversed() { pattern = pattern << 16 | UInt64(order.swapsBytes ? word.byteSwapped : word) }
        } else {
            for word in words { pattern = pattern << 16 | UInt64(order.swapsBytes ? word.byteSwapped : word) }
        }
        return pattern
    }

    /// Printable UTF-8 up to the first NUL, without trailing spaces; nil when empty or not text.
    private func text(_ words: ArraySlice<UInt16>, order: WordOrder) -> String? {
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

    /// Gauges whose sign tells the direction of flow.
    private static func hasDirection(_ quantity: Quantity) -> Bool {
        guard quantity.kind == .gauge else { return false }
        return ["power_active", "power_reactive", "power_factor", "energy_active_net"].contains { base in
            quantity.id == base || (quantity.id.hasPrefix(base + "_l") && quantity.id.utf8.count == base.utf8.count + 3)
        }
    }

    /// `energy_active_import_l1` for `energy_active_export_l1`, and back; others stay.
    private static func mirrored(_ quantity: Quantity) -> Quantity {
        var parts = quantity.id.split(separator: "_").map(String.init)
        for index in parts.indices {
            if parts[index] == "import" { parts[index] = "export" } else if parts[index] == "export" { parts[index] = "import" }
        }
        return Vocabulary.quantity(parts.joined(separator: "_")) ?? quantity
    }
}

extension Encoding {
    /// The raw number of a bit pattern; nil for NaN, infinities, accumulators at zero and magnitudes beyond Int64.
    func number(_ pattern: UInt64) -> ExactDecimal? {
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
        case .string:
            return nil
        }
    }
}
