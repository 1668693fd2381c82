import FoundationEssentials
import TestSupport
import Testing

@testable import Uplink

/// A receiver, or a proxy before it, that quotes the request in its answer shows nobody what we came with.
@Suite final class QuotedRequestTests {
    private let folder: String

    init() throws { folder = try TemporaryFolder.make("quoted") }
    deinit { TemporaryFolder.remove(folder) }

    /// What a batch's fate is put down to, at a receiver that answers so.
    private func reasons(
        _ reply: @escaping @Sendable (WireServer.Request) -> WireServer.Reply, format: HTTPUpstream.Format = .json,
        credentials: HTTPUpstream.Credentials? = nil, headers: [HTTPUpstream.Header] = [], query: String = ""
    ) async throws -> [String] {
        let settlement = try await WireServer.serve(.rule(reply)) { server in
            try await withUpstream(server.url + query, format: format, credentials: credentials, headers: headers) {
                await $0.send(Plant.batch(1041...1043))
            }
        }
        switch settlement {
        case .accepted(let rejected): return rejected.map(\.reason)
        case .refused(let reason), .tooLarge(let reason), .unauthorized(let reason), .unavailable(let reason, _): return [reason]
        }
    }

    private func secret(_ text: String, _ name: String = "token") throws -> TokenFile {
        try writeText(text + "\n", to: "\(folder)/\(name)")
        return TokenFile(path: "\(folder)/\(name)")
    }

    @Test(arguments: ["400 Bad Request", "401 Unauthorized", "404 Not Found", "413 Too Large", "302 Found", "503 Unavailable"])
    func aReceiverThatQuotesTheRequestShowsNoSecret(status: String) async throws {
        let token = "abc+DEF/0123=="
        let password = try secret("pa ss/w\u{f6}rd\"1", "password")
        let login = Data("me:pa ss/w\u{f6}rd\"1".utf8).base64EncodedString()
        let key = HTTPUpstream.Header(name: "X-Api-Key", value: "key/77")
        for credentials in [HTTPUpstream.Credentials.token(try secret(token)), .password(password, user: "me")] {
            let said = try await reasons(
                { request in
                    let fields = ["authorization", "x-api-key"].map { "\($0): \(request.headers[$0] ?? "")" }
                    return .status(status, body: "\(request.line)\r\n\(fields.joined(separator: "\r\n"))\r\npa ss/w\u{f6}rd\"1")
                }, credentials: credentials, headers: [key], query: "?db=meters&code=q%2F19")
            #expect(said.count == 1)
            for reason in said {
                #expect(reason.hasPrefix("the receiver answered \(status.prefix(3)): POST /v1/batches?db=meters&code=*** HTTP/1.1"))
                #expect(reason.contains("authorization: *** x-api-key: ***"), "\(reason)")
                for word in [token, login, "key/77", "q%2F19"] { #expect(!reason.contains(word), "\(reason)") }
            }
            if case .password = credentials { #expect(!said[0].contains("ss/w"), "\(said)") }
        }
    }

    /// JSON may be written with escapes, and each encoder has its own.
    @Test func noEscapeHidesASecretFromTheMask() async throws {
        let bodies = [#"{"sent":"abc+DEF\/012\""}"#, #"{"sent":"abc\u002bDEF\u002F012\u0022"}"#, #"{"sent":"abc\u002BDEF/012\""}"#]
        let token = try secret("abc+DEF/012\"")
        for body in bodies {
            let said = try await reasons({ _ in .status("422 No", body: body) }, credentials: .token(token))
            #expect(said == [#"the receiver answered 422: {"sent":"***"}"#])
        }
    }

    @Test func reasonsOfSingleRecordsShowNoneEither() async throws {
        let token = try secret("s3cret")
        let rejected = #"{"rejected": [{"seq": 1042, "reason": "Bearer s3cret may not write"}, {"seq": 1043, "reason": "nor s3cret"}]}"#
        let json = try await reasons({ _ in .status("200 OK", body: rejected) }, credentials: .token(token))
        #expect(json == ["*** may not write", "nor ***"])
        let influx = HTTPUpstream.Format.lineProtocol(LineProtocol())
        let named = #"{"error": "partial write", "data": [{"line_number": 2, "error_message": "s3cret: no"}, {"line_number": 3}]}"#
        let dropped = #"{"error": "partial write of s3cret dropped=3"}"#
        for (body, expected) in [
            (named, ["***: no", "partial write"]), (dropped, Array(repeating: "partial write of *** dropped=3", count: 3)),
        ] {
            let said = try await reasons({ _ in .status("400 No", body: body) }, format: influx, credentials: .token(token))
            #expect(said == expected)
        }
        let whole = try await reasons(
            { _ in .status("400 No", body: #"{"error": "database is required by s3cret"}"#) }, format: influx, credentials: .token(token))
        #expect(whole.count == 1 && whole[0].contains("required by ***"), "\(whole)")
    }

    /// What is kept of an answer ends somewhere, and no part of a secret is left there.
    @Test(arguments: [390, 395, 399, 400]) func theCutLeavesNoPartOfASecret(before: Int) async throws {
        let body = String(repeating: "x", count: before) + "s3cret-t0ken and more"
        let said = try await reasons({ _ in .status("400 No", body: body) }, credentials: .token(try secret("s3cret-t0ken")))
        let shown = String(repeating: "x", count: before) + (before < 400 ? "***" : "")
        #expect(said.count == 1 && said[0].hasPrefix("the receiver answered 400: \(shown)") && !said[0].contains("s3c"), "\(said)")
    }

    @Test func fourCharactersAreASecretAndThreeAreNot() async throws {
        let short = try await reasons(
            { _ in .status("400 No", body: "Bearer abc: the abc is bad") }, credentials: .token(try secret("abc")))
        #expect(short == ["the receiver answered 400: ***: the abc is bad"])
        let long = try await reasons(
            { _ in .status("400 No", body: "Bearer abcd: the abcd is bad") }, credentials: .token(try secret("abcd")))
        #expect(long == ["the receiver answered 400: ***: the *** is bad"])
    }
}
