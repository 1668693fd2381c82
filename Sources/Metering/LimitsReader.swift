/// Reads `[read]`: what the device puts up with.
enum LimitsReader {
    static let pauseRange: ClosedRange<Duration> = .zero ... .seconds(10)
    static let delayRange: ClosedRange<Duration> = .zero ... .seconds(60)

    static func read(_ root: TomlReader) -> ReadLimits {
        var limits = ReadLimits()
        guard let table = root.table("read") else { return limits }
        if let value = table.integer("max_registers", in: 1...125) { limits.maxRegisters = value }
        if let value = table.integer("max_gap", in: 0...124) { limits.maxGap = value }
        if let value = table.duration("request_pause", in: pauseRange, example: "\"50ms\"") { limits.requestPause = value }
        if let value = table.duration("connect_delay", in: delayRange, example: "\"2s\"") { limits.connectDelay = value }
        if let value = table.boolean("loses_first_request") { limits.losesFirstRequest = value }
        limits.forbidden = table.tables("forbidden").compactMap(block)
        for window in table.tables("window") {
            guard let block = block(window) else { continue }
            if let other = limits.windows.first(where: { $0.table == block.table && $0.range.overlaps(block.range) }) {
                window.problem("first", "overlaps the window from \(other.address) to \(other.range.upperBound - 1)")
            }
            limits.windows.append(block)
        }
        table.finish()
        return limits
    }

    /// `table`, `first` and `last`, both ends included.
    private static func block(_ table: TomlReader) -> Block? {
        defer { table.finish() }
        let registers = table.choice("table", of: TableName.self, required: true)
        let first = table.integer("first", in: 0...65535, required: true)
        let last = table.integer("last", in: 0...65535, required: true)
        guard let registers, let first, let last else { return nil }
        if last < first {
            table.problem("last", "\(last) lies before first = \(first)")
            return nil
        }
        return Block(registers.table, UInt16(first), count: UInt16(truncatingIfNeeded: min(last - first + 1, 65535)))
    }
}

extension ReadLimits {
    /// Why no single request may hold these registers; nil when one may.
    func objection(to run: Range<Int>, in table: RegisterTable) -> String? {
        if run.count > (table.isBits ? table.requestLimit : maxRegisters) {
            return "\(run.count) registers from \(run.lowerBound) to \(run.upperBound - 1) must come in one answer; "
                + "the device allows \(maxRegisters) per request"
        }
        if let hole = forbidden.first(where: { $0.table == table && $0.range.overlaps(run) }) {
            return "one answer would reach across the forbidden registers \(hole.address) to \(hole.range.upperBound - 1)"
        }
        if let window = windows.first(where: { $0.table == table && $0.cuts(run) }) {
            return "one answer would cross the border of the window from \(window.address) to \(window.range.upperBound - 1)"
        }
        return nil
    }
}

extension Block {
    /// True when some of the addresses are inside and some are not.
    package func cuts(_ run: Range<Int>) -> Bool {
        range.overlaps(run) && !(range.lowerBound <= run.lowerBound && run.upperBound <= range.upperBound)
    }
}
