import Metering

/// The registers of a device at one instant: a few areas that exist, everything else is an illegal address.
package struct RegisterImage: Sendable {
    private struct Area {
        var table: RegisterTable
        var start: Int
        var words: [UInt16]
    }

    private var areas: [Area] = []

    package init() {}

    /// Makes `range` readable; registers that nothing is put into show `filler`.
    mutating func open(_ table: RegisterTable, _ range: Range<Int>, filler: UInt16 = 0) {
        areas.append(Area(table: table, start: range.lowerBound, words: [UInt16](repeating: filler, count: range.count)))
    }

    /// High word first, as all three makers do it. Putting outside an open area is our own mistake.
    mutating func put(_ table: RegisterTable, _ address: Int, _ words: [UInt16]) {
        for index in areas.indices where areas[index].table == table {
            let offset = address - areas[index].start
            guard offset >= 0, offset + words.count <= areas[index].words.count else { continue }
            for (place, word) in words.enumerated() { areas[index].words[offset + place] = word }
            return
        }
        preconditionFailure("register \(address) is in no open area")
    }

    mutating func put(_ table: RegisterTable, _ address: Int, float value: Double) {
        put(table, address, RegisterImage.words(Float(value).bitPattern))
    }

    mutating func put(_ table: RegisterTable, _ address: Int, floats values: Phases<Double>) {
        for (place, value) in values.all.enumerated() { put(table, address + 2 * place, float: value) }
    }

    mutating func put(_ table: RegisterTable, _ address: Int, int64 value: Int64) {
        put(table, address, (0..<4).map { UInt16(truncatingIfNeeded: value >> (48 - 16 * Int64($0))) })
    }

    /// Two characters a register, padded with NUL; what does not fit is cut.
    mutating func put(_ table: RegisterTable, _ address: Int, text: String, registers: Int) {
        var bytes = Array(text.utf8.prefix(registers * 2))
        bytes.append(contentsOf: [UInt8](repeating: 0, count: registers * 2 - bytes.count))
        put(table, address, (0..<registers).map { UInt16(bytes[2 * $0]) << 8 | UInt16(bytes[2 * $0 + 1]) })
    }

    static func words(_ value: UInt32) -> [UInt16] { [UInt16(value >> 16), UInt16(value & 0xFFFF)] }

    /// Nil when any of the registers does not exist.
    package func words(_ block: Block) -> [UInt16]? {
        for area in areas where area.table == block.table {
            let offset = Int(block.address) - area.start
            if offset >= 0, offset + Int(block.count) <= area.words.count {
                return Array(area.words[offset..<offset + Int(block.count)])
            }
        }
        return nil
    }
}

/// A device that can be asked for registers.
package protocol SimulatedDevice: Sendable {
    /// Registers one request may ask for at most; more is exception 3.
    var requestLimit: Int { get }
    /// The registers at a wall time.
    /// - Parameter reset: when its counters fell to zero, if they did; at or before `time`.
    func image(at time: Timestamp, reset: Timestamp?) -> RegisterImage
}

extension MeterEnergy {
    /// Counters that fell to zero when they stood at `start`.
    func since(_ start: MeterEnergy) -> MeterEnergy {
        var energy = self
        energy.add(start, times: -1)
        return energy
    }

    var wattHours: Int64 { active.imported / MeterEnergy.wattHour }
}

extension Directional {
    /// In kWh, kvarh.
    var kiloHours: (imported: Double, exported: Double) { (Double(imported) / 3.6e9, Double(exported) / 3.6e9) }
    /// In Wh, varh.
    var hours: (imported: Int64, exported: Int64) { (imported / MeterEnergy.wattHour, exported / MeterEnergy.wattHour) }
}
