extension Profile {
    /// Reads a profile file. docs/device-profiles.md documents every key.
    ///
    /// - Parameter file: the file's name, for messages.
    /// - Throws: every problem of the file at once.
    package init(toml text: String, file: String) throws(Problems) {
        let root: TomlNode
        do { root = try TomlNode.parse(text, file: file) } catch { throw Problems([error]) }
        let log = TomlReader.ProblemLog()
        let reader = TomlReader(file: file, node: root, log: log)
        let profile = ProfileReader(root: reader).read()
        reader.finish()
        if !log.list.isEmpty { throw Problems(log.sorted) }
        guard let profile else { throw Problems([Problem(file: file, place: nil, key: "", text: "is no profile")]) }
        self = profile
    }
}

/// One pass over a profile's tables.
private struct ProfileReader {
    let root: TomlReader

    static let pointLimit = 512
    static let pauseRange: ClosedRange<Duration> = .zero ... .seconds(10)

    func read() -> Profile? {
        let name = root.string("profile", required: true, example: "\"vendor-model\"")
        let version = root.integer("version", in: 1...9999, required: true)
        let vendor = root.string("vendor", required: true, example: "\"Eastron\"")
        let models = root.strings("models", required: true)
        let source = root.string("source", required: true, example: "\"the document or code this map was taken from\"")
        _ = root.string("notes")
        let limits = readLimits()
        let defaults = PointDefaults(root.table("defaults"))
        var points: [PointDefinition] = []
        let tables = root.tables("point")
        if tables.count > ProfileReader.pointLimit {
            root.problem("point", "\(tables.count) points; at most \(ProfileReader.pointLimit) are possible")
        }
        if tables.isEmpty { root.problem("point", "no point is defined; add [[point]] tables") }
        for table in tables.prefix(ProfileReader.pointLimit) {
            let point = PointReader(table: table, defaults: defaults, limits: limits).read()
            table.finish()
            guard let point else { continue }
            if points.contains(where: { $0.quantity.id == point.quantity.id }) {
                table.problem("quantity", "\"\(point.quantity.id)\" is defined twice; each quantity of a device has one point")
            } else {
                points.append(point)
            }
        }
        var examples: [WorkedExample] = []
        for table in root.tables("example") {
            if let example = readExample(table, points: points) { examples.append(example) }
            table.finish()
        }
        guard let name, let version, let vendor, let models, let source else { return nil }
        return Profile(
            name: name, version: version, vendor: vendor, models: models, source: source, limits: limits, points: points, examples: examples
        )
    }

    private func readLimits() -> ReadLimits {
        var limits = ReadLimits()
        guard let table = root.table("read") else { return limits }
        if let value = table.integer("max_registers", in: 1...125) { limits.maxRegisters = value }
        if let value = table.integer("max_gap", in: 0...124) { limits.maxGap = value }
        if let value = table.duration("request_pause", in: ProfileReader.pauseRange, example: "\"50ms\"") { limits.requestPause = value }
        for hole in table.tables("forbidden") {
            let registers = hole.choice("table", of: TableName.self, required: true)
            let first = hole.integer("first", in: 0...65535, required: true)
            let last = hole.integer("last", in: 0...65535, required: true)
            if let registers, let first, let last {
                if last < first {
                    hole.problem("last", "\(last) lies before first = \(first)")
                } else {
                    limits.forbidden.append(
                        Block(registers.table, UInt16(first), count: UInt16(truncatingIfNeeded: min(last - first + 1, 65535))))
                }
            }
            hole.finish()
        }
        table.finish()
        return limits
    }

    /// `words` stand at the point's address, `scale_word` at its scale register.
    private func readExample(_ table: TomlReader, points: [PointDefinition]) -> WorkedExample? {
        let id = table.string("quantity", required: true, example: "\"voltage_l1\"")
        let hex = table.string("words", required: true, example: "\"4366 6666\"")
        let scale = table.string("scale_word", example: "\"FFFF\"")
        let none = table.boolean("absent") ?? false
        let value = table.value("value")
        _ = table.string("source")
        guard let id, let hex else { return nil }
        guard let point = points.first(where: { $0.quantity.id == id }) else {
            table.problem("quantity", "\"\(id)\" is no point of this profile" + Spelling.hint(id, among: points.map(\.quantity.id)))
            return nil
        }
        if (value == nil) != none {
            table.problem("value", "an example needs either value = ... or absent = true")
            return nil
        }
        guard let words = ProfileReader.words(hex), words.count == Int(point.block.count) else {
            table.problem("words", "\"\(hex)\" must be \(point.block.count) words of four hexadecimal digits, parted by spaces")
            return nil
        }
        var parts = [(Int(point.block.address), words)]
        if let register = point.scaleRegister {
            guard let scale, let word = ProfileReader.words(scale), word.count == 1 else {
                table.problem("scale_word", "is missing or no word; the point has a scale register: add scale_word = \"0000\"")
                return nil
            }
            parts.append((Int(register.address), word))
        }
        let start = parts.map(\.0).min() ?? 0
        let end = parts.map { $0.0 + $0.1.count }.max() ?? 0
        var image = [UInt16](repeating: 0, count: end - start)
        for (address, own) in parts { image.replaceSubrange(address - start..<address - start + own.count, with: own) }
        let block = Block(point.block.table, UInt16(start), count: UInt16(image.count))
        return WorkedExample(answers: [BlockAnswer(block: block, outcome: .words(image))], quantity: id, value: value)
    }

