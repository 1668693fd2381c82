import Metering

/// Puts values of a profile's points into registers so that `ReadingDecoder` finds them there: its inverse.
///
///     value = ±((raw × factor + terms) × 10^scale × ratios + offset)
///
/// Scale registers, ratios and sign flags that stand already are taken as they are; others are chosen: ratios of 1 where the register
/// allows it, the finest scale that leaves room for four times the value.
package struct PointEncoder {
    private(set) var sheet = RegisterSheet()

    /// What stands in a register by now; 0 where nothing was put.
    package func word(_ table: RegisterTable, _ address: Int) -> UInt16 { sheet.word(table, address) }

    /// Names the value in errors.
    private var subject = ""
    /// True where a value must be met as nearly as the registers allow or refused; a plausible one may be the next best.
    private var isStrict = false

    package init() {}

    /// - Parameter strict: refuses what the registers cannot hold or what other points have settled; else the nearest is taken.
    /// - Throws: `usage`, naming the point, the value and what is possible.
    package mutating func put(_ value: Value, of point: PointDefinition, strict: Bool) throws(SimulatorError) {
        let own = RegisterSlot(own: point)
        isStrict = strict
        switch value {
        case .number(let number): subject = "\(point.quantity.id)=\(number)"
        case .text(let text): subject = "\(point.quantity.id)=\(text)"
        }
        // Settled by a point that shares its registers.
        let isSettled = own.isKnown(in: sheet) && point.terms.allSatisfy { RegisterSlot($0).isKnown(in: sheet) }
        if isSettled {
            guard strict else { return }
            throw SimulatorError(.usage, "\(subject): its registers are settled by another quantity that was set; set one of them")
        }
        switch value {
        case .text(let text): try put(text, of: point, own)
        case .number(let number):
            guard point.quantity.kind != .text else { throw SimulatorError(.usage, "\(subject): this quantity is a text") }
            try put(number, of: point, own)
        }
    }

    // MARK: - Texts

    private mutating func put(_ text: String, of point: PointDefinition, _ own: RegisterSlot) throws(SimulatorError) {
        guard point.quantity.kind == .text else { throw SimulatorError(.usage, "\(subject) is no number") }
        if point.encoding == .string {
            let bytes = Array(text.utf8)
            guard !bytes.isEmpty, bytes.count <= own.addresses.count * 2, bytes.allSatisfy({ $0 >= 0x20 && $0 < 0x7F }), bytes.last != 0x20
            else { throw SimulatorError(.usage, "\(subject) is not 1 to \(own.addresses.count * 2) characters of ASCII") }
            let room = bytes + [UInt8](repeating: 0, count: own.addresses.count * 2 - bytes.count)
            var words = own.addresses.indices.map { UInt16(room[2 * $0]) << 8 | UInt16(room[2 * $0 + 1]) }
            if point.order.swapsBytes { words = words.map(\.byteSwapped) }
            if point.order.lowWordFirst { words.reverse() }
            for (address, word) in zip(own.addresses, words) { sheet.put(own.table, address, word) }
            return
        }
        let raw = point.names.first { $0.value == text }.map { ExactDecimal($0.key) } ?? ExactDecimal(text)
        guard let raw, let pattern = own.pattern(of: raw), !own.absent.contains(pattern) else {
            throw SimulatorError(.usage, "\(subject) is no number that \(own.encoding.rawValue) holds")
        }
        own.put(pattern, into: &sheet)
    }

    // MARK: - Numbers

    private mutating func put(_ value: ExactDecimal, of point: PointDefinition, _ own: RegisterSlot) throws(SimulatorError) {
        let turned = point.invert != flagTurns(point, value)
        guard var target = (turned ? value.negated : value)?.adding(point.offset.negated ?? .zero) else { throw refusal(own) }
        for ratio in point.ratios {
            guard let part = target.divided(by: try settle(RegisterSlot(ratio))) else { throw refusal(own) }
            target = part
        }
        if let register = point.scaleRegister {
            let power = settleScale(register, target, own)
            guard let part = ExactDecimal(mantissa: target.mantissa, exponent: Int(target.exponent) - power) else { throw refusal(own) }
            target = part
        }
        try share(target, among: [own] + point.terms.map { RegisterSlot($0) })
    }

    /// Whether the sign flag turns the value; it is set when it was free. A flag among the value's own bits is left to the value.
    private mutating func flagTurns(_ point: PointDefinition, _ value: ExactDecimal) -> Bool {
        guard let flag = point.signFlag, !point.block.covers(flag.block) else { return false }
        let address = Int(flag.block.address)
        if sheet.knownBits(flag.block.table, address) & flag.mask == flag.mask {
            return sheet.word(flag.block.table, address) & flag.mask == flag.negative
        }
        let lowest = flag.mask & (~flag.mask &+ 1)
        let positive = flag.negative == 0 ? lowest : 0
        let isNegative = value.mantissa < 0
        sheet.put(flag.block.table, address, isNegative ? flag.negative : positive, bits: flag.mask)
        return isNegative
    }

    /// The ratio that stands in the slot; chosen, as near to 1 as can be, when nothing stands there.
    private mutating func settle(_ slot: RegisterSlot) throws(SimulatorError) -> ExactDecimal {
        if !slot.isKnown(in: sheet) {
            let raws: [ExactDecimal]
            if slot.map.isEmpty {
                let one = ExactDecimal(1).divided(by: slot.factor)
                raws = [one, ExactDecimal(1)].compactMap { $0 }
            } else {
                raws = slot.map.sorted { ($0.value.mantissa == 1 ? 0 : 1, $0.key) < ($1.value.mantissa == 1 ? 0 : 1, $1.key) }
                    .map { ExactDecimal($0.key) }
            }
            for pattern in raws.compactMap({ slot.pattern(of: $0) }) where !slot.absent.contains(pattern) {
                slot.put(pattern, into: &sheet)
                break
            }
        }
        guard let ratio = slot.number(in: sheet), ratio.mantissa != 0 else {
            throw SimulatorError(.usage, "\(subject): the ratio in register \(slot.addresses.first ?? 0) is none")
        }
        return ratio
    }

    private mutating func settleScale(_ register: Block, _ target: ExactDecimal, _ own: RegisterSlot) -> Int {
        let address = Int(register.address)
        if sheet.knownBits(register.table, address) == 0xFFFF {
            return Int(Int16(bitPattern: sheet.word(register.table, address)))
        }
        let most = own.encoding.integers.map { Double($0.upperBound) } ?? .infinity
        let wanted = abs((target.divided(by: own.factor) ?? target).double) * 4
        var power = -2
        while power < 10, wanted / PointEncoder.powerOfTen(power) > most { power += 1 }
        sheet.put(register.table, address, UInt16(bitPattern: Int16(power)))
        return power
    }

    private static func powerOfTen(_ power: Int) -> Double { ExactDecimal(mantissa: 1, exponent: power)?.double ?? 1 }

    /// Shares the target among the free slots, those with the largest steps first; the finest takes what is left.
    private mutating func share(_ target: ExactDecimal, among slots: [RegisterSlot]) throws(SimulatorError) {
        var rest = target
        var free: [RegisterSlot] = []
        for slot in slots {
            if slot.isKnown(in: sheet) {
                guard let part = slot.number(in: sheet)?.negated, let left = rest.adding(part) else { throw refusal(slots[0]) }
                rest = left
            } else {
                free.append(slot)
            }
        }
        guard let first = free.first else { return }
        if first.encoding.integers == nil || !first.map.isEmpty {
            try putWhole(rest, into: first)
            for slot in free.dropFirst() { slot.put(0, into: &sheet) }
            return
        }
        let ordered = free.enumerated().sorted { ($1.element.step, $0.offset) < ($0.element.step, $1.offset) }.map(\.element)
        guard let finest = ordered.last, let steps = rest.quotient(by: finest.factor, .nearest),
            let rounded = ExactDecimal(steps).multiplied(by: finest.factor)
        else { throw refusal(first) }
        rest = rounded
        for slot in ordered {
            let whole = rest.quotient(by: slot.factor, .towardsZero) ?? 0
            guard let range = slot.encoding.integers else { throw refusal(first) }
            var raw = min(max(whole, range.lowerBound), range.upperBound)
            if let pattern = slot.pattern(of: ExactDecimal(raw)), slot.absent.contains(pattern) {
                if isStrict { throw refusal(slot) }
                raw = raw > 0 ? raw - 1 : raw + 1
                rest = ExactDecimal(raw).multiplied(by: slot.factor) ?? rest
            }
            guard let pattern = slot.pattern(of: ExactDecimal(raw)), let taken = ExactDecimal(raw).multiplied(by: slot.factor)?.negated,
                let left = rest.adding(taken)
            else { throw refusal(slot) }
            slot.put(pattern, into: &sheet)
            rest = left
        }
        if rest.mantissa != 0 { throw refusal(first) }
    }

    /// Floats, and numbers that stand for others.
    private mutating func putWhole(_ target: ExactDecimal, into slot: RegisterSlot) throws(SimulatorError) {
        guard var raw = target.divided(by: slot.factor) else { throw refusal(slot) }
        if !slot.map.isEmpty {
            let sorted = slot.map.sorted { $0.key < $1.key }
            let exact = sorted.first { $0.value == raw }
            let nearest = sorted.min { abs($0.value.double - raw.double) < abs($1.value.double - raw.double) }
            guard let entry = exact ?? (isStrict ? nil : nearest) else { throw refusal(slot) }
            raw = ExactDecimal(entry.key)
        }
        guard let pattern = slot.pattern(of: raw), !slot.absent.contains(pattern) else { throw refusal(slot) }
        slot.put(pattern, into: &sheet)
    }

    private func refusal(_ slot: RegisterSlot) -> SimulatorError {
        var possible = "\(slot.encoding.rawValue) in steps of \(slot.factor)"
        if !slot.map.isEmpty {
            possible = "its registers know only " + slot.map.sorted { $0.key < $1.key }.map(\.value.description).joined(separator: ", ")
        } else if let range = slot.encoding.integers, let low = ExactDecimal(range.lowerBound).multiplied(by: slot.factor),
            let high = ExactDecimal(range.upperBound).multiplied(by: slot.factor)
        {
            possible += ", \(low) to \(high)"
        }
        return SimulatorError(.usage, "\(subject) cannot be put into its registers (\(possible))")
    }
}

extension RegisterSlot {
    fileprivate var step: Double { abs(factor.double) }
}
