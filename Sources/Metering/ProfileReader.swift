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

    func read() -> Profile? {
        let name = root.string("profile", required: true, example: "\"vendor-model\"")
        let version = root.integer("version", in: 1...9999, required: true)
        let vendor = root.string("vendor", required: true, example: "\"Eastron\"")
        let models = root.strings("models", required: true)
        let source = root.string("source", required: true, example: "\"the document or code this map was taken from\"")
        _ = root.string("notes")
        let wordOrder = root.choice("word_order", of: OrderName.self)?.order
        let limits = LimitsReader.read(root)
        let hints = readHints()
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
            if let example = ExampleReader(table: table, points: points).read() { examples.append(example) }
            table.finish()
        }
        let identity = root.tables("detect").compactMap { IdentityReader(table: $0, defaults: defaults, limits: limits).read() }
        guard let name, let version, let vendor, let models, let source else { return nil }
        let profile = Profile(
            name: name, version: version, vendor: vendor, models: models, source: source, limits: limits, hints: hints, identity: identity,
            points: points, examples: examples)
        return wordOrder.map { profile.ordered($0) } ?? profile
    }

    private func readHints() -> ConnectionHints {
        var hints = ConnectionHints()
        guard let table = root.table("hints") else { return hints }
        hints.unit = table.integer("unit", in: 0...255).map { UInt8($0) }
        hints.port = table.integer("port", in: 1...65535).map { UInt16($0) }
        hints.baud = table.integer("baud", in: 300...921_600)
        hints.format = table.choice("format", of: CharacterFormat.self)?.rawValue
        hints.singleClient = table.boolean("single_client") ?? false
        hints.setup = table.string("setup")
        table.finish()
        return hints
    }
}

/// The character formats that a hint may name.
private enum CharacterFormat: String, CaseIterable {
    case eightNoneOne = "8N1"
    case eightNoneTwo = "8N2"
    case eightEvenOne = "8E1"
    case eightOddOne = "8O1"
    case sevenEvenOne = "7E1"
    case sevenOddOne = "7O1"
}
