/// Help texts end with their example: the parser prints a command's discussion before its options, so the example is moved.
enum HelpPage {
    static let marker = "Example:"

    /// The text with its lines from `Example:` up to `USAGE:` put last; any other text as it is.
    static func examplesLast(_ text: String) -> String {
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
        guard let start = lines.firstIndex(of: marker), let end = lines[start...].firstIndex(where: { $0.hasPrefix("USAGE:") }) else {
            return text
        }
        let example = lines[start..<end]
        let rest = lines[..<start] + lines[end...]
        return trimmed(rest).joined(separator: "\n") + "\n\n" + trimmed(example).joined(separator: "\n")
    }

    /// Without empty lines at the end.
    private static func trimmed(_ lines: ArraySlice<String>) -> ArraySlice<String> {
        guard let last = lines.lastIndex(where: { !$0.allSatisfy(\.isWhitespace) }) else { return [] }
        return lines[...last]
    }
}
