/// One `[[example]]`: `words` stand in the point's own registers, `scale_word` in its scale register, `beside` in others.
struct ExampleReader {
    let table: TomlReader
    let points: [PointDefinition]

    func read() -> WorkedExample? {
        let id = table.string("quantity", required: true, example: "\"voltage_l1\"")
        let hex = table.string("words", required: true, example: "\"4366 6666\"")
        let scale = table.string("scale_word", example: "\"FFFF\"")
        let none = table.boolean("absent") ?? false
        let value = table.value("value")
        let beside = table.tables("beside")
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
        let count = Int(point.block.count) + point.parts.count
        guard let words = ExampleReader.words(hex), words.count == count else {
            table.problem("words", "\"\(hex)\" must be \(count) words of four hexadecimal digits, parted by spaces")
            return nil
        }
        var known: [Place: UInt16] = [:]
        let own = point.block.range.map { $0 } + point.parts.map { Int($0.address) }
        for (address, word) in zip(own, words) { known[Place(point.block.table, address)] = word }
        if let register = point.scaleRegister {
            guard let scale, let word = ExampleReader.words(scale), word.count == 1 else {
                table.problem("scale_word", "is missing or no word; the point has a scale register: add scale_word = \"0000\"")
                return nil
            }
            known[Place(register.table, Int(register.address))] = word[0]
        } else if scale != nil {
            table.problem("scale_word", "the point has no scale register")
        }
        for other in beside { read(other, of: point, into: &known) }
        guard let answers = answers(for: point, known) else { return nil }
        return WorkedExample(answers: answers, quantity: id, value: value)
    }

    private struct Place: Hashable {
        var table: RegisterTable
        var address: Int
        init(_ table: RegisterTable, _ address: Int) {
            self.table = table
            self.address = address
        }
    }

    private func read(_ other: TomlReader, of point: PointDefinition, into known: inout [Place: UInt16]) {
        let registers = other.choice("table", of: TableName.self)?.table ?? point.block.table
        let address = other.integer("address", in: 0...65535, required: true)
        let hex = other.string("words", required: true, example: "\"0001\"")
        if let address, let hex {
            if let words = ExampleReader.words(hex) {
                for (step, word) in words.enumerated() { known[Place(registers, address + step)] = word }
            } else {
                other.problem("words", "\"\(hex)\" must be words of four hexadecimal digits, parted by spaces")
            }
        }
        other.finish()
    }

    /// One answer with what must come together, and one for each ratio outside of it.
    private func answers(for point: PointDefinition, _ known: [Place: UInt16]) -> [BlockAnswer]? {
        for other in point.companions + point.ratios.map(\.block) {
            for address in other.range where known[Place(other.table, address)] == nil {
                table.problem(
                    "beside",
                    "the words of \(other.table.name) register \(address) are missing; "
                        + "add beside = [{ address = \(address), words = \"0000\" }]")
                return nil
            }
        }
        func answer(_ registers: RegisterTable, _ range: Range<Int>) -> BlockAnswer {
            BlockAnswer(
                block: Block(registers, UInt16(truncatingIfNeeded: range.lowerBound), count: UInt16(truncatingIfNeeded: range.count)),
                outcome: .words(range.map { known[Place(registers, $0)] ?? 0 }))
        }
        var answers = [answer(point.block.table, point.run)]
        for ratio in point.ratios where !answers[0].block.covers(ratio.block) {
            answers.append(answer(ratio.block.table, ratio.block.range))
        }
        return answers
    }

    static func words(_ text: String) -> [UInt16]? {
        let parts = text.split(separator: " ").map { $0.utf8.count == 4 ? UInt16($0, radix: 16) : nil }
        return parts.contains(nil) || parts.isEmpty ? nil : parts.compactMap { $0 }
    }
}
