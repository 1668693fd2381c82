import Metering
import Uplink

/// Takes out of texts what must not be shown to whoever reads a status, a bundle or a screen: passwords and tokens that somebody wrote
/// where they do not belong.
///
///     https://ann:secret@park.example.org/in?org=a&token=b      https://***@park.example.org/in?org=a&token=***
package enum Redaction {
    package static let mark = "***"

    /// Words after which a secret follows.
    private static let schemes: Set = ["bearer", "basic", "token"]
    /// Names whose value is a secret, in `name=value` and `name: value`.
    static let names = ["password", "passwd", "passphrase", "secret", "token", "authorization", "api_key", "apikey", "api-key"]

    /// Keys whose whole value is an address.
    private static let addressKeys: Set = ["url", "proxy"]

    /// A value as it may be shown.
    ///
    /// - Parameter file: the config file that it stands in.
    static func value(_ value: ConfigurationValue, key: String, in file: String) -> ConfigurationValue {
        let leaf = key.split(separator: ".").last.map(String.init) ?? key
        switch value {
        case .text(let text): return .text(shown(text, leaf, in: file))
        // A header field's value is a secret as often as not: `X-Api-Key: ...`.
        case .list(let elements):
            return .list(
                elements.map { element in
                    guard leaf == "headers", case .text(let line) = element else { return Redaction.value(element, key: key, in: file) }
                    return .text("\(line.prefix { $0 != ":" }): \(mark)")
                })
        case .table(let members):
            return .table(Dictionary(uniqueKeysWithValues: members.map { ($0, Redaction.value($1, key: $0, in: file)) }))
        case .integer, .number, .boolean: return isSecret(leaf) ? .text(mark) : value
        }
    }

    private static func shown(_ text: String, _ key: String, in file: String) -> String {
        if isSecret(key) || isSecretFile(key) && !isPath(text, in: file) { return mark }
        return addressKeys.contains(key) ? address(text) : urls(text)
    }

    /// Whether the key names a file that holds a secret.
    static func isSecretFile(_ key: String) -> Bool { key.hasSuffix("_file") && key != "ca_file" && key != "cert_file" }

    /// What neither begins with / nor leads to a file may be the secret itself, written in the place of its file.
    static func isPath(_ text: String, in file: String) -> Bool {
        guard let path = TomlReader.absolute(text, from: file) else { return false }
        return text.hasPrefix("/") || TextFile.isRegular(path)
    }

    /// Names of files end in `_file`; a key that speaks of a secret without naming a file holds it.
    private static func isSecret(_ key: String) -> Bool {
        let key = key.lowercased()
        return !key.hasSuffix("_file") && key != "token_scheme" && names.contains { key.contains($0) }
    }

    /// A line of a log or a message: every URL in it, and what follows words such as `Bearer` and `password=`.
    package static func line(_ text: String) -> String {
        var words: [Substring] = []
        var isNext = false
        for word in urls(text).split(separator: " ", omittingEmptySubsequences: false) {
            if isNext, !word.isEmpty {
                words.append(Substring(mark))
                isNext = schemes.contains(bare(word))
            } else {
                let (shown, secretFollows) = named(word)
                words.append(shown)
                isNext = secretFollows || schemes.contains(bare(word)) && word.first?.isUppercase == true
            }
        }
        return words.joined(separator: " ")
    }

    private static func bare(_ word: Substring) -> String { word.lowercased().filter { $0.isLetter } }

    /// `token=abc` without the value; true when the value is the next word.
    private static func named(_ word: Substring) -> (Substring, Bool) {
        guard let end = word.firstIndex(where: { $0 == "=" || $0 == ":" }), !word[..<end].contains("/") else { return (word, false) }
        let name = word[..<end].lowercased().filter { $0.isLetter || $0 == "_" || $0 == "-" }
        guard names.contains(where: { name == $0 || name.hasSuffix("_" + $0) || name.hasSuffix("-" + $0) }) else { return (word, false) }
        let value = word[word.index(after: end)...]
        return value.isEmpty ? (word, true) : (word[...end] + mark, false)
    }

    /// A text that should be a URL as a whole. In one that is none, a secret can stand anywhere.
    package static func address(_ text: String) -> String {
        guard let separator = text.firstRange(of: "://"), text[..<separator.lowerBound].allSatisfy({ $0.isLetter || $0 == "+" }) else {
            if mayHoldSecret(text) { return mark }
            guard let slash = text.firstIndex(of: "/"), !text.contains("/dev/") else { return text }
            return "\(text[..<slash])\(path(text[slash...]))"
        }
        let scheme = text[..<separator.lowerBound]
        return "\(scheme)://\(url(text[separator.upperBound...], scheme: scheme.lowercased()))"
    }

    /// A refused address in quotes, to begin a sentence with; nothing where it may hold a secret.
    static func quotation(_ text: String) -> String { mayHoldSecret(text) ? "" : "\"\(address(text))\" " }

    private static func mayHoldSecret(_ address: String) -> Bool { address.contains { "@?#".contains($0) } }

    /// Every URL of a text as `url` has it.
    package static func urls(_ text: String) -> String {
        var result = ""
        var rest = text[...]
        while let separator = rest.firstRange(of: "://") {
            let head = rest[..<separator.lowerBound]
            let scheme = head.suffix(
                from: head.lastIndex { !($0.isLetter || $0.isNumber || $0 == "+") }.map { head.index(after: $0) } ?? head.startIndex)
            let end = rest[separator.upperBound...].firstIndex { $0.isWhitespace || "\"'<>,;".contains($0) } ?? rest.endIndex
            result += head + "://" + url(rest[separator.upperBound..<end], scheme: scheme.lowercased())
            rest = rest[end...]
        }
        return result + rest
    }

    /// What stands behind `scheme://`: without user and password, without parameters that are not known to be open, without what looks
    /// like a token in the path.
    private static func url(_ text: Substring, scheme: String) -> String {
        // Another @ may stand in the password.
        let authorityEnd = text.firstIndex { "/?#".contains($0) } ?? text.endIndex
        let authority = text[..<authorityEnd]
        let host = authority.lastIndex(of: "@").map { mark + authority[$0...] } ?? String(authority)
        let tail = text[authorityEnd...]
        // So may / and ?, and then the authority only seems to end there.
        if scheme != "serial", !authority.contains("@"), tail.contains("@"), !isHost(authority) { return mark }
        let pathEnd = tail.firstIndex { "?#".contains($0) } ?? tail.endIndex
        let isWeb = scheme == "http" || scheme == "https"
        let path = isWeb ? Redaction.path(tail[..<pathEnd]) : String(tail[..<pathEnd])
        guard pathEnd < tail.endIndex else { return host + path }
        if tail[pathEnd] == "#" { return host + path + "#" + mark }
        let query = tail[tail.index(after: pathEnd)...].prefix { $0 != "#" }
        let pairs = query.split(separator: "&", omittingEmptySubsequences: false).map { pair in
            let name = pair.prefix { $0 != "=" }
            return HTTPUpstream.openParameters.contains(String(name)) ? String(pair) : name.count == pair.count ? mark : "\(name)=\(mark)"
        }
        return host + path + "?" + pairs.joined(separator: "&")
    }

    /// `192.0.2.1`, `[::1]:80`: a name and perhaps a number, and no `user:password`.
    private static func isHost(_ authority: Substring) -> Bool {
        let rest = authority[(authority.lastIndex(of: "]") ?? authority.startIndex)...]
        return !authority.isEmpty && rest.drop { $0 != ":" }.dropFirst().allSatisfy(\.isNumber)
    }

    private static func path(_ text: Substring) -> String {
        text.split(separator: "/", omittingEmptySubsequences: false).map { looksLikeToken($0) ? mark : String($0) }.joined(separator: "/")
    }

    /// Sixteen characters and more with letters and digits: no word.
    private static func looksLikeToken(_ segment: Substring) -> Bool {
        segment.count >= 16 && segment.contains { $0.isNumber } && segment.contains { $0.isLetter }
    }
}
