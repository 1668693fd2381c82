import FoundationEssentials
import Metering
import Uplink

/// What the outputs over HTTP have in common: login, certificates, proxy, header fields.
extension OutputReader {
    enum TokenScheme: String, CaseIterable {
        case token = "Token"
        case bearer = "Bearer"
    }

    /// A token, or a user with a password.
    func credentials(scheme: TokenScheme) -> HTTPUpstream.Credentials? {
        let token = secret("token_file")
        let password = secret("password_file")
        let user = table.string("username", example: "\"meterd\"")
        if let user, user.isEmpty || user.contains(":") || user.utf8.contains(where: { $0 < 0x20 }) {
            table.problem("username", "must be text without a colon")
        }
        if token != nil, user != nil || password != nil {
            table.problem("token_file", "goes without username and password_file; remove one or the other")
        }
        if (user == nil) != (password == nil), token == nil {
            table.problem(user == nil ? "password_file" : "username", "username and password_file go together; add the other")
        }
        if let token { return .token(token, scheme: scheme.rawValue) }
        if let user, let password { return .password(password, user: user) }
        return nil
    }

    /// Certificates and proxy; nil when the standard way will do.
    func link(_ url: String?) -> HTTPLink? {
        let link = HTTPLink(
            authorities: readable("ca_file"), certificate: readable("cert_file"), key: readable("key_file"), proxy: proxy())
        if (link.certificate == nil) != (link.key == nil) {
            table.problem(link.key == nil ? "cert_file" : "key_file", "cert_file and key_file go together; add the other")
        }
        let certificates = [link.authorities, link.certificate, link.key].contains { $0 != nil }
        if let url, certificates, !url.lowercased().hasPrefix("https:") {
            table.problem("url", "is plain text, but certificates are given; write https:// or remove them")
        }
        return link == HTTPLink() ? nil : link
    }

    private func proxy() -> HTTPLink.Proxy? {
        let example = "http://192.0.2.9:3128"
        guard let text = table.string("proxy", example: "\"\(example)\""), holdsNoSecret(text, key: "proxy", nil)
        else { return nil }
        guard let url = URL(string: text), url.scheme?.lowercased() == "http", let host = url.host(), !host.isEmpty, !text.contains(" "),
            let port = url.port, (1...65535).contains(port), url.path.isEmpty || url.path == "/"
        else {
            table.problem("proxy", Redaction.quotation(text) + "is no http://host:port; write one such as \"\(example)\"")
            return nil
        }
        return HTTPLink.Proxy(host: host.hasPrefix("[") ? String(host.dropFirst().dropLast()) : host, port: port)
    }

    /// `headers = ["X-Park: 7"]`. Those that meterd sends itself, or that carry secrets, are refused.
    func headers() -> [HTTPUpstream.Header] {
        let own = [
            "authorization", "connection", "content-encoding", "content-length", "content-type", "expect", "host", "idempotency-key",
            "proxy-authorization", "te", "trailer", "transfer-encoding", "upgrade",
        ]
        let lines = table.strings("headers") ?? []
        if lines.count > 20 { table.problem("headers", "holds \(lines.count) header fields; at most 20 are sent") }
        return lines.compactMap { line in
            let parts = line.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
            let name = parts[0]
            let value = parts.count > 1 ? String(parts[1].drop { $0 == " " }) : ""
            let isName = !name.isEmpty && name.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F && !"\"(),/:;<=>?@[\\]{}".utf8.contains($0) }
            guard isName, parts.count == 2, value.utf8.allSatisfy({ (0x20..<0x7F).contains($0) }) else {
                table.problem("headers", "must be lines such as \"X-Park: 7\"; one of them is not")
                return nil
            }
            guard !own.contains(name.lowercased()) else {
                table.problem("headers", "\(name) is meterd's own; remove it. Secrets go into token_file or password_file")
                return nil
            }
            return HTTPUpstream.Header(name: String(name), value: value)
        }
    }
}
