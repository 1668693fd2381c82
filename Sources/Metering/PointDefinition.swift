/// How often a point is worth asking; each class has a period per device.
package enum PointClass: String, Hashable, Sendable, CaseIterable {
    /// Every second or so: power, voltage, energy.
    case live
    /// Every minute or so.
    case slow
    /// At start and after every loss of the device: identity.
    case once
}

/// One point of a profile: which registers, and how they become a value in the quantity's unit.
package struct PointDefinition: Hashable, Sendable {
    package var quantity: Quantity
    package var block: Block
    package var encoding: Encoding
    package var order: WordOrder
    /// value = (raw × factor + terms) × 10^scaleRegister × ratios + offset; the factor holds the profile's `scale` and the unit's prefix.
    package var factor: ExactDecimal
    package var offset: ExactDecimal
    /// The register whose signed value is the power of ten (SunSpec `sunssf`); read in the same request, or the point has no value.
    package var scaleRegister: Block?
    /// Raw patterns, after word order, that mean "not available". Tested before scaling.
    package var absent: [UInt64]
    package var pointClass: PointClass
    /// True for a register whose sign is the opposite of ours (+ = import).
    package var invert: Bool
    /// The further words of a value whose registers do not follow each other, most significant first; `block` is then the first word.
    package var parts: [Block]
    /// Numbers of the same answer that are added, each with a factor of its own: a fraction, another tariff, export with factor -1.
    package var terms: [Operand]
    /// Numbers of the same poll that multiply the value: transformer ratios, a factor chosen by a setting of the device.
    package var ratios: [Operand]
    /// A register of the same answer that says when the value is negative.
    package var signFlag: SignFlag?
    /// The bits of the raw pattern that are the value, moved down to bit 0.
    package var mask: UInt64?
    /// What raw numbers stand for; empty where they stand for themselves. A number that is not in it has no value.
    package var map: [Int64: ExactDecimal]
    /// Names of states, for people; for a text quantity they are the value.
    package var names: [Int64: String]
    /// The value, in the quantity's unit, at which a counter is back at 0; nil where only the registers tell.
    package var rollover: ExactDecimal?

    package init(
        quantity: Quantity, block: Block, encoding: Encoding, order: WordOrder = .abcd, factor: ExactDecimal = ExactDecimal(1),
        offset: ExactDecimal = .zero, scaleRegister: Block? = nil, absent: [UInt64] = [], pointClass: PointClass = .live,
        invert: Bool = false, parts: [Block] = [], terms: [Operand] = [], ratios: [Operand] = [], signFlag: SignFlag? = nil,
        mask: UInt64? = nil, map: [Int64: ExactDecimal] = [:], names: [Int64: String] = [:],
        rollover: ExactDecimal? = nil
    ) {
        self.quantity = quantity
        self.block = block
        self.encoding = encoding
        self.order = order
        self.factor = factor
        self.offset = offset
        self.scaleRegister = scaleRegister
        self.absent = absent
        self.pointClass = pointClass
        self.invert = invert
        self.parts = parts
        self.terms = terms
        self.ratios = ratios
        self.signFlag = signFlag
        self.mask = mask
        self.map = map
        self.names = names
        self.rollover = rollover
    }

    /// Registers beside its own that must come in the same answer, or the point has no value.
    package var companions: [Block] {
        var blocks = parts + terms.map(\.block)
        if let scaleRegister { blocks.append(scaleRegister) }
        if let signFlag { blocks.append(signFlag.block) }
        return blocks
    }

    /// True where more than the point's own registers, as they are, make the value.
    var isComposed: Bool {
        !parts.isEmpty || !terms.isEmpty || !ratios.isEmpty || signFlag != nil || mask != nil || !map.isEmpty
            || (!names.isEmpty && quantity.kind == .text)
    }

    /// Its own registers and its companions as one run of addresses.
    package var run: Range<Int> {
        companions.reduce(block.range) { hull, other in
            min(hull.lowerBound, other.range.lowerBound)..<max(hull.upperBound, other.range.upperBound)
        }
    }
}

/// A number that stands in other registers than a point's own and takes part in its value.
package struct Operand: Hashable, Sendable {
    package var block: Block
    package var encoding: Encoding
    package var order: WordOrder
    package var factor: ExactDecimal
    /// Raw patterns that mean "not available"; the point then has no value.
    package var absent: [UInt64]
    /// What raw numbers stand for; empty where they stand for themselves.
    package var map: [Int64: ExactDecimal]

    package init(
        block: Block, encoding: Encoding, order: WordOrder = .abcd, factor: ExactDecimal = ExactDecimal(1), absent: [UInt64] = [],
        map: [Int64: ExactDecimal] = [:]
    ) {
        self.block = block
        self.encoding = encoding
        self.order = order
        self.factor = factor
        self.absent = absent
        self.map = map
    }
}

/// A register that tells the direction of a value without a sign: negative while `register & mask == negative`.
package struct SignFlag: Hashable, Sendable {
    package var block: Block
    package var mask: UInt16
    package var negative: UInt16

    package init(block: Block, mask: UInt16 = 0xFFFF, negative: UInt16) {
        self.block = block
        self.mask = mask
        self.negative = negative
    }
}
