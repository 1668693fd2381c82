/// A terminal's screen that is drawn again and again.
package enum Screen {
    /// Goes home and writes over what was there, line by line, then clears the rest: a screen that is cleared first would flicker. What
    /// does not fit is cut, and the last line says how much.
    package static func redraw(_ lines: [String], height: Int) -> String {
        var shown = lines
        let room = max(2, height - 1)
        if lines.count > room {
            shown = lines.prefix(room - 1) + ["and \(lines.count - room + 1) more lines: make the terminal taller, or name a device"]
        }
        return "\u{1B}[H" + shown.map { "\($0)\u{1B}[K\n" }.joined() + "\u{1B}[J"
    }
}
