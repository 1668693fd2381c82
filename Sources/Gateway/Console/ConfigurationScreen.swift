/// `meterctl config show`: the configuration as TOML, each value with a comment that says where it comes from.
package struct ConfigurationScreen: Sendable {
    /// Comments of one table stand in one column, unless a value is longer than this.
    static let valueWidth = 48

    let listing: ConfigurationListing

    package init(_ listing: ConfigurationListing) { self.listing = listing }

    package func lines(width: Int?, paint: Paint) -> [String] {
        var lines: [String] = []
        var before: ConfigurationEntry?
        for entry in listing.entries {
            if before?.place != entry.place {
                if before != nil { lines.append("") }
                lines.append(entry.name == nil ? "[\(entry.table)]" : "[[\(entry.table)]]")
            }
            before = entry
            let assignment = entry.value.map { "\(entry.key) = \($0.literal)" } ?? "# \(entry.key) is not set"
            let text = assignment.withoutControls
            let comment = "# \(entry.origin.text)"
            let padding = String(repeating: " ", count: max(2, ConfigurationScreen.valueWidth - text.count))
            if let width, text.count + padding.count + comment.count > width {
                lines += [paint(comment, .faint), text]
            } else {
                lines.append(text + padding + paint(comment, .faint))
            }
        }
        return lines
    }
}

extension ConfigurationEntry.Origin {
    /// `/etc/meterd/meterd.toml:3`, `default`, `/etc/meterd/meterd.toml:9, from [defaults.device]`
    package var text: String {
        switch self {
        case .file(let file, let line): "\(file):\(line)".withoutControls
        case .inherited(let table, let file, let line): "\(file):\(line), from \(table)".withoutControls
        case .standard(let note): "default" + (note.map { ": \($0)" } ?? "")
        }
    }
}

/// `meterctl config diff`: a line for each key or table that differs.
package struct ConfigurationDifferenceScreen: Sendable {
    let report: ConfigurationDifferences

    package init(_ report: ConfigurationDifferences) { self.report = report }

    /// `changed device main live: "1s" -> "5s" (/etc/meterd/conf.d/site.toml:12)`
    package func lines(paint: Paint) -> [String] {
        report.differences.map { difference in
            var text = [difference.table, difference.name, difference.key].compactMap { $0 }.joined(separator: " ")
            if difference.key != nil {
                let before = difference.before?.literal ?? "not set"
                let after = difference.after?.literal ?? "not set"
                text += difference.before == difference.after ? ": \(after), but what it names or hides differs" : ": \(before) -> \(after)"
            }
            if let file = difference.file, let number = difference.line { text += " (\(file):\(number))" }
            return "\(paint(difference.change.rawValue, difference.change.tone)) \(text.withoutControls)"
        }
    }
}

extension ConfigurationDifference.Change {
    fileprivate var tone: Tone {
        switch self {
        case .added: .good
        case .changed: .warning
        case .removed: .bad
        }
    }
}