    static func words(_ text: String) -> [UInt16]? {
        let parts = text.split(separator: " ").map { $0.utf8.count == 4 ? UInt16($0, radix: 16) : nil }
        return parts.contains(nil) || parts.isEmpty ? nil : parts.compactMap { $0 }
    }
}

/// The names of the tables as profiles write them; `discrete` is an accepted short form.
private enum TableName: String, CaseIterable {
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
private struct PointDefaults {
    var table: TableName?
    var encoding: Encoding?
    var order: WordOrder?
    var pointClass: PointClass?
    var absent: AbsentRule?

    init(_ reader: TomlReader?) {
        guard let reader else { return }
        table = reader.choice("table", of: TableName.self)
        encoding = reader.choice("type", of: Encoding.self)
        order = reader.choice("order", of: WordOrder.self)
        pointClass = reader.choice("class", of: PointClass.self)
        absent = reader.choice("absent", of: AbsentRule.self)
        reader.finish()
    }
}

/// A named set of "not available" patterns.
private enum AbsentRule: String, CaseIterable {
    case none
    /// SunSpec Device Information Model Specification: the largest unsigned, the smallest signed, any NaN, accumulator zero.
    case sunspec
    /// All ones for unsigned, the largest positive for signed (ABB EQ meters, Huawei SUN2000).
    case allOnes = "all_ones"

    func patterns(_ encoding: Encoding) -> [UInt64] {
        switch (self, encoding) {
        case (.none, _), (_, .acc32), (_, .acc64), (_, .float32), (_, .float64), (_, .string), (_, .schneider4q): []
        case (_, .uint16): [0xFFFF]
        case (_, .uint32): [0xFFFF_FFFF]
        case (_, .uint64): [.max]
        case (.sunspec, .int16): [0x8000]
        case (.sunspec, .int32): [0x8000_0000]
        case (.sunspec, .int64): [0x8000_0000_0000_0000]
        case (.allOnes, .int16): [0x7FFF]
        case (.allOnes, .int32): [0x7FFF_FFFF]
        case (.allOnes, .int64): [0x7FFF_FFFF_FFFF_FFFF]
        }
    }
}

/// One `[[point]]`.
private struct PointReader {
    let table: TomlReader
    let defaults: PointDefaults
    let limits: ReadLimits

    func read() -> PointDefinition? {
        let quantity = readQuantity()
        let registers = table.choice("table", of: TableName.self, required: defaults.table == nil) ?? defaults.table
        let address = table.integer("address", in: 0...65535, required: true)
        let encoding = table.choice("type", of: Encoding.self, required: defaults.encoding == nil) ?? defaults.encoding
        let order = table.choice("order", of: WordOrder.self) ?? defaults.order ?? .abcd
        let pointClass = table.choice("class", of: PointClass.self) ?? defaults.pointClass ?? .live
        let invert = table.boolean("invert") ?? false
        let length = table.integer("length", in: 1...125)
        let offset = table.decimal("offset") ?? .zero
        let scale = table.decimal("scale") ?? ExactDecimal(1)
        let exponent = quantity.map { readUnit(for: $0) } ?? 0
        let scaleAddress = table.integer("scale_register", in: 0...65535)
        let absent = table.has("absent") ? readAbsent(encoding) : defaults.absent.flatMap { rule in encoding.map(rule.patterns) }
        if quantity == nil { _ = table.string("unit") }
        guard let quantity, let registers, let address, let encoding else { return nil }
        guard let count = encoding.wordCount ?? length else {
            table.problem("length", "is missing; a string needs its length in registers: add length = 16")
            return nil
        }
        if encoding.wordCount != nil, length != nil { table.problem("length", "belongs to strings; \(encoding.rawValue) has its own") }
        if count > limits.maxRegisters {
            table.problem("length", "\(count) registers; the device allows \(limits.maxRegisters) per request")
        }
        if address + count > 65536 { table.problem("address", "\(address) and \(count) registers reach past 65535") }
        if quantity.kind != .text, encoding == .string { table.problem("type", "\(quantity.id) is a number; a string cannot be one") }
        if scale.mantissa == 0 { table.problem("scale", "0 would make every value 0") }
        guard let factor = ExactDecimal(mantissa: scale.mantissa, exponent: Int(scale.exponent) + exponent) else {
            table.problem("scale", "is out of range")
            return nil
        }
        var scaleRegister: Block?
        if let scaleAddress {
            let reach = max(scaleAddress + 1, address + count) - min(scaleAddress, address)
            if reach > limits.maxRegisters {
                table.problem(
                    "scale_register", "lies \(reach) registers away; value and factor must fit one request of \(limits.maxRegisters)")
            }
            scaleRegister = Block(registers.table, UInt16(scaleAddress), count: 1)
        }
        guard address + count <= 65536 else { return nil }
        return PointDefinition(
            quantity: quantity, block: Block(registers.table, UInt16(address), count: UInt16(count)), encoding: encoding, order: order,
            factor: factor, offset: offset, scaleRegister: scaleRegister, absent: absent ?? [], pointClass: pointClass, invert: invert)
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
            let bits = (encoding?.wordCount ?? 4) * 16
            let mask = bits == 64 ? UInt64.max : (1 << UInt64(bits)) - 1
            return patterns.map { UInt64(bitPattern: $0) & mask }
        }
        guard let rule = table.choice("absent", of: AbsentRule.self), let encoding else { return nil }
        return rule.patterns(encoding)
    }
}
