import FoundationEssentials

/// What a request carried that nobody may read. Receivers, and proxies made for debugging, quote the request in their answers; from there
/// it would come into the status, the log and the dead letters.
///
///     no account for Bearer s3cret, try again      no account for ***, try again
///
/// Whatever has four characters or more is taken out, were it a word of everyday: a poor password is one all the same. Less than that
/// cannot be told from the letters of other words, and is left. Costs nothing before a text is made of an answer.
struct RequestSecrets: Sendable {
    static let mark = "***"
    /// Characters of the shortest secret that is looked for.
    static let shortest = 4

    /// Values of header fields.
    var fields: [String] = []
    var url = ""

    /// The first bytes of a text, with the mark for each secret. One that begins within them is found to its end, so that no part of it
    /// is left by the cut.
    func masked(_ text: ArraySlice<UInt8>, first limit: Int) -> [UInt8] {
        let secrets = secrets
        let end = text.startIndex + min(limit, text.count)
        var masked: [UInt8] = []
        var index = text.startIndex
        while index < end {
            if let next = secrets.compactMap({ RequestSecrets.end(of: $0, in: text[index...]) }).max() {
                masked += RequestSecrets.mark.utf8
                index = next
            } else {
                masked.append(text[index])
                index += 1
            }
        }
        return masked
    }

    private var secrets: [[Unicode.Scalar]] {
        let texts = Set(fields.flatMap(RequestSecrets.parts) + parameters)
        return texts.map { Array($0.unicodeScalars) }.filter { $0.count >= RequestSecrets.shortest }
    }

    /// `Basic bWU6czNjcmV0` → itself, `bWU6czNjcmV0`, `me:s3cret`, `s3cret`.
    private static func parts(of field: String) -> [String] {
        var field = field[...]
        while field.last == " " { field.removeLast() }
        let words = field.split(separator: " ", maxSplits: 1)
        guard words.count == 2 else { return words.map(String.init) }
        var parts = [String(field), String(words[1])]
        if let login = Data(base64Encoded: parts[1]).map({ String(decoding: $0, as: UTF8.self) }), let colon = login.firstIndex(of: ":") {
            parts += [login, String(login[login.index(after: colon)...])]
        }
        return parts
    }

    /// As they stand in the URL, and decoded.
    private var parameters: [String] {
        guard url.contains("?"), let url = URLComponents(string: url) else { return [] }
        let items = (url.percentEncodedQueryItems ?? []) + (url.queryItems ?? [])
        return items.filter { !HTTPUpstream.openParameters.contains($0.name) }.map { $0.value ?? $0.name }
    }

    /// Where a secret ends that the text begins with; in JSON `a/b` may be `a\/b` or `a\u002Fb`.
    private static func end(of secret: [Unicode.Scalar], in text: ArraySlice<UInt8>) -> Int? {
        var rest = text
        for scalar in secret {
            if rest.starts(with: scalar.utf8) {
                rest = rest.dropFirst(scalar.utf8.count)
            } else if rest.first == UInt8(ascii: "\\"), let escape = escapes(of: scalar).first(where: { rest.starts(with: $0) }) {
                rest = rest.dropFirst(escape.count)
            } else {
                return nil
            }
        }
        return rest.startIndex
    }

    private static func escapes(of scalar: Unicode.Scalar) -> [[UInt8]] {
        let numbered = [false, true].map { uppercase in
            scalar.utf16.flatMap { unit in
                let digits = String(unit, radix: 16, uppercase: uppercase)
                return Array("\\u\(String(repeating: "0", count: 4 - digits.utf8.count))\(digits)".utf8)
            }
        }
        return numbered + [[UInt8(ascii: "\\")] + Array(scalar.utf8)]
    }
}

extension HTTPUpstream {
    /// Parameters of a URL that are known to hold no secret.
    package static let openParameters: Set = ["org", "orgID", "bucket", "db", "rp", "precision", "consistency", "version"]
}
