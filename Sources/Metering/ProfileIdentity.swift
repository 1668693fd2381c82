/// How a device of these models is found when new. Nothing is taken from it silently: the config says how a device is connected.
package struct ConnectionHints: Hashable, Sendable {
    package var unit: UInt8?
    package var port: UInt16?
    package var baud: Int?
    /// `8N1`, `8E1`, ...
    package var format: String?
    /// True for a device that takes one TCP connection only.
    package var singleClient: Bool
    /// What the person who wires it must know, e.g. a menu that turns Modbus on.
    package var setup: String?

    package init(
        unit: UInt8? = nil, port: UInt16? = nil, baud: Int? = nil, format: String? = nil, singleClient: Bool = false, setup: String? = nil
    ) {
        self.unit = unit
        self.port = port
        self.baud = baud
        self.format = format
        self.singleClient = singleClient
        self.setup = setup
    }
}

/// One read that tells whether a device is one of the profile's models.
package struct IdentityCheck: Hashable, Sendable {
    package enum Expectation: Hashable, Sendable {
        /// One of these numbers, as they stand in the register.
        case numbers([Int64])
        /// A text that begins with one of these.
        case prefixes([String])
        /// A number within these bounds after `scale`: a check that address and word order are right, such as a frequency of 45 to 65 Hz.
        case between(ExactDecimal, ExactDecimal)
    }

    package var block: Block
    package var encoding: Encoding
    package var order: WordOrder
    package var factor: ExactDecimal
    package var expectation: Expectation

    package init(
        block: Block, encoding: Encoding, order: WordOrder = .abcd, factor: ExactDecimal = ExactDecimal(1), expectation: Expectation
    ) {
        self.block = block
        self.encoding = encoding
        self.order = order
        self.factor = factor
        self.expectation = expectation
    }

    /// True when the words of `block` are what such a device answers.
    package func matches(_ words: [UInt16]) -> Bool {
        guard words.count == Int(block.count) else { return false }
        if encoding == .string {
            guard case .prefixes(let prefixes) = expectation, let text = RawText.text(words[...], order: order) else { return false }
            return prefixes.contains { text.hasPrefix($0) }
        }
        guard let raw = encoding.number(order.pattern(words[...])) else { return false }
        switch expectation {
        case .numbers(let numbers): return numbers.contains { ExactDecimal($0) == raw }
        case .between(let low, let high): return raw.multiplied(by: factor).map { (low.double...high.double).contains($0.double) } ?? false
        case .prefixes: return false
        }
    }
}

extension Profile {
    /// Whether a device that gave these answers is one of the profile's models: every check was answered and holds. False without checks.
    package func identifies(_ answers: [BlockAnswer]) -> Bool {
        !identity.isEmpty
            && identity.allSatisfy { check in
                guard let answer = answers.first(where: { $0.block.covers(check.block) }), case .words(let words) = answer.outcome else {
                    return false
                }
                let start = Int(check.block.address) - Int(answer.block.address)
                guard words.count >= start + Int(check.block.count) else { return false }
                return check.matches(Array(words[start..<start + Int(check.block.count)]))
            }
    }
}
