/// Text that is too wide for a terminal is broken between words.
enum Folding {
    /// Lines of at most `width` characters, those after the first indented; a longer word has a line of its own. Colours count nothing.
    static func fold(_ text: String, indent: Int, width: Int?) -> [String] {
        guard let width, visible(text) > width else { return [text] }
        let words = text.split(separator: " ", omittingEmptySubsequences: false)
        return lines(words, margin: String(repeating: " ", count: indent), room: max(20, width))
    }

    /// Lines of at most `width` characters, for text from afar: without control characters, with one blank between words.
    static func wrap(_ text: String, width: Int?) -> [String] {
        let text = text.withoutControls
        guard let width else { return [text] }
        let words = text.split(separator: " ")
        return words.isEmpty ? [] : lines(words, margin: "", room: width)
    }

    private static func lines(_ words: [Substring], margin: String, room: Int) -> [String] {
        var lines: [String] = []
        var line = ""
        for word in words {
            // The first line keeps its own gaps, which set its label off.
            if lines.isEmpty || !word.isEmpty, visible(line) + 1 + visible(String(word)) <= room || visible(line) == 0 {
                line += line.isEmpty ? String(word) : " \(word)"
            } else if !word.isEmpty {
                lines.append(line)
                line = margin + word
            }
        }
        return lines + [line]
    }

    /// Characters that take a place on the screen: all but those of a colour.
    private static func visible(_ text: String) -> Int {
        var count = 0
        var isColour = false
        for character in text {
            if character == "\u{1B}" { isColour = true }
            if !isColour { count += 1 }
            if isColour, character == "m" { isColour = false }
        }
        return count
    }
}
