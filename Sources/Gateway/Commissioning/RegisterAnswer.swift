import Metering

/// What `meterctl read` shows: the raw words of its requests and what they may mean.
package struct RegisterAnswer: Sendable {
    package var reports: [ReadReport]
    package var decodings: [Decoding]

    package init(reports: [ReadReport], decodings: [Decoding]) {
        self.reports = reports
        self.decodings = decodings
    }

    package func lines(width: Int?, paint: Paint) -> [String] {
        var lines = reports.flatMap(RegisterAnswer.rawLines)
        guard !decodings.isEmpty else { return lines }
        let table = Table(
            [
                .init("ADDRESS", .right, matters: true), .init("TYPE", matters: true), .init("ORDER"),
                .init("VALUE", cut: .end, matters: true),
            ],
            rows: decodings.map { decoding in
                [
                    Table.Cell(String(decoding.address)), Table.Cell(decoding.encoding.rawValue), Table.Cell(decoding.order.rawValue),
                    Table.Cell(RegisterAnswer.text(decoding.value)),
                ]
            })
        lines.append("")
        return lines + table.lines(width: width, paint: paint)
    }

    /// `holding 52: 4366 6666  (17254 26214)`, eight words a line.
    private static func rawLines(_ report: ReadReport) -> [String] {
        guard let words = report.words else { return ["\(report.table) \(report.address): \(report.fault?.text ?? "no answer")"] }
        return stride(from: 0, to: words.count, by: 8).map { start in
            let some = words[start..<min(start + 8, words.count)]
            let hex = some.map { word in
                let digits = String(word, radix: 16, uppercase: true)
                return String(repeating: "0", count: 4 - digits.utf8.count) + digits
            }
            return "\(report.table) \(report.address + start): \(hex.joined(separator: " "))"
                + "  (\(some.map { String($0) }.joined(separator: " ")))"
        }
    }

    fileprivate static func text(_ value: Value) -> String {
        switch value {
        case .number(let number): number.description
        case .text(let text): text
        }
    }
}

extension ReadReport {
    /// - Parameter type: `all`, or the name of one encoding.
    package func decodings(type: String, order: WordOrder) -> [Decoding] {
        guard let words, let start = UInt16(exactly: address) else { return [] }
        if type == "all" { return Decoding.all(words, at: start) }
        guard let encoding = Encoding(rawValue: type) else { return [] }
        guard let size = encoding.wordCount else { return [Decoding.one(words, at: start, encoding, order)].compactMap { $0 } }
        return stride(from: 0, through: words.count - size, by: size).compactMap { offset in
            Decoding.one(Array(words[offset...]), at: start + UInt16(offset), encoding, order)
        }
    }
}

extension RegisterAnswer: JSONValue {
    private enum CodingKeys: String, CodingKey { case reads, decodings }

    package func write(to json: inout JSONWriter) {
        json.object {
            $0.field(CodingKeys.reads, reports)
            $0.field(CodingKeys.decodings, decodings)
        }
    }
}

extension Decoding: JSONValue {
    private enum CodingKeys: String, CodingKey { case address, type, order, value }

    package func write(to json: inout JSONWriter) {
        json.object {
            $0.field(CodingKeys.address, address)
            $0.field(CodingKeys.type, encoding.rawValue)
            $0.field(CodingKeys.order, order.rawValue)
            switch value {
            case .number(let number): $0.field(CodingKeys.value, number)
            case .text(let text): $0.field(CodingKeys.value, text)
            }
        }
    }
}
