/// The names of the tables as profiles write them; `discrete` is an accepted short form.
enum TableName: String, CaseIterable {
    case coil, discrete, holding, input
    case discreteInput = "discrete_input"

    var table: RegisterTable {
        switch self {
        case .coil: .coil
        case .discreteInput, .discrete: .discreteInput
        case .holding: .holding
        case .input: .input
        }
    }
}

/// What `[defaults]` says for every point that does not say otherwise.
struct PointDefaults {
    var table: TableName?
    var encoding: Encoding?
    var order: WordOrder?
    var pointClass: PointClass?
    var absent: AbsentRule?

    init(_ reader: TomlReader?) {
        guard let reader else { return }
        table = reader.choice("table", of: TableName.self)
        encoding = reader.choice("type", of: Encoding.self)
        order = reader.choice("order", of: OrderName.self)?.order
        pointClass = reader.choice("class", of: PointClass.self)
        absent = reader.choice("absent", of: AbsentRule.self)
        reader.finish()
    }
}

/// A named set of "not available" patterns.
enum AbsentRule: String, CaseIterable {
    case none
    /// SunSpec Device Information Model Specification: the largest unsigned, the smallest signed, any NaN, accumulator zero.
    case sunspec
    /// All ones for unsigned, the largest positive for signed (ABB EQ meters, Huawei SUN2000).
    case allOnes = "all_ones"
    /// SolarEdge: SunSpec's for integers, and the most negative float32 (0xFF7FFFFF) for floats.
    case solaredge

    func patterns(_ encoding: Encoding) -> [UInt64] {
        switch (self, encoding) {
        case (.solaredge, .float32): [0xFF7F_FFFF]
        case (.none, _), (_, .acc32), (_, .acc64), (_, .float32), (_, .float64), (_, .string), (_, .schneider4q): []
        case (_, .uint16), (_, .bcd16): [0xFFFF]
        case (_, .uint32), (_, .bcd32): [0xFFFF_FFFF]
        case (_, .uint64), (_, .bcd64): [.max]
        case (.allOnes, .int16): [0x7FFF]
        case (.allOnes, .int32): [0x7FFF_FFFF]
        case (.allOnes, .int64): [0x7FFF_FFFF_FFFF_FFFF]
        case (_, .int16): [0x8000]
        case (_, .int32): [0x8000_0000]
        case (_, .int64): [0x8000_0000_0000_0000]
        }
    }
}

/// The orders as profiles write them; eight letters mean the same rule.
enum OrderName: String, CaseIterable {
    case abcd = "ABCD"
    case cdab = "CDAB"
    case badc = "BADC"
    case dcba = "DCBA"
    case abcdefgh = "ABCDEFGH"
    case ghefcdab = "GHEFCDAB"
    case badcfehg = "BADCFEHG"
    case hgfedcba = "HGFEDCBA"

    var order: WordOrder {
        switch self {
        case .abcd, .abcdefgh: .abcd
        case .cdab, .ghefcdab: .cdab
        case .badc, .badcfehg: .badc
        case .dcba, .hgfedcba: .dcba
        }
    }
}
