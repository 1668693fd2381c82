/// One thing that the doctor looked at.
package struct DoctorCheck: Hashable, Sendable {
    package enum Verdict: String, Hashable, Sendable, Decodable, JSONValue {
        case ok
        /// It works, or will; somebody should look at it.
        case warning
        /// Readings cannot be taken, kept or handed on as configured.
        case failure
    }

    /// `config`, `disk`, `bus`: for machines.
    package var check: String
    /// Which bus, output or service; nil where there is one of it.
    package var subject: String?
    package var verdict: Verdict
    /// What was found, in a sentence.
    package var text: String
    /// What to do; nil when all is well.
    package var cure: String?

    package static func ok(_ check: String, about subject: String? = nil, _ text: String) -> DoctorCheck {
        DoctorCheck(check: check, subject: subject, verdict: .ok, text: text, cure: nil)
    }

    package static func warning(_ check: String, about subject: String? = nil, _ text: String, cure: String) -> DoctorCheck {
        DoctorCheck(check: check, subject: subject, verdict: .warning, text: text, cure: cure)
    }

    package static func failure(_ check: String, about subject: String? = nil, _ text: String, cure: String) -> DoctorCheck {
        DoctorCheck(check: check, subject: subject, verdict: .failure, text: text, cure: cure)
    }
}

/// What `meterctl doctor` found.
package struct DoctorReport: Hashable, Sendable {
    package var checks: [DoctorCheck]

    package init(checks: [DoctorCheck]) { self.checks = checks }

    /// The worst of all.
    package var verdict: DoctorCheck.Verdict {
        let all = Set(checks.map(\.verdict))
        return all.contains(.failure) ? .failure : all.contains(.warning) ? .warning : .ok
    }

    /// Where a check's name begins, behind the longest verdict.
    private static let nameColumn = 9
    /// Names beside which there is less room than this have their text below them.
    private static let leastRoom = 24

    /// A line for each check, the cure below it.
    package func lines(width: Int?, paint: Paint) -> [String] {
        let names = checks.map { ([$0.check] + ($0.subject.map { [$0] } ?? [])).joined(separator: " ").withoutControls }
        let column = min(28, names.map(\.count).max() ?? 0)
        let beside = DoctorReport.nameColumn + column + 2
        let isNarrow = width.map { $0 - beside < DoctorReport.leastRoom } ?? false
        let indent = isNarrow ? DoctorReport.nameColumn : beside
        let room = width.map { max(20, $0 - indent) }
        var lines: [String] = []
        for (check, name) in zip(checks, names) {
            var texts = Folding.wrap(check.text, width: room)
            if let cure = check.cure { texts += Folding.wrap("→ \(cure)", width: room) }
            let verdict = check.verdict.rawValue
            let head = paint(verdict, check.verdict.tone) + String(repeating: " ", count: DoctorReport.nameColumn - verdict.count) + name
            if isNarrow || width != nil && name.count > column {
                lines.append(head)
            } else {
                lines.append(head + String(repeating: " ", count: max(2, column + 2 - name.count)) + (texts.first ?? ""))
                texts = Array(texts.dropFirst())
            }
            lines += texts.map { String(repeating: " ", count: indent) + $0 }
        }
        let counts = [DoctorCheck.Verdict.failure, .warning].compactMap { verdict in
            let count = checks.count { $0.verdict == verdict }
            return count == 0 ? nil : Humanize.count(count, verdict.rawValue)
        }
        return lines + ["", counts.isEmpty ? "all is well" : counts.joined(separator: ", ")]
    }
}

extension DoctorCheck.Verdict {
    fileprivate var tone: Tone {
        switch self {
        case .ok: .good
        case .warning: .warning
        case .failure: .bad
        }
    }
}

extension DoctorReport: JSONValue, Decodable {
    private enum CodingKeys: String, CodingKey { case verdict, checks }

    package func write(to json: inout JSONWriter) {
        json.object {
            $0.field(CodingKeys.verdict, verdict)
            $0.field(CodingKeys.checks, checks)
        }
    }

    package init(from decoder: any Decoder) throws {
        checks = try decoder.container(keyedBy: CodingKeys.self).decode([DoctorCheck].self, forKey: .checks)
    }
}

extension DoctorCheck: JSONValue, Decodable {
    private enum CodingKeys: String, CodingKey { case check, subject, verdict, text, cure }

    package func write(to json: inout JSONWriter) {
        json.object {
            $0.field(CodingKeys.check, check)
            $0.field(CodingKeys.subject, subject)
            $0.field(CodingKeys.verdict, verdict)
            $0.field(CodingKeys.text, text)
            $0.field(CodingKeys.cure, cure)
        }
    }
}
