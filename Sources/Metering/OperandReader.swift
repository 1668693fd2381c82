/// Reads what other registers do to a point: `plus`, `multiply` and `sign`.
struct OperandReader {
    let point: TomlReader
    /// The point's own rule for "not available".
    let absent: AbsentRule?
    let order: WordOrder

    static let termLimit = 16

    /// `plus`: type, order and scale are the point's where a term does not say otherwise.
    func terms(registers: TableName?, encoding: Encoding?, scale: ExactDecimal, exponent: Int) -> [Operand] {
        tables("plus").compactMap { table in
            defer { table.finish() }
            let own = table.choice("type", of: NumberType.self)?.encoding ?? encoding
            let ownScale = table.decimal("scale") ?? scale
            let block = block(table, registers, own)
            if ownScale.mantissa == 0 { table.problem("scale", "0 would add nothing") }
            guard let factor = ExactDecimal(mantissa: ownScale.mantissa, exponent: Int(ownScale.exponent) + exponent) else {
                table.problem("scale", "is out of range")
                return nil
            }
            guard let block, let own else { return nil }
            return operand(table, block, own, factor)
        }
    }

    /// `multiply`: uint16 and as it is, where a ratio does not say otherwise. It may stand in another table.
    func ratios(registers: TableName?) -> [Operand] {
        tables("multiply").compactMap { table in
            defer { table.finish() }
            let own = table.choice("type", of: NumberType.self)?.encoding ?? .uint16
            let block = block(table, table.choice("table", of: TableName.self) ?? registers, own)
            let factor = table.decimal("scale") ?? ExactDecimal(1)
            if factor.mantissa == 0 { table.problem("scale", "0 would make every value 0") }
            guard let block else { return nil }
            return operand(table, block, own, factor)
        }
    }

    /// `sign = { address = 33135, mask = 1, negative = 1 }`.
    func signFlag(registers: TableName?) -> SignFlag? {
        guard let table = point.table("sign") else { return nil }
        defer { table.finish() }
        let block = block(table, registers, .uint16)
        let mask = table.integer("mask", in: 1...65535) ?? 0xFFFF
        guard let negative = table.integer("negative", in: 0...65535, required: true), let block else { return nil }
        if negative & ~mask != 0 { table.problem("negative", "has bits that mask = \(mask) takes away; it could never be met") }
        return SignFlag(block: block, mask: UInt16(mask), negative: UInt16(negative))
    }

    private func tables(_ key: String) -> [TomlReader] {
        let tables = point.tables(key)
        if tables.count > OperandReader.termLimit {
            point.problem(key, "\(tables.count) registers; at most \(OperandReader.termLimit) are possible")
        }
        return Array(tables.prefix(OperandReader.termLimit))
    }

    private func operand(_ table: TomlReader, _ block: Block, _ encoding: Encoding, _ factor: ExactDecimal) -> Operand {
        Operand(
            block: block, encoding: encoding, order: table.choice("order", of: OrderName.self)?.order ?? order, factor: factor,
            absent: absent?.patterns(encoding) ?? [], map: table.numbered("map") { $0.decimal($1) })
    }

    private func block(_ table: TomlReader, _ registers: TableName?, _ encoding: Encoding?) -> Block? {
        guard let address = table.integer("address", in: 0...65535, required: true), let registers,
            let count = encoding?.wordCount
        else { return nil }
        if address + count > 65536 {
            table.problem("address", "\(address) and \(count) registers reach past 65535")
            return nil
        }
        if registers.table.isBits, encoding != .uint16, encoding != .int16 {
            table.problem("type", "a \(registers.table.name) is one bit; write type = \"uint16\", which is then 0 or 1")
            return nil
        }
        return Block(registers.table, UInt16(address), count: UInt16(count))
    }
}

/// The types that are numbers.
enum NumberType: String, CaseIterable {
    case uint16, int16, uint32, int32, uint64, int64, float32, float64, bcd16, bcd32, bcd64

    var encoding: Encoding? { Encoding(rawValue: rawValue) }
}

/// Reads one `[[detect]]`.
struct IdentityReader {
    let table: TomlReader
    let defaults: PointDefaults
    let limits: ReadLimits

    func read() -> IdentityCheck? {
        defer { table.finish() }
        let registers = table.choice("table", of: TableName.self, required: defaults.table == nil) ?? defaults.table
        let address = table.integer("address", in: 0...65535, required: true)
        let encoding = table.choice("type", of: Encoding.self, required: defaults.encoding == nil) ?? defaults.encoding
        let order = table.choice("order", of: OrderName.self)?.order ?? defaults.order ?? .abcd
        let length = table.integer("length", in: 1...125)
        let factor = table.decimal("scale") ?? ExactDecimal(1)
        let expectation = readExpectation(encoding)
        guard let registers, let address, let encoding, let expectation else { return nil }
        guard let count = encoding.wordCount ?? length, address + count <= 65536 else {
            table.problem("length", "is missing or too long; a string needs its length in registers: add length = 16")
            return nil
        }
        if registers.table.isBits, encoding != .uint16, encoding != .int16 {
            table.problem("type", "a \(registers.table.name) is one bit; write type = \"uint16\", which is then 0 or 1")
        }
        if case .numbers(let numbers) = expectation, let wide = numbers.first(where: { !encoding.holds($0) }) {
            table.problem("equals", "\(wide) is no number of \(encoding.rawValue); it would never be met")
        }
        if case .between(let low, let high) = expectation, low.double > high.double {
            table.problem("between", "the first number must be the lower one")
        }
        if let objection = limits.objection(to: address..<address + count, in: registers.table) { table.problem("address", objection) }
        return IdentityCheck(
            block: Block(registers.table, UInt16(address), count: UInt16(count)), encoding: encoding, order: order, factor: factor,
            expectation: expectation)
    }

    private func readExpectation(_ encoding: Encoding?) -> IdentityCheck.Expectation? {
        let numbers = table.integers("equals")
        let prefixes = table.has("begins") ? table.strings("begins") : nil
        let bounds = table.decimals("between")
        switch (numbers, prefixes, bounds) {
        case (let numbers?, nil, nil) where !numbers.isEmpty && encoding != .string:
            return .numbers(numbers)
        case (nil, let prefixes?, nil) where !prefixes.isEmpty && encoding == .string:
            return .prefixes(prefixes)
        case (nil, nil, let bounds?) where bounds.count == 2 && encoding != .string:
            return .between(bounds[0], bounds[1])
        default:
            table.problem(
                "", "needs one of equals = [numbers], begins = [\"texts\"] (for type = \"string\") and between = [lowest, highest]")
            return nil
        }
    }
}
