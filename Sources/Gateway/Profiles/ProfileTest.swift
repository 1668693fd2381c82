import Metering

/// `meterctl profiles test NAME`: every worked example of a profile, decoded.
package struct ProfileTest: Sendable {
    package struct Outcome: Sendable {
        package var quantity: String
        /// In order of the registers.
        package var words: [UInt16]
        /// Nil: the words mean "not available".
        package var expected: Value?
        package var value: Value?
        package var passed: Bool { expected == value }
    }

    package let profile: String
    package let outcomes: [Outcome]

    package init(_ profile: Profile) {
        self.profile = profile.name
        let decoder = ReadingDecoder(profile: profile)
        outcomes = profile.examples.map { example in
            let reading = decoder.decode(example.answers).first { profile.points[$0.point].quantity.id == example.quantity }
            let words = example.answers.flatMap { answer in if case .words(let words) = answer.outcome { words } else { [UInt16]() } }
            return Outcome(quantity: example.quantity, words: words, expected: example.value, value: reading?.value)
        }
    }

    package var passed: Bool { !outcomes.isEmpty && outcomes.allSatisfy(\.passed) }

    package var table: Table {
        Table(
            [
                .init("QUANTITY", cut: .middle, matters: true), .init("EXPECTED", .right, cut: .end, matters: true),
                .init("DECODED", .right, cut: .end, matters: true), .init("RESULT", matters: true), .init("WORDS", cut: .end),
            ],
            rows: outcomes.map { outcome in
                [
                    .init(outcome.quantity), .init(ProfileTest.text(outcome.expected)), .init(ProfileTest.text(outcome.value)),
                    .init(outcome.passed ? "ok" : "wrong", outcome.passed ? .good : .bad), .init(ProfileTest.hex(outcome.words)),
                ]
            })
    }

    static func text(_ value: Value?) -> String {
        switch value {
        case .number(let number): number.description
        case .text(let text): text
        case nil: "none"
        }
    }

    static func hex(_ words: [UInt16]) -> String {
        words.map { word in
            let digits = String(word, radix: 16, uppercase: true)
            return String(repeating: "0", count: 4 - digits.utf8.count) + digits
        }.joined(separator: " ")
    }
}

extension ProfileTest: JSONValue {
    private enum Keys: String, CodingKey { case profile, passed, examples }

    package func write(to json: inout JSONWriter) {
        json.object {
            $0.field(Keys.profile, profile)
            $0.field(Keys.passed, passed)
            $0.field(Keys.examples, outcomes)
        }
    }
}

extension ProfileTest.Outcome: JSONValue {
    private enum Keys: String, CodingKey { case quantity, words, expected, value, passed }

    package func write(to json: inout JSONWriter) {
        json.object {
            $0.field(Keys.quantity, quantity)
            $0.field(Keys.words, words)
            $0.field(Keys.expected, expected)
            $0.field(Keys.value, value)
            $0.field(Keys.passed, passed)
        }
    }
}
