import AsyncHTTPClient
import Glibc
import Host
import Metering
import TestSupport
import Testing

@testable import Uplink

/// What reaches the wire by way of a real proxy, and what does not.
@Suite(
    .serialized,
    .enabled(
        if: ["tinyproxy", "nginx", "openssl"].allSatisfy { RealServer.path($0) != nil }, "tinyproxy, nginx or openssl is not installed"))
final class ProxyTests {
    private let folder: String

    init() throws { folder = try TemporaryFolder.make("proxy") }
    deinit { TemporaryFolder.remove(folder) }

    private func tinyproxy(_ options: String = "", _ body: (HTTPLink.Proxy, RealServer) async throws -> Void) async throws {
        let program = try #require(RealServer.path("tinyproxy"))
        try await RealServer.run(program, ready: nil) { port, own in
            let text = """
                Port \(port)
                Listen 127.0.0.1
                Allow 127.0.0.1
                Timeout 60
                MaxClients 10
                LogFile "\(own)/log"
                LogLevel Connect
                \(options)
                """
            try TextFile.write(text, to: own + "/tinyproxy.conf")
            return ["-d", "-c", own + "/tinyproxy.conf"]
        } _: {
            try await body(HTTPLink.Proxy(host: "127.0.0.1", port: Int($0.port)), $0)
        }
    }

    private func answer(_ url: String, _ link: HTTPLink) async throws -> Settlement {
        let client = HTTPClient(configuration: HTTPUpstream.clientConfiguration)
        let settings = HTTPUpstream.Settings(url: url, link: link, timeout: .seconds(60), version: "1.2.3")
        let upstream = HTTPUpstream(settings, client: client, time: SystemTime())
        let answer = await upstream.send(Plant.batch(1...3))
        await upstream.close()
        try await client.shutdown()
        return answer
    }

    private func expect(_ settlement: Settlement, _ words: String..., sourceLocation: SourceLocation = #_sourceLocation) {
        switch settlement {
        case .unavailable(let reason, _), .unauthorized(let reason):
            for words in words { #expect(reason.contains(words), "\(reason)", sourceLocation: sourceLocation) }
        default: Issue.record("\(settlement)", sourceLocation: sourceLocation)
        }
    }

    private func expectTaken(_ settlement: Settlement, sourceLocation: SourceLocation = #_sourceLocation) {
        #expect(settlement == .accepted(rejected: []), sourceLocation: sourceLocation)
    }

    @Test func plainHTTPGoesThroughTheProxyAndNowhereElse() async throws {
        try await WireServer.serve(.status("200 OK")) { server in
            try await tinyproxy { proxy, tiny in
                expectTaken(try await answer(server.url, HTTPLink(proxy: proxy)))
                #expect(server.requests.count == 1)
                #expect(TextFile.content(tiny.folder + "/log").contains("CONNECT 127.0.0.1:\(server.port)"))
                #expect(server.requests[0].headers["idempotency-key"] == "gw-017/2f6e/1-3")
            }
            // Without it there is no other way.
            let gone = HTTPLink.Proxy(host: "127.0.0.1", port: Int(freePort()))
            expect(try await answer(server.url, HTTPLink(proxy: gone)), "nothing listens", "through the proxy 127.0.0.1, port \(gone.port)")
            try await tinyproxy("BasicAuth meterd secret") { proxy, _ in
                expect(try await answer(server.url, HTTPLink(proxy: proxy)), "the proxy wants a user name and password")
            }
            #expect(server.requests.count == 1)
        }
    }

    /// The proxy sees a tunnel: the certificate is checked end to end, and what it holds is that of the receiver.
    @Test func theReceiversCertificateIsCheckedThroughTheProxy() async throws {
        let made = Certificates(folder: folder)
        for name in ["server", "other"] { try await made.own(name, for: "IP:127.0.0.1") }
        try await Nginx(certificate: folder + "/server", location: "return 200;").run { port in
            let url = "https://127.0.0.1:\(port)/v1/batches"
            let trusted = folder + "/server.pem"
            try await tinyproxy("ConnectPort \(port)") { proxy, server in
                expectTaken(try await answer(url, HTTPLink(authorities: trusted, proxy: proxy)))
                #expect(TextFile.content(server.folder + "/log").contains("CONNECT 127.0.0.1:\(port)"))
                expect(try await answer(url, HTTPLink(authorities: folder + "/other.pem", proxy: proxy)), "cannot be verified")
                expect(try await answer(url, HTTPLink(proxy: proxy)), "cannot be verified")
            }
            try await tinyproxy("ConnectPort 443") { proxy, _ in
                expect(try await answer(url, HTTPLink(authorities: trusted, proxy: proxy)), "the proxy refuses the connection")
            }
            try await tinyproxy("ConnectPort \(port)\nBasicAuth meterd secret") { proxy, _ in
                expect(
                    try await answer(url, HTTPLink(authorities: trusted, proxy: proxy)), "the proxy wants a user name and password")
            }
        }
    }

    @Test func aReceiverThatTheProxyDoesNotReachIsTriedAgain() async throws {
        try await tinyproxy { proxy, _ in
            guard case .unavailable = try await answer("http://127.0.0.1:\(freePort())/", HTTPLink(proxy: proxy)) else {
                Issue.record("taken by nobody")
                return
            }
        }
    }

    @Test func headerFieldsOfTheConfigAreOnEachRequestOnce() async throws {
        let rule = WireServer.Reply.rule { _ in .status("200 OK") }
        try await WireServer.serve(rule) { server in
            let client = HTTPClient(configuration: HTTPUpstream.clientConfiguration)
            let headers = [("X-Park", "7"), ("x-tenant", "a b"), ("User-Agent", "other/1"), ("Accept", "*/*")]
                .map { HTTPUpstream.Header(name: $0, value: $1) }
            for format in [HTTPUpstream.Format.json, .lineProtocol(LineProtocol())] {
                let settings = HTTPUpstream.Settings(url: server.url, format: format, headers: headers, version: "1.2.3")
                let upstream = HTTPUpstream(settings, client: client, time: SystemTime())
                #expect(await upstream.send(Plant.batch(1...3)) == .accepted(rejected: []))
            }
            try await client.shutdown()
            for request in server.requests {
                #expect(request.headers["x-park"] == "7" && request.headers["x-tenant"] == "a b")
                #expect(request.headers["user-agent"] == "other/1" && request.headers["accept"] == "*/*")
                #expect(request.names.count == Set(request.names).count, "\(request.names)")
            }
            #expect(server.requests.count == 2)
        }
    }
}
