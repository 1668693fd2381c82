/// The four tables of a Modbus device, and the function code that reads each (Modbus Application Protocol V1.1b3, 6.1 to 6.4).
package enum RegisterTable: UInt8, Hashable, Sendable, CaseIterable, Comparable {
    case coil = 1
    case discreteInput = 2
    case holding = 3
    case input = 4

    package var functionCode: UInt8 { rawValue }
    /// Coils and discrete inputs are single bits; a word of such a block is 0 or 1.
    package var isBits: Bool { self == .coil || self == .discreteInput }
    /// What one request may ask for at most: 125 registers or 2000 bits.
    package var requestLimit: Int { isBits ? 2000 : 125 }

    package static func < (a: RegisterTable, b: RegisterTable) -> Bool { a.rawValue < b.rawValue }

    package var name: String {
        switch self {
        case .coil: "coil"
        case .discreteInput: "discrete_input"
        case .holding: "holding"
        case .input: "input"
        }
    }
}

/// A run of registers read by one request. Addresses are those on the wire, counted from 0.
package struct Block: Hashable, Sendable {
    package var table: RegisterTable
    package var address: UInt16
    package var count: UInt16

    package init(_ table: RegisterTable, _ address: UInt16, count: UInt16) {
        self.table = table
        self.address = address
        self.count = count
    }

    /// The addresses it covers; past 65535 when `address + count` is, so that a bad block can be told.
    package var range: Range<Int> { Int(address)..<Int(address) + Int(count) }

    package func covers(_ other: Block) -> Bool {
        table == other.table && range.lowerBound <= other.range.lowerBound && other.range.upperBound <= range.upperBound
    }
}

/// Why a block has no words. Each case wants another answer from whoever asked.
package enum ReadFault: Hashable, Sendable {
    /// The port or connection is not there: the request was not sent.
    case noConnection
    /// Nothing, or not all of it, came within the timeout.
    case timeout
    /// Something came that is no answer to the request: wrong unit, function, length or checksum. It is never read as a value.
    case garbled
    /// The device refused with this exception code (1 illegal function, 2 illegal address, ...).
    case exception(UInt8)

    /// The quality that its points get. Exceptions 10 and 11 come from a gateway and say that the device behind it was not reached.
    package var quality: Quality {
        switch self {
        case .noConnection, .timeout, .garbled, .exception(10), .exception(11): .noCommunication
        case .exception: .deviceFault
        }
    }

    package var name: String {
        switch self {
        case .noConnection: "no connection"
        case .timeout: "timeout"
        case .garbled: "garbled reply"
        case .exception(let code): "exception \(code)"
        }
    }
}

/// What came of one block: its words as they came, or why there are none.
package struct BlockAnswer: Hashable, Sendable {
    package enum Outcome: Hashable, Sendable {
        /// As many words as `block.count`.
        case words([UInt16])
        case fault(ReadFault)
    }

    package var block: Block
    package var outcome: Outcome

    package init(block: Block, outcome: Outcome) {
        self.block = block
        self.outcome = outcome
    }
}

/// One visit to one device: the raw words of its due blocks, with times. This is what the journal keeps.
package struct Poll: Hashable, Sendable {
    /// The catalog entry that decodes it.
    package var entry: CatalogID
    /// When the last answer was read, by the wall clock.
    package var time: Timestamp
    /// The same moment by the clock that never steps.
    package var uptime: Uptime
    package var clock: TimeQuality
    package var answers: [BlockAnswer]

    package init(entry: CatalogID, time: Timestamp, uptime: Uptime, clock: TimeQuality, answers: [BlockAnswer]) {
        self.entry = entry
        self.time = time
        self.uptime = uptime
        self.clock = clock
        self.answers = answers
    }

    /// True when no block of it has words.
    package var failed: Bool {
        answers.allSatisfy { if case .fault = $0.outcome { true } else { false } }
    }
}
