import CMosquitto
import Glibc
import Host
import Metering
import TestSupport
import Testing

@testable import Uplink

/// Every fault of certificates fails closed, with a sentence that names the cause.
@Suite(
    .serialized,
    .enabled(if: Broker.isInstalled && RealServer.path("openssl") != nil, "mosquitto, mosquitto-clients or openssl is not installed"))
final class MQTTSecurityTests {
    private let folder: String

    init() throws { folder = try TemporaryFolder.make("tls") }
    deinit { TemporaryFolder.remove(folder) }

    private func answer(server: String, clients: Bool = false, tls: MQTTSettings.TLS?) async throws -> Settlement {
        var options =
            "allow_anonymous true\nuser root\ncafile \(folder)/ca.pem\ncertfile \(folder)/\(server).pem\nkeyfile \(folder)/\(server).key"
        if clients { options += "\nrequire_certificate true" }
        var result: Settlement?
        try await Broker.run(options, listen: nil) { broker in
            var settings = broker.settings()
            settings.tls = tls
            let final = settings
            result = try await withMQTT(final) { await $0.send(Plant.batch(1...3)) }
        }
        return try #require(result)
    }

    private func expect(_ settlement: Settlement, _ words: String, sourceLocation: SourceLocation = #_sourceLocation) {
        switch settlement {
        case .unavailable(let reason, _), .unauthorized(let reason):
            #expect(reason.contains(words), "\(reason)", sourceLocation: sourceLocation)
        default: Issue.record("\(settlement)", sourceLocation: sourceLocation)
        }
    }

    @Test func onlyTheRightCertificatesLetDataThrough() async throws {
        let made = Certificates(folder: folder)
        for name in ["ca", "other"] { try await made.authority(name) }
        try await made.certificate("server", by: "ca", for: "IP:127.0.0.1")
        try await made.certificate("elsewhere", by: "ca", for: "DNS:broker.example.org")
        try await made.certificate("expired", by: "ca", for: "IP:127.0.0.1", days: -1)
        try await made.certificate("client", by: "ca", for: "DNS:gw-017")
        try await made.certificate("stranger", by: "other", for: "DNS:gw-017")
        func tls(_ ca: String?, _ client: String? = nil) -> MQTTSettings.TLS {
            MQTTSettings.TLS(
                authorities: ca.map { "\(folder)/\($0).pem" }, certificate: client.map { "\(folder)/\($0).pem" },
                key: client.map { "\(folder)/\($0).key" })
        }
        #expect(try await answer(server: "server", tls: tls("ca")) == .accepted(rejected: []))
        #expect(try await answer(server: "server", clients: true, tls: tls("ca", "client")) == .accepted(rejected: []))
        expect(try await answer(server: "server", tls: tls("other")), "cannot be verified")
        expect(try await answer(server: "server", tls: tls(nil)), "cannot be verified")
        expect(try await answer(server: "expired", tls: tls("ca")), "cannot be verified")
        expect(try await answer(server: "elsewhere", tls: tls("ca")), "another host name")
        expect(try await answer(server: "server", clients: true, tls: tls("ca")), "a TLS client certificate")
        expect(try await answer(server: "server", clients: true, tls: tls("ca", "stranger")), "not trust our TLS")
        // Plain text to a TLS port.
        expect(try await answer(server: "server", tls: nil), "closed the connection")
        // A certificate file that is not there, or is none, never means plain text.
        expect(try await answer(server: "server", tls: tls("nowhere")), "nowhere.pem cannot be read")
        try TextFile.write("no certificate\n", to: folder + "/rubbish.pem")
        expect(try await answer(server: "server", tls: tls("rubbish")), "rubbish.pem holds no certificate in PEM form")
        try await made.lock("client", as: "locked")
        for (key, words) in [("stranger", "do not belong together"), ("locked", "locked.key holds no private key in PEM form")] {
            var pair = tls("ca", "client")
            pair.key = "\(folder)/\(key).key"
            expect(try await answer(server: "server", clients: true, tls: pair), words)
        }
    }

    /// The library begins the handshake while it connects, and a broker that refuses us may hang up within that.
    @Test func aRefusalDuringTheConnectingIsToldAsOne() {
        let (none, own) = (MQTTSettings.TLS(), MQTTSettings.TLS(certificate: "/c", key: "/k"))
        func words(_ tls: MQTTSettings.TLS?, _ errno: Int32, _ log: String? = nil) -> String {
            MQTTFault.opening(Int32(MOSQ_ERR_ERRNO.rawValue), errno: errno, log: log, tls: tls, host: "h").words
        }
        #expect(words(none, EPROTO).contains("a TLS client certificate"))
        #expect(words(own, EPROTO).contains("not trust our TLS client certificate"))
        #expect(words(own, EPROTO, "OpenSSL Error[0]: tlsv1 alert unknown ca") == "the broker does not trust our TLS certificate")
        #expect(words(nil, ECONNREFUSED).contains("nothing listens"))
        #expect(words(own, EHOSTUNREACH) == "no route to host")
    }

    @Test func tlsToAPlainPortIsToldAsThat() async throws {
        try await Broker.run { broker in
            var settings = broker.settings()
            settings.tls = MQTTSettings.TLS()
            let final = settings
            expect(try await withMQTT(final) { await $0.send(Plant.batch(1...3)) }, "TLS")
            #expect(broker.heard.isEmpty)
        }
    }
}
