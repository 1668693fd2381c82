/// What a counter did from one reading that counts to the next, or that a reading does not count.
///
/// `advance` is never below 0, and 0 wherever it is not known: what was used across a reset or an exchange is not made up.
package struct CounterStep: Hashable, Sendable {
    package enum Kind: String, Hashable, Sendable, CaseIterable {
        /// The first reading that counts; nothing to compare it with.
        case first
        case unchanged
        case advance
        /// Through the end of the register and on from 0.
        case rollover
        /// Lower than before, and it stayed there.
        case reset
        /// Higher than the time allows, and it stayed there.
        case jump
        /// Back where it was before a reset that was none.
        case restored
        /// Another meter counts from here.
        case exchange
        /// Another profile reads the registers from here.
        case redefined
        /// The reading `to` does not fit those round it and is left out; `from` is still where the counter stands.
        case glitch
    }

    package var kind: Kind
    package var from: CounterReading?
    package var to: CounterReading
    package var advance: ExactDecimal
    /// Polls in between gave no value: the advance is right, when it came is not known.
    package var isAfterGap: Bool

    package init(_ kind: Kind, from: CounterReading?, to: CounterReading, advance: ExactDecimal = .zero, isAfterGap: Bool = false) {
        self.kind = kind
        self.from = from
        self.to = to
        self.advance = advance
        self.isAfterGap = isAfterGap
    }

    /// Whether somebody should be told.
    package var isNotable: Bool {
        switch kind {
        case .first, .unchanged, .advance: false
        case .rollover, .reset, .jump, .restored, .exchange, .redefined, .glitch: true
        }
    }
}
