import Metering

/// A way for a device to misbehave.
package enum Fault: Hashable, Sendable {
    /// No answer at all.
    case silent
    /// The right answer, this much later; beyond the reader's timeout it is a late reply. Other units are served meanwhile.
    case slow(Duration)
    /// Refuses with this exception code, 1 ... 255.
    case exception(UInt8)
    /// A well-formed answer whose words are wrong: each has all its bits turned round.
    case wrongWords
    /// The right answer under the next unit's id.
    case wrongUnit
    /// The answer of the sister function: 3 for 4, 1 for 2, and back.
    case wrongFunction
    /// An answer with another number of registers than was asked for.
    case wrongLength(WrongLength)
    /// RTU: a bad CRC. TCP: another request's transaction id.
    case wrongChecksum
    /// Counters restart from zero at the fault's start.
    case resetCounter
    /// TCP: closes the connection instead of answering. A serial line has none: no answer.
    case dropConnection

    package enum WrongLength: String, Hashable, Sendable, CaseIterable {
        /// One register less, byte count and checksum to match.
        case short
        /// One register more, byte count and checksum to match.
        case long
        /// The frame ends in its middle.
        case truncated
    }

    /// The words `--fault` and tests use.
    package static let names = [
        "silent", "slow", "late", "exception", "wrong-words", "wrong-unit", "wrong-function", "wrong-length", "wrong-checksum",
        "reset-counter", "drop-connection",
    ]
}

/// A fault, whose, and when: from `from` until just before `until` by the wall clock.
package struct FaultWindow: Hashable, Sendable {
    /// Nil: every unit.
    package var unit: UInt8?
    package var fault: Fault
    package var from: Timestamp
    /// Nil: for ever.
    package var until: Timestamp?

    package init(unit: UInt8?, fault: Fault, from: Timestamp, until: Timestamp? = nil) {
        self.unit = unit
        self.fault = fault
        self.from = from
        self.until = until
    }

    func holds(unit asked: UInt8, at time: Timestamp) -> Bool {
        if let unit, unit != asked { return false }
        if let until, time >= until { return false }
        return time >= from
    }
}
