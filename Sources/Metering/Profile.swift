/// The register map of a device model, as its TOML file states it. docs/device-profiles.md documents the file key by key.
package struct Profile: Hashable, Sendable {
    /// The name configs use, e.g. `eastron-sdm630`; equal to the file's name without `.toml`.
    package var name: String
    package var version: Int
    package var vendor: String
    package var models: [String]
    /// Where the map comes from: documents and independent implementations.
    package var source: String
    package var limits: ReadLimits
    package var points: [PointDefinition]
    package var examples: [WorkedExample]

    package init(
        name: String, version: Int, vendor: String, models: [String], source: String, limits: ReadLimits = ReadLimits(),
        points: [PointDefinition], examples: [WorkedExample] = []
    ) {
        self.name = name
        self.version = version
        self.vendor = vendor
        self.models = models
        self.source = source
        self.limits = limits
        self.points = points
        self.examples = examples
    }
}

/// What the device allows a reader to ask.
package struct ReadLimits: Hashable, Sendable {
    /// Registers per request, 1 ... 125.
    package var maxRegisters: Int
    /// Unused registers that one request may read across; 0 forbids any.
    package var maxGap: Int
    /// Registers that must never be asked for, alone or in passing.
    package var forbidden: [Block]
    /// The pause that the device wants between the end of one answer and the next request.
    package var requestPause: Duration

    package init(maxRegisters: Int = 125, maxGap: Int = 16, forbidden: [Block] = [], requestPause: Duration = .zero) {
        self.maxRegisters = maxRegisters
        self.maxGap = maxGap
        self.forbidden = forbidden
        self.requestPause = requestPause
    }
}

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
    /// value = raw × 10^scaleRegister × factor + offset; the factor holds the profile's `scale` and the unit's prefix.
    package var factor: ExactDecimal
    package var offset: ExactDecimal
    /// The register whose signed value is the power of ten (SunSpec `sunssf`); read in the same request, or the point has no value.
    package var scaleRegister: Block?
    /// Raw patterns, after word order, that mean "not available". Tested before scaling.
    package var absent: [UInt64]
    package var pointClass: PointClass
    /// True for a register whose sign is the opposite of ours (+ = import).
    package var invert: Bool

    package init(
        quantity: Quantity, block: Block, encoding: Encoding, order: WordOrder = .abcd, factor: ExactDecimal = ExactDecimal(1),
        offset: ExactDecimal = .zero, scaleRegister: Block? = nil, absent: [UInt64] = [], pointClass: PointClass = .live,
        invert: Bool = false
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
    }
}

/// How raw words become a number or a text.
package enum Encoding: String, Hashable, Sendable, CaseIterable {
    case uint16, int16, uint32, int32, uint64, int64, float32, float64
    /// SunSpec accumulators: unsigned, and 0 means "not accumulated", never a reset.
    case acc32, acc64
    /// Schneider's four-quadrant power factor, a float32 in -2 ... 2: beyond ±1 it is leading, and ±2 − x is the factor.
    case schneider4q = "schneider_4q"
    /// ASCII, two characters a word, ending at the first NUL; trailing spaces are dropped.
    case string

    /// Words of one value; nil where the profile gives the length.
    package var wordCount: Int? {
        switch self {
        case .uint16, .int16: 1
        case .uint32, .int32, .float32, .acc32, .schneider4q: 2
        case .uint64, .int64, .float64, .acc64: 4
        case .string: nil
        }
    }
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

/// Words and what they mean, stated in the profile so that a test and `meterctl profiles test` can decode them.
package struct WorkedExample: Hashable, Sendable {
    package var answers: [BlockAnswer]
    package var quantity: String
    /// Nil: the words mean "not available".
    package var value: Value?

    package init(answers: [BlockAnswer], quantity: String, value: Value?) {
        self.answers = answers
        self.quantity = quantity
        self.value = value
    }
}
