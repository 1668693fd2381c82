/// What a word means, for those whose terminal has colours. The word itself always says it too.
package enum Tone: Hashable, Sendable { case plain, good, warning, bad, faint }

/// Puts colour on text, or leaves it as it is.
package struct Paint: Hashable, Sendable {
    package let coloured: Bool

    package init(coloured: Bool) { self.coloured = coloured }

    package func callAsFunction(_ text: String, _ tone: Tone) -> String {
        guard coloured else { return text }
        switch tone {
        case .plain: return text
        case .good: return "\u{1B}[32m\(text)\u{1B}[0m"
        case .warning: return "\u{1B}[33m\(text)\u{1B}[0m"
        case .bad: return "\u{1B}[31m\(text)\u{1B}[0m"
        case .faint: return "\u{1B}[2m\(text)\u{1B}[0m"
        }
    }
}

extension String {
    /// The text with `?` for every control character. Some texts come from far away, from a receiver's answer or a meter's registers, and
    /// an escape sequence in them must not reach the terminal.
    package var withoutControls: String {
        guard unicodeScalars.contains(where: { $0.properties.generalCategory == .control }) else { return self }
        var text = ""
        for scalar in unicodeScalars {
            text.unicodeScalars.append(scalar.properties.generalCategory == .control ? "?" : scalar)
        }
        return text
    }
}

/// Aligned columns. When a terminal's width is given, the elastic column gives way first, then the line's end.
package struct Table: Sendable {
    package struct Column: Sendable {
        package enum Alignment: Sendable { case left, right }
        package var title: String
        package var alignment: Alignment
        /// May be cut, down to `elasticMinimum` characters, to make the table fit.
        package var elastic: Bool

        package init(_ title: String, _ alignment: Alignment = .left, elastic: Bool = false) {
            self.title = title
            self.alignment = alignment
            self.elastic = elastic
        }
    }

    package struct Cell: Sendable, ExpressibleByStringInterpolation {
        package var text: String
        package var tone: Tone

        package init(_ text: String, _ tone: Tone = .plain) {
            self.text = text.withoutControls
            self.tone = tone
        }

        package init(stringLiteral text: String) { self.init(text) }
    }

    static let gap = "  "
    static let elasticMinimum = 12

    package var columns: [Column]
    package var rows: [[Cell]]

    package init(_ columns: [Column], rows: [[Cell]]) {
        self.columns = columns
        self.rows = rows
    }

    /// The title line and one line a row, none ending in a blank.
    /// - Parameter width: columns of the terminal; nil for a file or pipe, where nothing is cut.
    package func lines(width: Int?, paint: Paint) -> [String] {
        let widths = columnWidths(fitting: width)
        let titles = columns.map { Cell($0.title, .faint) }
        return ([titles] + rows).map { line($0, widths, width: width, paint) }
    }

    private func columnWidths(fitting limit: Int?) -> [Int] {
        var widths = columns.indices.map { index in
            rows.reduce(columns[index].title.count) { max($0, $1[index].text.count) }
        }
        guard let limit else { return widths }
        let excess = widths.reduce(Table.gap.count * (widths.count - 1), +) - limit
        if excess > 0, let elastic = columns.firstIndex(where: \.elastic) {
            widths[elastic] = max(min(widths[elastic], Table.elasticMinimum), widths[elastic] - excess)
        }
        return widths
    }

    private func line(_ cells: [Cell], _ widths: [Int], width: Int?, _ paint: Paint) -> String {
        var line = ""
        var used = 0
        for (index, cell) in cells.enumerated() {
            let text = Table.cut(cell.text, to: widths[index])
            let padding = String(repeating: " ", count: widths[index] - text.count)
            var before = index == 0 ? "" : Table.gap
            if columns[index].alignment == .right { before += padding }
            let isLast = index == cells.count - 1
            let room = max(0, (width ?? .max) - used)
            guard before.count + text.count <= room else {
                // Half a number would be a wrong number, and so would one with the mark beside it.
                let mark = room < 2 ? "" : " …"
                let fitting = columns[index].alignment == .left && room > 2 ? Table.cut(before + text, to: room) : mark
                return Table.withoutTrailingBlanks(line + fitting)
            }
            line += before + paint(text, cell.tone)
            used += before.count + text.count
            if columns[index].alignment == .left, !isLast {
                line += padding
                used += padding.count
            }
        }
        return Table.withoutTrailingBlanks(line)
    }

    /// `transformer` cut to 6 is `trans…`.
    static func cut(_ text: String, to width: Int) -> String {
        text.count <= width ? text : width < 1 ? "" : text.prefix(width - 1) + "…"
    }

    private static func withoutTrailingBlanks(_ line: String) -> String {
        guard let end = line.lastIndex(where: { $0 != " " }) else { return "" }
        return String(line[...end])
    }
}
