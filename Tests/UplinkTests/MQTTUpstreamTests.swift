import FoundationEssentials
import Glibc
import Host
import Metering
import TestSupport
import Testing

@testable import Uplink

/// A mosquitto of the test's own, and what it has heard.
struct Broker {
    let server: RealServer
    /// None when the test does not listen.
    let listener: ChildProcess?

    static let program = RealServer.path("mosquitto")
    static let subscriber = RealServer.path("mosquitto_sub")
    static var isInstalled: Bool { program != nil && subscriber != nil }

    /// - Parameters:
    ///   - options: lines for its configuration; FOLDER stands for its folder.
    ///   - listen: more arguments for the listener; nil for none at all.
    static func run(_ options: String = "allow_anonymous true", listen: [String]? = [], _ body: (Broker) async throws -> Void) async throws
    {
        let (program, subscriber) = (try #require(program), try #require(subscriber))
        try await RealServer.run(program, ready: nil) { port, folder in
            let text = "listener \(port) 127.0.0.1\n\(options.replacing("FOLDER", with: folder))\n"
            try TextFile.write(text, to: folder + "/mosquitto.conf")
            return ["-c", folder + "/mosquitto.conf"]
        } _: { server in
            let listener = try listen.map {
                try ChildProcess(
                    "/usr/bin/stdbuf",
                    ["-oL", subscriber, "-h", "127.0.0.1", "-p", "\(server.port)", "-t", "#", "-q", "1", "-F", "%r %t %p", "-d"] + $0,
                    folder: server.folder)
            }
            defer { listener?.signal(SIGTERM) }
            if let listener, listen == [] { _ = try await listener.waitForLine(within: .seconds(60)) { $0.contains("SUBACK") } }
            try await body(Broker(server: server, listener: listener))
        }
    }

    func settings(_ version: MQTTSettings.Version = .v5, timeout: Duration = .seconds(60)) -> MQTTSettings {
        MQTTSettings(host: "127.0.0.1", port: server.port, version: version, clientID: "meterd-test", timeout: timeout)
    }

    /// Topics and payloads heard so far, with `1` in front of what the broker had kept.
    var heard: [String] {
        // The last line may not be whole yet.
        (listener?.output ?? "").split(separator: "\n", omittingEmptySubsequences: false).dropLast().map(String.init)
            .filter { $0.hasPrefix("0 ") || $0.hasPrefix("1 ") }
    }

    func hear(_ count: Int, _ fits: (String) -> Bool) async throws -> [String] {
        let end = ContinuousClock.now + .seconds(60)
        while ContinuousClock.now < end {
            let found = heard.filter(fits)
            if found.count >= count { return found }
            try await Task.sleep(for: .milliseconds(10))
        }
        throw ChildProcess.SpawnError(description: "heard only: \(heard)")
    }
}

/// An upstream that is closed at the end.
func withMQTT<Result: Sendable>(_ settings: MQTTSettings, _ body: (MQTTUpstream) async throws -> Result) async throws -> Result {
    let upstream = MQTTUpstream(settings, time: SystemTime())
    do {
        let result = try await body(upstream)
        await upstream.close()
        return result
    } catch {
        await upstream.close()
        throw error
    }
}

@Suite(.serialized, .enabled(if: Broker.isInstalled, "mosquitto and mosquitto-clients are not installed"))
struct MQTTUpstreamTests {
    @Test(arguments: MQTTSettings.Version.allCases)
    func aRecordIsAMessageToItsDevice(version: MQTTSettings.Version) async throws {
        try await Broker.run { broker in
            try await withMQTT(broker.settings(version)) { upstream in
                #expect(await upstream.send(Plant.batch(1041...1240)) == .accepted(rejected: []))
                #expect(await upstream.send(Plant.batch(1241...1242)) == .accepted(rejected: []))
            }
            let records = try await broker.hear(202) { $0.contains("/main ") }
            #expect(
                records[0]
                    == #"0 meterd/gw-017/main {"gateway":"gw-017","site":"park-2/factory-12","journal":"2f6e","seq":1041,"device":"main","time":1795459201041,"clock":"S","values":{"voltage_l1":230.4,"energy_active_import":1041}}"#
            )
            #expect(records.count == 202)
            let states = try await broker.hear(2) { $0.contains("/availability ") }
            #expect(states == ["0 meterd/gw-017/availability online", "0 meterd/gw-017/availability offline"])
        }
    }

    @Test func aGatewayThatVanishesIsSaidToBeOffline() async throws {
        try await Broker.run { broker in
            // A session that nobody closes, cut in the middle by the broker's keep-alive: here, by the kernel.
            let settings = broker.settings()
            let session = try MQTTSession(settings, will: "meterd/gw-017/availability", now: SystemTime().wall())
            let line = MQTTLine(name: "test")
            await line.open(session)
            try await session.opened()
            let online = MQTTMessage(topic: "meterd/gw-017/availability", payload: Array("online".utf8), retained: true)
            #expect(await session.publish([online]) == [nil])
            session.breakOff()
            let states = try await broker.hear(2) { $0.contains("/availability ") }
            #expect(states.last == "0 meterd/gw-017/availability offline")
            await line.close(session)
        }
    }

