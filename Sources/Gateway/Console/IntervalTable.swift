import Metering

/// `meterctl intervals`: a row for each counter of each quarter hour, made from the CSV as it comes.
package struct IntervalTable: Sendable {
    private var rest: [UInt8] = []
    private var isHead = true
    private var rows: [[Table.Cell]] = []
    /// Rows so far, those that were taken too.
    package private(set) var count = 0

    /// So many rows are aligned with each other; a longer table is printed in parts.
    static let partRows = 5000

    package init() {}

    package mutating func add(_ piece: [UInt8]) {
        rest += piece
        guard let end = rest.lastIndex(of: UInt8(ascii: "\n")) else { return }
        for line in rest[..<end].split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: true) {
            if isHead { isHead = false } else { add(row: String(decoding: line, as: UTF8.self)) }
        }
        rest.removeSubrange(...end)
    }

    private mutating func add(row: String) {
        // Names that would have to be quoted are not allowed in configurations.
        let cells = row.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
        guard cells.count == IntervalText.columns.count else { return }
        let named = Dictionary(uniqueKeysWithValues: zip(IntervalText.columns, cells))
        func cell(_ name: String) -> String { named[name] ?? "" }
        guard Vocabulary.quantity(cell("quantity"))?.kind == .counter else { return }
        let quality = Quality(rawValue: UInt16(cell("quality")) ?? 0)
        let isRunning = cell("complete") == "false"
        let advance = cell("advance")
        let events = (cell("events") + (isRunning ? " running" : "")).split(separator: " ").joined(separator: ", ")
        count += 1
        rows.append([
            .init(String(cell("start").prefix(16)) + "Z"), .init(cell("device")), .init(cell("quantity")),
            .init(advance.isEmpty ? "-" : advance), .init(cell("unit")), .init(cell("close").isEmpty ? "-" : cell("close")),
            .init("\(cell("samples"))/\(cell("expected").isEmpty ? "?" : cell("expected"))"),
            .init(
                quality == .good ? "good" : quality.names.joined(separator: ","),
                quality == .good ? .good : advance.isEmpty && !isRunning ? .bad : .warning),
            .init(events),
        ])
    }

    /// What can be printed by now: a whole part, or at the end all there is.
    package mutating func take(atEnd: Bool) -> Table? {
        guard !rows.isEmpty, atEnd || rows.count >= IntervalTable.partRows else { return nil }
        defer { rows = [] }
        return Table(
            [
                .init("START", matters: true), .init("DEVICE", cut: .middle), .init("QUANTITY", cut: .middle, matters: true),
                .init("USED", .right, matters: true), .init("UNIT"), .init("COUNTER", .right),
                .init("READ", .right), .init("QUALITY", cut: .end), .init("EVENTS", cut: .end),
            ], rows: rows)
    }
}
