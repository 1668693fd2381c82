import Host
import NIOPosix
import TestSupport
import Testing
import Uplink

/// A broker is reached, TLS and all, without logging in.
@Suite(.enabled(if: Broker.isInstalled && RealServer.path("openssl") != nil, "mosquitto, mosquitto-clients or openssl is not installed"))
struct ReachTests {
    @Test func theHandshakeIsHeldAgainstAuthorityAndHostAndNobodyLogsIn() async throws {
        let folder = try TemporaryFolder.make("reach")
        defer { TemporaryFolder.remove(folder) }
        let made = Certificates(folder: folder)
        for name in ["ca", "other"] { try await made.authority(name) }
        try await made.certificate("server", by: "ca", for: "DNS:localhost")
        let options =
            "allow_anonymous true\nuser root\nlog_type all\nlog_dest stderr\ncafile \(folder)/ca.pem\ncertfile \(folder)/server.pem\nkeyfile \(folder)/server.key"
        try await Broker.run(options, listen: nil) { broker in
            func reach(_ host: String, _ authority: String?, tls: Bool = true) async -> UpstreamProbe.Outcome {
                var settings = broker.settings()
                settings.host = host
                settings.tls = tls ? MQTTSettings.TLS(authorities: authority.map { "\(folder)/\($0).pem" }) : nil
                return await UpstreamProbe.reach(settings, eventLoops: MultiThreadedEventLoopGroup.singleton, time: SystemTime())
            }
            #expect(await reach("localhost", "ca") == .answers("it can be reached, TLS is good"))
            #expect(await reach("127.0.0.1", "ca", tls: false) == .answers("it can be reached"))
            for (host, authority, words) in [
                ("localhost", "other", "cannot be verified"), ("localhost", nil, "cannot be verified"),
                ("127.0.0.1", "ca", "another host name"), ("localhost", "none", "none.pem"),
                // A label beyond 63 bytes is refused without asking a name server.
                (String(repeating: "x", count: 64) + ".invalid", "ca", "cannot be resolved"),
            ] {
                guard case .fails(let sentence) = await reach(host, authority) else {
                    Issue.record("\(host) by \(authority ?? "the system") is let through")
                    continue
                }
                #expect(sentence.contains(words), "\(sentence)")
            }
            #expect(!broker.server.process.errors.contains("New client connected"))
        }
        // A port that does not speak TLS.
        try await Broker.run(listen: nil) { broker in
            var settings = broker.settings()
            settings.tls = MQTTSettings.TLS(authorities: folder + "/ca.pem")
            let outcome = await UpstreamProbe.reach(settings, eventLoops: MultiThreadedEventLoopGroup.singleton, time: SystemTime())
            guard case .fails = outcome else {
                Issue.record("plain text is taken for TLS")
                return
            }
        }
    }
}