    @Test func aBrokerThatGoesAndComesBackLosesNothing() async throws {
        let absent = try await withMQTT(MQTTSettings(host: "127.0.0.1", port: freePort(), clientID: "meterd-test")) {
            await $0.send(Plant.batch(1...3))
        }
        #expect(absent == .unavailable(reason: "connection refused: nothing listens at that port", retryAfter: nil))
        try await Broker.run { broker in
            try await withMQTT(broker.settings()) { upstream in
                var process = broker.server.process
                for round in 1...3 {
                    let before = await upstream.send(Plant.batch(1...3))
                    #expect(before == .accepted(rejected: []), "round \(round)")
                    process.signal(SIGKILL)
                    _ = await process.exit()
                    let without = await upstream.send(Plant.batch(4...6))
                    guard case .unavailable = without else {
                        Issue.record("round \(round): \(without)")
                        return
                    }
                    process = try ChildProcess(
                        try #require(Broker.program), ["-c", broker.server.folder + "/mosquitto.conf"], folder: broker.server.folder)
                    try await RealServer.listening(broker.server.port, process)
                }
                #expect(await upstream.send(Plant.batch(4...6)) == .accepted(rejected: []))
                process.signal(SIGTERM)
            }
        }
    }

    @Test func aBrokerThatNeverAnswersIsGivenUp() async throws {
        try await WireServer.serve(.hang) { server in
            let settings = MQTTSettings(host: "127.0.0.1", port: server.port, clientID: "meterd-test", timeout: .milliseconds(200))
            let answer = try await withMQTT(settings) { await $0.send(Plant.batch(1...3)) }
            #expect(answer == .unavailable(reason: "no answer within 0.2 s", retryAfter: nil))
        }
    }

    @Test func cancellingEndsABatchUnderWay() async throws {
        try await WireServer.serve(.hang) { server in
            try await withMQTT(MQTTSettings(host: "127.0.0.1", port: server.port, clientID: "meterd-test")) { upstream in
                let sending = Task { await upstream.send(Plant.batch(1...1)) }
                sending.cancel()
                #expect(await sending.value == .unavailable(reason: "stopped before an answer came", retryAfter: nil))
            }
        }
    }

    /// What the broker acknowledged before the rest went wrong is not sent with that rest; who sets the output back gets it again.
    @Test func whatIsRewoundIsSentAgainThoughItWasAcknowledged() async throws {
        let isBroken = Lock(true)
        let rule: @Sendable ([UInt8]) -> WireBroker.Answer = { payload in
            isBroken.withLock { $0 } && String(decoding: payload, as: UTF8.self).contains(#""seq":4"#) ? .hangUp : .take
        }
        let payloads = try await WireBroker.serve(rule) { broker in
            var settings = MQTTSettings(host: "127.0.0.1", port: broker.port, clientID: "meterd-test", timeout: .seconds(60))
            settings.availability = nil
            try await withMQTT(settings) { upstream in
                guard case .unavailable = await upstream.send(Plant.batch(1...6)) else {
                    Issue.record("the broker hung up")
                    return
                }
                isBroken.withLock { $0 = false }
                #expect(await upstream.beginRewind() == nil)
                await upstream.endRewind()
                #expect(await upstream.send(Plant.batch(1...6)) == .accepted(rejected: []))
            }
            return broker.payloads
        }
        let texts = payloads.map { String(decoding: $0, as: UTF8.self) }
        #expect(texts.count > 6)
        for (text, seq) in zip(texts.suffix(6), 1...) { #expect(text.contains("\"seq\":\(seq)"), "\(texts)") }
    }

    @Test(arguments: MQTTSettings.Version.allCases)
    func aWrongPasswordPausesAndTheRightOneIsReadAnew(version: MQTTSettings.Version) async throws {
        let maker = try #require(RealServer.path("mosquitto_passwd"))
        let secrets = try TemporaryFolder.make("secrets")
        defer { TemporaryFolder.remove(secrets) }
        let made = try await runToEnd(maker, ["-b", "-c", secrets + "/users", "roof", "open sesame"])
        #expect(made.exit == .code(0), "\(made.errors)")
        let options = "allow_anonymous false\npassword_file \(secrets)/users\nuser root"
        try await Broker.run(options, listen: ["-u", "roof", "-P", "open sesame"]) { broker in
            var settings = broker.settings(version)
            settings.login = MQTTSettings.Login(user: .name("roof"), password: TokenFile(path: secrets + "/password"))
            try await withMQTT(settings) { upstream in
                for wrong in [nil, "wrong\n"] {
                    if let wrong { try TextFile.write(wrong, to: secrets + "/password") }
                    guard case .unauthorized(let reason) = await upstream.send(Plant.batch(1...1)) else {
                        Issue.record("a wrong password was taken")
                        return
                    }
                    #expect(reason.contains("password"), "\(reason)")
                }
                try TextFile.write("open sesame\n", to: secrets + "/password")
                #expect(await upstream.send(Plant.batch(1...1)) == .accepted(rejected: []))
            }
        }
    }

    @Test func aRecordTooLargeForTheBrokerIsTheOnlyOneRejected() async throws {
        try await Broker.run("allow_anonymous true\nmax_packet_size 2000") { broker in
            var batch = Plant.batch(1...9)
            batch.records[4].readings[1] = Reading(point: 1, value: .text(String(repeating: "x", count: 3000)))
            let sent = batch
            let answer = try await withMQTT(broker.settings()) { await $0.send(sent) }
            guard case .accepted(let rejected) = answer else {
                Issue.record("\(answer)")
                return
            }
            #expect(rejected.map(\.seq) == [5])
            // MQTT 3.1.1 has no word for it: the broker hangs up. After three times the batch is cut.
            try await withMQTT(broker.settings(.v311)) { upstream in
                for _ in 1..<HangUps.perBatch {
                    guard case .unavailable = await upstream.send(sent) else {
                        Issue.record("not tried again")
                        return
                    }
                }
                guard case .tooLarge = await upstream.send(sent) else {
                    Issue.record("not cut")
                    return
                }
            }
        }
    }

    @Test func whatTheBrokerForbidsPausesInVersion5() async throws {
        let folder = try TemporaryFolder.make("acl")
        defer { TemporaryFolder.remove(folder) }
        try TextFile.write("topic read #\ntopic write other/#\n", to: folder + "/acl")
        try await Broker.run("allow_anonymous true\nuser root\nacl_file \(folder)/acl", listen: ["-q", "0"]) { broker in
            guard case .unauthorized(let reason) = try await withMQTT(broker.settings(), { await $0.send(Plant.batch(1...2)) }) else {
                Issue.record("a forbidden topic was taken")
                return
            }
            #expect(reason.contains("publish"), "\(reason)")
        }
    }

    @Test func thingsBoardGetsManyRecordsAMessageAndNoneTooLarge() async throws {
        try await Broker.run { broker in
            var settings = broker.settings(.v311)
            settings.layout = .thingsboard
            settings.availability = nil
            let sent = settings
            #expect(try await withMQTT(sent) { await $0.send(Plant.batch(1...2000)) } == .accepted(rejected: []))
            let messages = try await broker.hear(4) { $0.hasPrefix("0 v1/gateway/telemetry ") }
            #expect(messages.allSatisfy { $0.utf8.count < 65_536 })
            let start =
                #"0 v1/gateway/telemetry {"gw-017.main":[{"ts":1795459200001,"values":{"seq":1,"voltage_l1":230.4,"energy_active_import":1}},"#
            #expect(messages[0].hasPrefix(start))
            var encoder = MQTTEncoder(sent)
            #expect(encoder.parcels(Plant.batch(1...2000)).flatMap(\.seqs) == Array(1...2000))
            #expect(messages.allSatisfy { (try? JSONDecoder().decode(Anything.self, from: Data($0.split(separator: " ")[2].utf8))) != nil })
        }
    }

    @Test func homeAssistantIsToldOfEachPointOnce() async throws {
        try await Broker.run { broker in
            var settings = broker.settings()
            settings.discovery = "homeassistant"
            try await withMQTT(settings) { upstream in
                for seq in Int64(1)...3 { #expect(await upstream.send(Plant.batch(seq...seq)) == .accepted(rejected: [])) }
            }
            _ = try await broker.hear(3) { $0.contains("/main ") }
            let told = broker.heard.filter { $0.contains(" homeassistant/") }
            #expect(told.count == 2)
            #expect(
                told[0]
                    == #"0 homeassistant/sensor/gw-017_main/voltage_l1/config {"name":"voltage_l1","unique_id":"meterd_gw-017_main_voltage_l1","state_topic":"meterd/gw-017/main","value_template":"{{ value_json['values']['voltage_l1'] | default(this.state) }}","unit_of_measurement":"V","device_class":"voltage","state_class":"measurement","availability_topic":"meterd/gw-017/availability","device":{"identifiers":["meterd_gw-017_main"],"name":"main","model":"test-meter"}}"#
            )
        }
    }

    @Test func aNameBringsNoLevelAndNoWildcardIntoATopic() {
        let topic = MQTTSettings.topic("a/{gateway}/{device}/{role}", gateway: "x/+", device: "#", role: "grid")
        #expect(topic == "a/x__/_/grid")
    }
}

private struct Anything: Decodable {
    init(from decoder: any Decoder) throws {}
}
