/// Reads a TOML table strictly: each key by its type and range, and every key that nobody asked for is a problem.
///
/// Nothing throws on the way. A value that is missing or wrong is noted and read as nil, so that one run reports all problems.
package final class TomlReader {
    package let file: String
    /// `bus[0]`; empty for the root.
    package let path: String
    package let place: TextPlace
    let members: [String: TomlNode]
    /// Where a key comes from that stands in another table.
    let origins: [String: TomlOrigin]
    private var asked: [String] = []
    let log: ProblemLog

    /// Collects the problems of one file.
    package final class ProblemLog {
        package fileprivate(set) var list: [Problem] = []
        /// Every table that was read to its end.
        package fileprivate(set) var tables: [TomlTable] = []
        package init() {}
        /// One place has each problem once: a value that many tables take over is read many times.
        package func add(_ problem: Problem) {
            guard problem.place == nil || seen.insert(problem).inserted else { return }
            list.append(problem)
        }
        private var seen: Set<Problem> = []
        /// In order of place, file by file.
        package var sorted: [Problem] {
            list.enumerated().sorted {
                let (a, b) = ($0.element, $1.element)
                return (a.file, a.place ?? TextPlace(line: 0, column: 0), $0.offset) < (
                    b.file, b.place ?? TextPlace(line: 0, column: 0), $1.offset
                )
            }.map(\.element)
        }
    }

    package init(file: String, path: String = "", node: TomlNode, log: ProblemLog) {
        self.file = file
        self.path = path
        self.log = log
        origins = [:]
        place = node.place
        if case .table(let members) = node.content {
            self.members = members
        } else {
            members = [:]
            log.add(Problem(file: file, place: node.place, key: path, text: "must be a table, found \(node.kind)"))
        }
    }

    /// A table that is put together of others; `origins` names those that are not at `path`.
    init(_ base: TomlReader, members: [String: TomlNode], origins: [String: TomlOrigin]) {
        file = base.file
        path = base.path
        place = base.place
        log = base.log
        self.members = members
        self.origins = origins
    }

    // MARK: Noting problems

    package func keyPath(_ key: String) -> String {
        let path = origins[key]?.path ?? path
        return path.isEmpty ? key : "\(path).\(key)"
    }

    /// Of a key's value, or of the table where it is not there.
    package func place(of key: String) -> TextPlace { members[key]?.place ?? place }

    /// The file in which that place is.
    package func file(of key: String) -> String { origins[key]?.file ?? file }

    /// Notes a problem with a key that is there, or with the table when it is not.
    package func problem(_ key: String, _ text: String, isFatal: Bool = true) {
        log.add(Problem(file: file(of: key), place: place(of: key), key: key.isEmpty ? path : keyPath(key), text: text, isFatal: isFatal))
    }

    /// Call last: notes every key that was not asked for.
    package func finish() {
        log.tables.append(TomlTable(file: file, path: path, keys: asked, members: members, origins: origins))
        for (key, node) in members where !asked.contains(key) {
            log.add(
                Problem(
                    file: file(of: key), place: node.keyPlace ?? node.place, key: keyPath(key),
                    text: "unknown key" + (Spelling.nearest(key, among: asked).map { "; did you mean \"\($0)\"?" } ?? "; remove it")))
        }
    }

    // MARK: Values

    package func has(_ key: String) -> Bool { members[key] != nil }

    private func node(_ key: String, required: Bool, example: String) -> TomlNode? {
        if !asked.contains(key) { asked.append(key) }
        if let node = members[key] { return node }
        if required {
            log.add(Problem(file: file, place: place, key: keyPath(key), text: "is missing; add \(key) = \(example)"))
        }
        return nil
    }

    package func string(_ key: String, required: Bool = false, example: String = "\"...\"") -> String? {
        guard let node = node(key, required: required, example: example) else { return nil }
        if case .string(let text) = node.content { return text }
        problem(key, "must be a string, found \(node.kind); write \(key) = \(example)")
        return nil
    }

    /// The string of a key when it is one; notes nothing, so that another reading of the key may follow.
    package func text(_ key: String) -> String? {
        guard case .string(let text)? = members[key]?.content else { return nil }
        if !asked.contains(key) { asked.append(key) }
        return text
    }

    package func integer(_ key: String, in range: ClosedRange<Int>, required: Bool = false) -> Int? {
        guard let node = node(key, required: required, example: "\(range.lowerBound)") else { return nil }
        guard case .integer(let value) = node.content else {
            problem(key, "must be an integer, found \(node.kind); write it without quotes or point")
            return nil
        }
        guard let small = Int(exactly: value), range.contains(small) else {
            problem(key, "\(value) is outside \(range.lowerBound) ... \(range.upperBound)")
            return nil
        }
        return small
    }

    package func boolean(_ key: String) -> Bool? {
        guard let node = node(key, required: false, example: "true") else { return nil }
        if case .boolean(let value) = node.content { return value }
        problem(key, "must be true or false, found \(node.kind)")
        return nil
    }

    /// An integer or a float, exact as written: 0.1 is 1 × 10^-1.
    package func decimal(_ key: String) -> ExactDecimal? {
        guard let node = node(key, required: false, example: "0.1") else { return nil }
        switch node.content {
        case .integer(let value):
            return ExactDecimal(value)
        case .float(let value):
            if let exact = ExactDecimal(shortest: value) { return exact }
            problem(key, "must be a finite number")
            return nil
        case .table, .array, .string, .boolean, .date:
            problem(key, "must be a number, found \(node.kind)")
            return nil
        }
    }

    /// A number or a text, for worked examples.
    package func value(_ key: String) -> Value? {
        guard has(key), case .string(let text)? = members[key]?.content else { return decimal(key).map { .number($0) } }
        if !asked.contains(key) { asked.append(key) }
        return .text(text)
    }

    package func strings(_ key: String, required: Bool = false) -> [String]? {
        guard let node = node(key, required: required, example: "[\"...\"]") else { return nil }
        guard case .array(let elements) = node.content else {
            problem(key, "must be an array of strings, found \(node.kind); write \(key) = [\"...\"]")
            return nil
        }
        var texts: [String] = []
        for (index, element) in elements.enumerated() {
            if case .string(let text) = element.content {
                texts.append(text)
            } else {
                log.add(
                    Problem(
                        file: file(of: key), place: element.place, key: "\(keyPath(key))[\(index)]",
                        text: "must be a string, found \(element.kind)"))
            }
        }
        return texts
    }

    /// The integers of an array; nil, with nothing noted, when the key is no array.
    package func integers(_ key: String) -> [Int64]? {
        guard case .array(let elements)? = members[key]?.content else { return nil }
        if !asked.contains(key) { asked.append(key) }
        var values: [Int64] = []
        for element in elements {
            if case .integer(let value) = element.content {
                values.append(value)
            } else {
                problem(key, "must hold integers only, found \(element.kind)")
            }
        }
        return values
    }

    /// The numbers of an array; nil, with nothing noted, when the key is no array.
    package func decimals(_ key: String) -> [ExactDecimal]? {
        guard case .array(let elements)? = members[key]?.content else { return nil }
        if !asked.contains(key) { asked.append(key) }
        return elements.compactMap { element in
            if case .integer(let value) = element.content { return ExactDecimal(value) }
            if case .float(let value) = element.content, let exact = ExactDecimal(shortest: value) { return exact }
            problem(key, "must hold numbers only, found \(element.kind)")
            return nil
        }
    }

    /// A table whose keys are whole numbers, decimal or hexadecimal: `{ 0 = 0.001, 0x10 = 1 }`. Values are read by `read`.
    package func numbered<Element>(_ key: String, _ read: (TomlReader, String) -> Element?) -> [Int64: Element] {
        guard let table = table(key) else { return [:] }
        var result: [Int64: Element] = [:]
        for name in table.members.keys.sorted() {
            let number = name.hasPrefix("0x") ? Int64(name.dropFirst(2), radix: 16) : Int64(name)
            guard let number else {
                if !table.asked.contains(name) { table.asked.append(name) }
                table.problem(name, "must be a whole number, such as 3 or 0x10")
                continue
            }
            if let element = read(table, name) { result[number] = element }
        }
        table.finish()
        return result
    }

    /// One of the cases of an enumeration written as a string.
    package func choice<Choice: RawRepresentable & CaseIterable>(_ key: String, of type: Choice.Type, required: Bool = false) -> Choice?
    where Choice.RawValue == String {
        let names = Choice.allCases.map(\.rawValue)
        guard let text = string(key, required: required, example: "\"\(names.first ?? "")\"") else { return nil }
        if let value = Choice(rawValue: text) { return value }
        problem(key, "\"\(text)\" is none of \(names.joined(separator: ", "))" + Spelling.hint(text, among: names))
        return nil
    }

    // MARK: Tables

    package func table(_ key: String) -> TomlReader? {
        guard let node = node(key, required: false, example: "{}") else { return nil }
        return TomlReader(file: file(of: key), path: keyPath(key), node: node, log: log)
    }

    /// The tables of `[[key]]`, in order.
    package func tables(_ key: String) -> [TomlReader] {
        guard let node = node(key, required: false, example: "[]") else { return [] }
        guard case .array(let elements) = node.content else {
            problem(key, "must be an array of tables, found \(node.kind); write [[\(keyPath(key))]] above each")
            return []
        }
        return elements.enumerated().map {
            TomlReader(file: file(of: key), path: "\(keyPath(key))[\($0.offset)]", node: $0.element, log: log)
        }
    }
}
