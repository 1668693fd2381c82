import AsyncHTTPClient
import Glibc
import Host
import Metering
import TestSupport
import Testing
import Uplink

/// Every fault of certificates, tokens and ports fails closed before nginx, with a sentence that names the cause.
@Suite(
    .serialized, .enabled(if: RealServer.path("nginx") != nil && RealServer.path("openssl") != nil, "nginx or openssl is not installed"))
final class HTTPSecurityTests {
    private let folder: String

    init() throws { folder = try TemporaryFolder.make("https") }
    deinit { TemporaryFolder.remove(folder) }

    /// nginx with this certificate; it takes batches with the token `right`.
    private func nginx(_ certificate: String, clients: Bool = false, _ body: (UInt16) async throws -> Void) async throws {
        let server = Nginx(
            certificate: "\(folder)/\(certificate)", clients: clients ? "\(folder)/ca.pem" : nil,
            location: #"if ($http_authorization != "Bearer right") { return 401; } return 200;"#)
        try await server.run(body)
    }

    private func answer(_ port: UInt16, _ link: HTTPLink?, scheme: String = "https") async throws -> Settlement {
        let client = HTTPClient(configuration: HTTPUpstream.clientConfiguration)
        let settings = HTTPUpstream.Settings(
            url: "\(scheme)://127.0.0.1:\(port)/v1/batches", credentials: .token(TokenFile(path: folder + "/token")), link: link,
            timeout: .seconds(60), version: "1.2.3")
        let upstream = HTTPUpstream(settings, client: client, time: SystemTime())
        let answer = await upstream.send(Plant.batch(1...3))
        await upstream.close()
        try await client.shutdown()
        return answer
    }

    private func expect(_ settlement: Settlement, _ words: String, sourceLocation: SourceLocation = #_sourceLocation) {
        switch settlement {
        case .unavailable(let reason, _), .unauthorized(let reason):
            #expect(reason.contains(words), "\(reason)", sourceLocation: sourceLocation)
        default: Issue.record("\(settlement)", sourceLocation: sourceLocation)
        }
    }

    @Test func onlyTheRightCertificatesAndTheRightTokenLetDataThrough() async throws {
        let made = Certificates(folder: folder)
        for name in ["ca", "other"] { try await made.authority(name) }
        try await made.certificate("server", by: "ca", for: "IP:127.0.0.1")
        try await made.certificate("elsewhere", by: "ca", for: "DNS:ingest.example.org")
        try await made.certificate("expired", by: "ca", for: "IP:127.0.0.1", days: -1)
        try await made.certificate("client", by: "ca", for: "DNS:gw-017")
        try await made.certificate("stranger", by: "other", for: "DNS:gw-017")
        try await made.lock("client", as: "locked")
        func link(_ ca: String, _ client: String? = nil) -> HTTPLink {
            HTTPLink(
                authorities: "\(folder)/\(ca).pem", certificate: client.map { "\(folder)/\($0).pem" },
                key: client.map { "\(folder)/\($0).key" })
        }
        try TextFile.write("right\n", to: folder + "/token")
        try await nginx("server") { port in
            #expect(try await answer(port, link("ca")) == .accepted(rejected: []))
            expect(try await answer(port, link("other")), "cannot be verified")
            expect(try await answer(port, nil), "cannot be verified")
            expect(try await answer(port, link("nowhere")), "nowhere.pem cannot be read")
            expect(try await answer(port, link("token")), "token.pem cannot be read")
            try TextFile.write("no certificate\n", to: folder + "/rubbish.pem")
            expect(try await answer(port, link("rubbish")), "rubbish.pem holds no certificate in PEM form")
            // A key is none either.
            expect(try await answer(port, HTTPLink(authorities: "\(folder)/ca.key")), "ca.key holds no certificate in PEM form")
            // Plain text to a TLS port.
            expect(try await answer(port, nil, scheme: "http"), "TLS")
            try TextFile.write("wrong\n", to: folder + "/token")
            expect(try await answer(port, link("ca")), "token")
            try TextFile.write("right\n", to: folder + "/token")
        }
        try await nginx("elsewhere") { expect(try await answer($0, link("ca")), "another host name") }
        try await nginx("expired") { expect(try await answer($0, link("ca")), "out of date") }
        try await nginx("server", clients: true) { port in
            #expect(try await answer(port, link("ca", "client")) == .accepted(rejected: []))
            expect(try await answer(port, link("ca")), "wants a TLS client certificate")
            expect(try await answer(port, link("ca", "stranger")), "does not trust our TLS client certificate")
            func pair(_ certificate: String, _ key: String) -> HTTPLink {
                HTTPLink(authorities: "\(folder)/ca.pem", certificate: "\(folder)/\(certificate)", key: "\(folder)/\(key)")
            }
            expect(try await answer(port, pair("client.pem", "stranger.key")), "do not belong together")
            expect(try await answer(port, pair("client.pem", "locked.key")), "locked.key holds no private key in PEM form")
            expect(try await answer(port, pair("rubbish.pem", "client.key")), "rubbish.pem holds no certificate")
            expect(try await answer(port, pair("client.pem", "rubbish.pem")), "rubbish.pem holds no private key")
        }
    }
}
