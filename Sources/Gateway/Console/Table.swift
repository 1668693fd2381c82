import Metering

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

/// Aligned columns. On a terminal that is too narrow for them texts give way first, then names; then columns are left out, from the right
/// and those that matter last, and a line below says so.
package struct Table: Sendable {
    package struct Column: Sendable {
        package enum Alignment: Sendable { case left, right }

        /// How its texts are cut, down to `leastWidth` characters. A number never is: half of it would be another number.
        package enum Cut: Sendable {
            case never
            /// `no answer wit…`, for what is read from its beginning.
            case end
            /// `press…-12`, for names, which often begin alike.
            case middle
        }

        package var title: String
        package var alignment: Alignment
        package var cut: Cut
        /// Without it the row says little.
        package var matters: Bool

        package init(_ title: String, _ alignment: Alignment = .left, cut: Cut = .never, matters: Bool = false) {
            self.title = title
            self.alignment = alignment
            self.cut = cut
            self.matters = matters
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
    static let leastWidth = 10

    package var columns: [Column]
    package var rows: [[Cell]]

    package init(_ columns: [Column], rows: [[Cell]]) {
        self.columns = columns
        self.rows = rows
    }

    /// The title line and one line a row, none ending in a blank.
    /// - Parameter width: columns of the terminal; nil for a file or pipe, where nothing is cut.
    package func lines(width: Int?, paint: Paint) -> [String] {
        let layout = layout(fitting: width)
        let titles = columns.map { Cell($0.title, .faint) }
        let lines = ([titles] + rows).map { line($0, layout, paint) }
        let missing = columns.count - layout.count
        guard let width, missing > 0 else { return lines }
        let note = missing == 1 ? "1 column does not fit" : "\(missing) columns do not fit"
        return lines + [paint(Table.cut("\(note); --json has all", to: width, .end), .faint)]
    }

    /// The columns that are shown, and how wide each is.
    private func layout(fitting limit: Int?) -> [(column: Int, width: Int)] {
        var widths = columns.indices.map { column in
            rows.reduce(columns[column].title.count) { max($0, $1[column].text.count) }
        }
        var shown = Array(columns.indices)
        guard let limit else { return shown.map { ($0, widths[$0]) } }
        func excess(_ widths: [Int]) -> Int { shown.reduce(Table.gap.count * (shown.count - 1) - limit) { $0 + widths[$1] } }
        guard excess(widths) > 0 else { return shown.map { ($0, widths[$0]) } }
        let least = columns.indices.map { leastWidth(of: $0, within: widths[$0]) }
        while excess(least) > 0, shown.count > 1 {
            shown.remove(at: shown.lastIndex { !columns[$0].matters } ?? shown.count - 1)
        }
        for cut in [Column.Cut.end, .middle] {
            while excess(widths) > 0 {
                let elastic = shown.filter { columns[$0].cut == cut && widths[$0] > least[$0] }
                guard let widest = elastic.max(by: { widths[$0] < widths[$1] }) else { break }
                widths[widest] -= 1
            }
        }
        return shown.map { ($0, min(widths[$0], limit)) }
    }

    private func leastWidth(of column: Int, within width: Int) -> Int {
        guard columns[column].cut != .never, width > Table.leastWidth else { return width }
        return rows.reduce(Table.leastWidth) { least, row in
            let text = row[column].text
            return text.count > least && ExactDecimal(text) != nil ? text.count : least
        }
    }

    private func line(_ cells: [Cell], _ layout: [(column: Int, width: Int)], _ paint: Paint) -> String {
        let fields = layout.map { column, width in
            let text = Table.cut(cells[column].text, to: width, columns[column].cut)
            let padding = String(repeating: " ", count: width - text.count)
            let painted = paint(text, cells[column].tone)
            return columns[column].alignment == .right ? padding + painted : painted + padding
        }
        return Table.withoutTrailingBlanks(fields.joined(separator: Table.gap))
    }

    /// `transformer` cut to 6 is `trans…`, or in the middle `tr…mer`.
    static func cut(_ text: String, to width: Int, _ cut: Column.Cut) -> String {
        guard text.count > width else { return text }
        switch cut {
        case .never: return "…"
        case .end: return text.prefix(max(0, width - 1)) + "…"
        case .middle: return text.prefix((width - 1) / 2) + "…" + text.suffix(width / 2)
        }
    }

    private static func withoutTrailingBlanks(_ line: String) -> String {
        guard let end = line.lastIndex(where: { $0 != " " }) else { return "" }
        return String(line[...end])
    }
}
