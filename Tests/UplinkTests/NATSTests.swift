import Glibc
import Host
import Metering
import TestSupport
import Testing

@testable import Uplink

/// A nats-server of the test's own, with its MQTT door open.
enum NATS {
    static let program = RealServer.path("nats-server")

    /// - Parameter options: lines for its configuration.
    static func run(_ options: String = "", _ body: (MQTTSettings) async throws -> Void) async throws {
        try await RealServer.run(try #require(program), ready: nil) { port, folder in
            let text = """
                server_name: meterd-test
                listen: "127.0.0.1:\(freePort())"
                jetstream { store_dir: "\(folder)/jetstream" }
                mqtt { listen: "127.0.0.1:\(port)" }
                \(options)
                """
            try TextFile.write(text, to: folder + "/nats.conf")
            return ["-c", folder + "/nats.conf"]
        } _: {
            // Debian's speaks MQTT 3.1.1 alone.
            try await body(
                MQTTSettings(host: "127.0.0.1", port: $0.port, version: .v311, clientID: "meterd-test", timeout: .seconds(60)))
        }
    }
}

/// What NATS does in another way than mosquitto.
@Suite(.serialized, .enabled(if: NATS.program != nil && Broker.subscriber != nil, "nats-server or mosquitto-clients is not installed"))
struct NATSTests {
    @Test func whatNATSTakesItHandsOn() async throws {
        try await NATS.run { settings in
            let subscriber = try #require(Broker.subscriber)
            let listener = try ChildProcess(
                "/usr/bin/stdbuf",
                ["-oL", subscriber, "-h", "127.0.0.1", "-p", "\(settings.port)", "-t", "meterd/#", "-q", "1", "-F", "%t %p", "-d"])
            defer { listener.signal(SIGTERM) }
            _ = try await listener.waitForLine(within: .seconds(60)) { $0.contains("SUBACK") }
            let answer = try await withMQTT(settings) { await $0.send(Plant.batch(1...300)) }
            #expect(answer == .accepted(rejected: []))
            _ = try await listener.waitForLine(within: .seconds(60)) { $0.hasPrefix("meterd/gw-017/main ") && $0.contains(#""seq":300,"#) }
            let records = listener.output.split(separator: "\n").filter { $0.hasPrefix("meterd/gw-017/main ") }
            #expect(records.count == 300)
            _ = try await listener.waitForLine(within: .seconds(60)) { $0 == "meterd/gw-017/availability offline" }
        }
    }

    @Test func version5IsRefusedAndSaidToBeTheReason() async throws {
        try await NATS.run { settings in
            var settings = settings
            settings.version = .v5
            guard case .unauthorized(let reason) = try await withMQTT(settings, { await $0.send(Plant.batch(1...1)) }) else {
                Issue.record("taken in a version that it does not have")
                return
            }
            #expect(reason.contains("check the output's version"), "\(reason)")
        }
    }

    /// It divides levels by full stops, and ends the connection over a topic with one in it: over the last will before it lets us in, so that
    /// no record is blamed; without a will over the first message.
    @Test func aTopicWithAFullStopIsNoFaultOfTheRecords() async throws {
        try await NATS.run { settings in
            var batch = Plant.batch(1...9)
            batch.gateway = "gw-017.example"
            let sent = batch
            try await withMQTT(settings) { upstream in
                for _ in 0..<3 * HangUps.perBatch {
                    let answer = await upstream.send(sent)
                    guard case .unavailable = answer else {
                        Issue.record("\(answer)")
                        return
                    }
                }
                #expect(await upstream.send(Plant.batch(1...9)) == .accepted(rejected: []))
            }
            var silent = settings
            silent.availability = nil
            try await withMQTT(silent) { upstream in
                // It may close a new connection before it has forgotten the old one: such a time does not count.
                for _ in 0..<10 * HangUps.perBatch {
                    switch await upstream.send(sent) {
                    case .unavailable: continue
                    case .tooLarge: return
                    case let answer:
                        Issue.record("\(answer)")
                        return
                    }
                }
                Issue.record("never cut")
            }
        }
    }
}
