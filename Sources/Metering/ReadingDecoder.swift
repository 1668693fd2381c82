/// Turns the raw words of a poll into readings, by one catalog entry's profile and settings.
///
/// Never throws: a point whose words are missing, a sentinel or not a number is a reading with a quality and no value.
package struct ReadingDecoder: Sendable {
    package let profile: Profile
    package let invert: Bool
    /// The quantity of each point as it is handed on: with `invert`, import and export have changed places.
    package let quantities: [Quantity]
    /// The points that are decoded, in profile order: all of them, or those of `selecting`.
    package private(set) var selected: [Int]
    private let steps: [Step]

    /// What the common point needs, without the lists of the uncommon ones: a million values an hour are decoded here.
    private struct Step {
        var block: Block
        var encoding: Encoding
        var order: WordOrder
        var factor: ExactDecimal
        var offset: ExactDecimal
        var scaleRegister: Block?
        /// Some words stand for no value; the point says which.
        var hasAbsent: Bool
        var isText: Bool
        /// True where the sign must be turned.
        var negate: Bool
        /// True where other registers, bits or maps take part.
        var isComposed: Bool
    }

    package init(profile: Profile, invert: Bool = false) {
        self.profile = profile
        self.invert = invert
        quantities = profile.points.map { invert ? ReadingDecoder.mirrored($0.quantity) : $0.quantity }
        steps = profile.points.map { point in
            Step(
                block: point.block, encoding: point.encoding, order: point.order, factor: point.factor, offset: point.offset,
                scaleRegister: point.scaleRegister, hasAbsent: !point.absent.isEmpty, isText: point.quantity.kind == .text,
                negate: point.invert != (invert && ReadingDecoder.hasDirection(point.quantity)), isComposed: point.isComposed)
        }
        selected = Array(profile.points.indices)
    }

    /// Decodes some points only; their numbers, and `quantities`, stay those of the whole profile.
    package func selecting(_ isWanted: (PointDefinition, Quantity) -> Bool) -> ReadingDecoder {
        var decoder = self
        decoder.selected = selected.filter { isWanted(profile.points[$0], quantities[$0]) }
        return decoder
    }

    /// One reading for every selected point that the answers touch, in profile order. A point of a block that was not asked gives none.
    package func decode(_ answers: [BlockAnswer]) -> [Reading] {
        var readings: [Reading] = []
        readings.reserveCapacity(selected.count)
        for index in selected {
            if let reading = decode(point: index, answers) { readings.append(reading) }
        }
        return readings
    }

    /// How many readings `decode` would give.
    package func count(_ answers: [BlockAnswer]) -> Int {
        steps.reduce(0) { sum, step in sum + (answers.contains { $0.block.covers(step.block) } ? 1 : 0) }
    }

    private func decode(point index: Int, _ answers: [BlockAnswer]) -> Reading? {
        let step = steps[index]
        guard let place = answers.firstIndex(where: { $0.block.covers(step.block) }) else { return nil }
        switch answers[place].outcome {
        case .fault(let fault):
            return Reading(point: index, value: nil, quality: fault.quality)
        case .words(let words):
            let block = answers[place].block
            guard let own = ReadingDecoder.words(of: step.block, in: block, words) else {
                return Reading(point: index, value: nil, quality: .badValue)
            }
            if step.isComposed { return composed(own, index, step, block, words, answers) }
            if step.encoding == .string {
                return RawText.text(own, order: step.order).map { Reading(point: index, value: .text($0)) }
                    ?? Reading(point: index, value: nil, quality: .badValue)
            }
            let pattern = step.order.pattern(own)
            guard !isAbsent(pattern, index, step), let raw = step.encoding.number(pattern) else {
                return Reading(point: index, value: nil, quality: .badValue)
            }
            if step.isText { return Reading(point: index, value: .text(raw.description)) }
            guard let value = raw.multiplied(by: step.factor), let scaled = scaled(value, step, block, words),
                let number = finished(scaled, step, negate: step.negate)
            else { return Reading(point: index, value: nil, quality: .badValue) }
            return Reading(point: index, value: .number(number))
        }
    }

    /// A sentinel, which stands for no value.
    private func isAbsent(_ pattern: UInt64, _ index: Int, _ step: Step) -> Bool {
        step.hasAbsent && profile.points[index].absent.contains(pattern)
    }

    /// By the power of ten in the scale register. It must come from the same answer: it may change between two.
    private func scaled(_ value: ExactDecimal, _ step: Step, _ block: Block, _ words: [UInt16]) -> ExactDecimal? {
        guard let register = step.scaleRegister else { return value }
        guard let word = ReadingDecoder.words(of: register, in: block, words)?.first else { return nil }
        let power = Int16(bitPattern: word)
        guard (-10...10).contains(power) else { return nil }
        return ExactDecimal(mantissa: value.mantissa, exponent: Int(value.exponent) + Int(power))
    }

    private func finished(_ value: ExactDecimal, _ step: Step, negate: Bool) -> ExactDecimal? {
        let result = value.adding(step.offset)
        return negate ? result?.negated : result
    }

    // MARK: - Points in which other registers, bits or maps take part

    private func composed(
        _ own: ArraySlice<UInt16>, _ index: Int, _ step: Step, _ block: Block, _ words: [UInt16], _ answers: [BlockAnswer]
    ) -> Reading {
        let point = profile.points[index]
        guard let raw = raw(own, index, step, block, words) else { return Reading(point: index, value: nil, quality: .badValue) }
        if step.isText {
            let name = point.names.isEmpty ? nil : raw.integer.flatMap { point.names[$0] }
            return Reading(point: index, value: .text(name ?? raw.description))
        }
        var quality = Quality.badValue
        guard let number = number(raw, point, step, block, words, answers, &quality) else {
            return Reading(point: index, value: nil, quality: quality)
        }
        return Reading(point: index, value: .number(number))
    }

    /// What stands in the point's own registers and parts; nil for a sentinel and for what is no number.
    private func raw(_ own: ArraySlice<UInt16>, _ index: Int, _ step: Step, _ block: Block, _ words: [UInt16]) -> ExactDecimal? {
        let point = profile.points[index]
        var pattern = point.order.pattern(own)
        for part in point.parts {
            guard let word = ReadingDecoder.words(of: part, in: block, words) else { return nil }
            pattern = pattern << 16 | point.order.pattern(word)
        }
        if isAbsent(pattern, index, step) { return nil }
        if let mask = point.mask { pattern = (pattern & mask) >> UInt64(mask.trailingZeroBitCount) }
        guard let raw = step.encoding.number(pattern) else { return nil }
        return ReadingDecoder.mapped(raw, by: point.map)
    }

    /// - Parameter quality: set when something else than the words is the reason for no value.
    private func number(
        _ raw: ExactDecimal, _ point: PointDefinition, _ step: Step, _ block: Block, _ words: [UInt16], _ answers: [BlockAnswer],
        _ quality: inout Quality
    ) -> ExactDecimal? {
        guard var value = raw.multiplied(by: step.factor) else { return nil }
        for term in point.terms {
            guard let own = ReadingDecoder.words(of: term.block, in: block, words), let more = term.number(own),
                let sum = value.adding(more) ?? ReadingDecoder.floatSum(value, more, point, term)
            else { return nil }
            value = sum
        }
        guard let whole = scaled(value, step, block, words) else { return nil }
        value = whole
        for ratio in point.ratios {
            guard let factor = self.ratio(ratio, block, words, answers, &quality), let product = value.multiplied(by: factor) else {
                return nil
            }
            value = product
        }
        var negate = step.negate
        if let flag = point.signFlag {
            guard let word = ReadingDecoder.words(of: flag.block, in: block, words)?.first else { return nil }
            if word & flag.mask == flag.negative { negate.toggle() }
        }
        return finished(value, step, negate: negate)
    }

    /// Two float64 may have more digits between them than 64 bits hold; their sum is then the nearest float64, as the device would add.
    private static func floatSum(_ a: ExactDecimal, _ b: ExactDecimal, _ point: PointDefinition, _ term: Operand) -> ExactDecimal? {
        guard point.encoding == .float64, term.encoding == .float64 else { return nil }
        return ExactDecimal(shortest: a.double + b.double)
    }

    /// A ratio is a setting: it may stand in another answer of the same poll. A ratio of 0 would make every value 0, so it is none.
    private func ratio(
        _ ratio: Operand, _ block: Block, _ words: [UInt16], _ answers: [BlockAnswer], _ quality: inout Quality
    ) -> ExactDecimal? {
        if let own = ReadingDecoder.words(of: ratio.block, in: block, words) { return ratio.number(own).flatMap { $0 == .zero ? nil : $0 } }
        guard let answer = answers.first(where: { $0.block.covers(ratio.block) }) else { return nil }
        switch answer.outcome {
        case .fault(let fault):
            quality = fault.quality
            return nil
        case .words(let others):
            guard let own = ReadingDecoder.words(of: ratio.block, in: answer.block, others) else { return nil }
            return ratio.number(own).flatMap { $0 == .zero ? nil : $0 }
        }
    }

    /// The words of a block within the words of an answer; nil when they are not among them.
    private static func words(of block: Block, in answer: Block, _ words: [UInt16]) -> ArraySlice<UInt16>? {
        guard answer.covers(block) else { return nil }
        let start = Int(block.address) - Int(answer.address)
        guard words.count >= start + Int(block.count) else { return nil }
        return words[start..<start + Int(block.count)]
    }

    /// What a raw number stands for; nil when the map does not know it.
    fileprivate static func mapped(_ raw: ExactDecimal, by map: [Int64: ExactDecimal]) -> ExactDecimal? {
        if map.isEmpty { return raw }
        return raw.integer.flatMap { map[$0] }
    }

    /// Gauges whose sign tells the direction of flow.
    private static func hasDirection(_ quantity: Quantity) -> Bool {
        guard quantity.kind == .gauge else { return false }
        return ["power_active", "power_reactive", "power_factor", "energy_active_net", "grid_power"].contains { base in
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

extension Operand {
    /// The number in its words, with its factor; nil for a sentinel and for what is no number.
    fileprivate func number(_ words: ArraySlice<UInt16>) -> ExactDecimal? {
        let pattern = order.pattern(words)
        if absent.contains(pattern) { return nil }
        guard let raw = encoding.number(pattern) else { return nil }
        return ReadingDecoder.mapped(raw, by: map)?.multiplied(by: factor)
    }
}
