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
        let program = try #require(RealServer.path("nginx"))
        try await RealServer.run(program, ready: nil) { port, own in
            let places = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map { "\($0)_temp_path \(own)/\($0);" }.joined(separator: " ")
            let text = """
                daemon off; \(getuid() == 0 ? "user root;" : "") pid \(own)/nginx.pid; error_log \(own)/error.log; worker_processes 1;
                events {}
                http {
                  access_log off; \(places)
                  server {
                    listen 127.0.0.1:\(port) ssl;
                    ssl_certificate \(self.folder)/\(certificate).pem; ssl_certificate_key \(self.folder)/\(certificate).key;
                    \(clients ? "ssl_client_certificate \(self.folder)/ca.pem; ssl_verify_client on;" : "")
                    location / { if ($http_authorization != "Bearer right") { return 401; } return 200; }
                  }
                }
                """
            try TextFile.write(text, to: own + "/nginx.conf")
            return ["-c", own + "/nginx.conf", "-e", own + "/error.log"]
        } _: {
            try await body($0.port)
        }
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
            expect(try await answer(port, link("ca")), "client certificate")
        }
    }
}
