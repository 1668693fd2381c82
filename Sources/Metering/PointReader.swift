/// Reads one `[[point]]`.
struct PointReader {
    let table: TomlReader
    let defaults: PointDefaults
    let limits: ReadLimits

    func read() -> PointDefinition? {
        let quantity = readQuantity()
        let registers = table.choice("table", of: TableName.self, required: defaults.table == nil) ?? defaults.table
        let words = table.has("parts") ? readParts() : nil
        let address =
            words.map { $0.first.map { Int($0) } } ?? table.integer("address", in: 0...65535, required: !table.has("parts"))
        let encoding = table.choice("type", of: Encoding.self, required: defaults.encoding == nil) ?? defaults.encoding
        let order = table.choice("order", of: OrderName.self)?.order ?? defaults.order ?? .abcd
        let pointClass = table.choice("class", of: PointClass.self) ?? defaults.pointClass ?? .live
        let invert = table.boolean("invert") ?? false
        let length = table.integer("length", in: 1...125)
        let offset = table.decimal("offset") ?? .zero
        let scale = table.decimal("scale") ?? ExactDecimal(1)
        let exponent = quantity.map { readUnit(for: $0) } ?? 0
        let scaleAddress = table.integer("scale_register", in: 0...65535)
        let absent = table.has("absent") ? readAbsent(encoding) : defaults.absent.flatMap { rule in encoding.map(rule.patterns) }
        if quantity == nil { _ = table.string("unit") }
        let operands = OperandReader(point: table, absent: table.has("absent") ? table.rule("absent") : defaults.absent, order: order)
        let terms = operands.terms(registers: registers, encoding: encoding, scale: scale, exponent: exponent)
        let ratios = operands.ratios(registers: registers)
        let signFlag = operands.signFlag(registers: registers)
        let mask = readMask(encoding)
        let map = table.numbered("map") { $0.decimal($1) }
        let names = table.numbered("names") { $0.string($1) }
        checkCodes(map.keys, "map", encoding)
        // Where codes are mapped, the names are those of what they are mapped to.
        if map.isEmpty { checkCodes(names.keys, "names", encoding) }
        let rollover = readRollover(quantity, exponent)
        guard let quantity, let registers, let address, let encoding else { return nil }
        guard let count = encoding.wordCount ?? length else {
            table.problem("length", "is missing; a string needs its length in registers: add length = 16")
            return nil
        }
        check(quantity, encoding, registers, length, scale)
        if address + count > 65536 { table.problem("address", "\(address) and \(count) registers reach past 65535") }
        if let words, words.count != count {
            table.problem("parts", "\(words.count) addresses; \(encoding.rawValue) has \(count) words")
            return nil
        }
        guard let factor = ExactDecimal(mantissa: scale.mantissa, exponent: Int(scale.exponent) + exponent) else {
            table.problem("scale", "is out of range")
            return nil
        }
        guard address + count <= 65536 else { return nil }
        let point = PointDefinition(
            quantity: quantity, block: Block(registers.table, UInt16(address), count: words == nil ? UInt16(count) : 1),
            encoding: encoding, order: order, factor: factor, offset: offset,
            scaleRegister: scaleAddress.map { Block(registers.table, UInt16($0), count: 1) }, absent: absent ?? [],
            pointClass: pointClass, invert: invert,
            parts: (words ?? []).dropFirst().map { Block(registers.table, $0, count: 1) }, terms: terms, ratios: ratios,
            signFlag: signFlag, mask: mask, map: map, names: names, rollover: rollover)
        if let objection = limits.objection(to: point.run, in: registers.table) {
            table.problem(scaleAddress != nil ? "scale_register" : words != nil ? "parts" : "address", objection)
        }
        for ratio in ratios {
            if let objection = limits.objection(to: ratio.block.range, in: ratio.block.table) { table.problem("multiply", objection) }
        }
        return point
    }

    private func check(_ quantity: Quantity, _ encoding: Encoding, _ registers: TableName, _ length: Int?, _ scale: ExactDecimal) {
        if encoding.wordCount != nil, length != nil { table.problem("length", "belongs to strings; \(encoding.rawValue) has its own") }
        if quantity.kind != .text, encoding == .string { table.problem("type", "\(quantity.id) is a number; a string cannot be one") }
        if scale.mantissa == 0 { table.problem("scale", "0 would make every value 0") }
        if registers.table.isBits, encoding != .uint16, encoding != .int16 {
            table.problem("type", "a \(registers.table.name) is one bit; write type = \"uint16\", which is then 0 or 1")
        }
        if registers.table.isBits, table.has("scale_register") {
            table.problem("scale_register", "a \(registers.table.name) is one bit; it cannot be a power of ten")
        }
    }

    /// A code that the type cannot hold would never be met.
    private func checkCodes(_ codes: some Sequence<Int64>, _ key: String, _ encoding: Encoding?) {
        guard let encoding, let wide = codes.sorted().first(where: { !encoding.holds($0) }) else { return }
        table.problem(key, "\(wide) is no number of \(encoding.rawValue); it would never be met")
    }

    /// The addresses of the words, most significant first.
    private func readParts() -> [UInt16]? {
        if table.has("address") { _ = table.integer("address", in: 0...65535) }
        guard let numbers = table.integers("parts") else {
            table.problem("parts", "must be an array of addresses, the most significant word's first: parts = [687, 640]")
            return nil
        }
        if table.has("address") { table.problem("address", "stands beside parts; parts already say where the words are") }
        let addresses = numbers.compactMap { UInt16(exactly: $0) }
        if addresses.count != numbers.count { table.problem("parts", "an address is outside 0 ... 65535") }
        return addresses.count == numbers.count ? addresses : nil
    }

    private func readMask(_ encoding: Encoding?) -> UInt64? {
        guard let mask = table.integer("mask", in: 1...Int.max) else { return nil }
        if let encoding {
            if !encoding.isUnsigned { table.problem("mask", "picks bits of uint16, uint32 or uint64, not of \(encoding.rawValue)") }
            let bits = UInt64((encoding.wordCount ?? 4) * 16)
            if bits < 64, UInt64(mask) >> bits != 0 { table.problem("mask", "has more than the \(bits) bits of \(encoding.rawValue)") }
        }
        return UInt64(mask)
    }

    /// Written in the point's unit.
    private func readRollover(_ quantity: Quantity?, _ exponent: Int) -> ExactDecimal? {
        guard let rollover = table.decimal("rollover") else { return nil }
        if let quantity, quantity.kind != .counter { table.problem("rollover", "belongs to counters; \(quantity.id) is none") }
        guard rollover > .zero, let value = ExactDecimal(mantissa: rollover.mantissa, exponent: Int(rollover.exponent) + exponent) else {
            table.problem("rollover", "must be the value above 0 at which the counter is back at 0: rollover = 1000000")
            return nil
        }
        return value
    }

    private func readQuantity() -> Quantity? {
        guard let id = table.string("quantity", required: true, example: "\"power_active\"") else { return nil }
        if let quantity = Vocabulary.quantity(id) { return quantity }
        table.problem(
            "quantity",
            "\"\(id)\" is no quantity of the vocabulary (a vendor's own is named x_<vendor>_<name>)"
                + Spelling.hint(id, among: Vocabulary.all.map(\.id)))
        return nil
    }

    /// The power of ten from the profile's unit to the quantity's.
    private func readUnit(for quantity: Quantity) -> Int {
        let wanted = quantity.unit
        guard let text = table.string("unit", required: !wanted.isEmpty && wanted != "1", example: "\"\(wanted)\"") else { return 0 }
        guard let unit = Unit.parse(text) else {
            table.problem("unit", "\"\(text)\" is no unit known here; \(quantity.id) is in \(wanted)")
            return 0
        }
        if quantity.id.hasPrefix("x_") { return 0 }
        if unit.canonical != wanted {
            table.problem("unit", "\"\(text)\" does not measure \(quantity.id), which is in \(wanted.isEmpty ? "no unit" : wanted)")
        }
        return unit.exponent
    }

    /// A rule's name or a list of patterns. TOML has no unsigned 64 bits: -1 stands for all ones.
    private func readAbsent(_ encoding: Encoding?) -> [UInt64]? {
        if let patterns = table.integers("absent") {
            if encoding == .string {
                table.problem("absent", "a string has no words that mean \"not available\"; an empty one has no value")
            }
            let bits = (encoding?.wordCount ?? 4) * 16
            let mask = bits >= 64 ? UInt64.max : (1 << UInt64(bits)) - 1
            if let encoding, let wide = patterns.first(where: { !encoding.holds($0) }) {
                table.problem("absent", "\(wide) has more than the \(bits) bits of \(encoding.rawValue); it would never be met")
            }
            return patterns.map { UInt64(bitPattern: $0) & mask }
        }
        guard let rule = table.choice("absent", of: AbsentRule.self), let encoding else { return nil }
        return rule.patterns(encoding)
    }
}

extension TomlReader {
    /// The named rule of a key; nil for a list.
    fileprivate func rule(_ key: String) -> AbsentRule? { text(key).flatMap(AbsentRule.init) }
}
