import FoundationEssentials
import Glibc
import Host
import Metering
import TestSupport
import Testing

@testable import Uplink

/// The presets of the two clouds, before a mosquitto that is as strict as they are: certificates, names, the size of messages, the one
/// topic.
@Suite(
    .serialized,
    .enabled(if: Broker.isInstalled && RealServer.path("openssl") != nil, "mosquitto, mosquitto-clients or openssl is not installed"))
final class CloudTests {
    private let folder: String

    init() throws { folder = try TemporaryFolder.make("cloud") }
    deinit { TemporaryFolder.remove(folder) }

    private func options(_ more: String) -> String {
        "user root\ncafile \(folder)/ca.pem\ncertfile \(folder)/server.pem\nkeyfile \(folder)/server.key\n\(more)"
    }

    private func certificates() async throws {
        let made = Certificates(folder: folder)
        try await made.authority("ca")
        try await made.certificate("server", by: "ca", for: "IP:127.0.0.1")
        try await made.certificate("thing", by: "ca", for: "DNS:gw-017")
    }

    /// Each message is a batch of our JSON contract, of at most so many bytes; no record is left out or comes twice.
    private func expectBatches(_ messages: [String], of seqs: ClosedRange<Int64>, topic: String, bytes: Int) throws {
        var arrived: [Int64] = []
        for message in messages {
            let payload = try #require(message.hasPrefix("0 \(topic) ") ? message.dropFirst(topic.count + 3) : nil)
            #expect(payload.utf8.count <= bytes)
            let sent = try JSONDecoder().decode(SentBatch.self, from: Data(payload.utf8))
            #expect(sent.version == 1 && sent.gateway == "gw-017" && sent.batch.id == "gw-017/2f6e/\(sent.batch.first)-\(sent.batch.last)")
            #expect(sent.readings.map(\.seq) == Array(sent.batch.first...sent.batch.last))
            arrived += sent.readings.map(\.seq)
        }
        #expect(arrived.sorted() == Array(seqs))
    }

    @Test func awsGetsBatchesBelowItsLimit() async throws {
        try await certificates()
        let heard = ["--cafile", folder + "/ca.pem", "--cert", folder + "/thing.pem", "--key", folder + "/thing.key"]
        try await Broker.run(options("allow_anonymous true\nrequire_certificate true\nmax_packet_size 131072"), listen: heard) { broker in
            try await broker.listens()
            var settings = broker.settings(.v5)
            settings.tls = MQTTSettings.TLS(
                authorities: folder + "/ca.pem", certificate: folder + "/thing.pem", key: folder + "/thing.key")
            settings.layout = .batches(topic: MQTTSettings.awsTopic, bytes: MQTTSettings.awsBytes)
            settings.availability = nil
            let sent = settings
            let answer = try await withMQTT(sent) { await $0.send(Plant.batch(1...2000)) }
            #expect(answer == .accepted(rejected: []))
            let messages = try await broker.hear(3) { !$0.isEmpty }
            try expectBatches(messages, of: 1...2000, topic: "meterd/gw-017/readings", bytes: 102_400)
        }
    }

    /// The broker knows the password beforehand: OpenSSL made it, of the same key and time.
    @Test func azureGetsASignedNameAndItsOwnTopic() async throws {
        try await certificates()
        let (device, now) = ("gw-017", Timestamp(milliseconds: 1_795_459_200_000))
        let user = MQTTSettings.azureUser(hub: "127.0.0.1", device: device)
        try TextFile.write("MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTI=\n", to: folder + "/key")
        let expiry = 1_795_459_200 + 86_400
        try TextFile.write("127.0.0.1%2Fdevices%2Fgw-017\n\(expiry)", to: folder + "/text")
        let signed = try await runToEnd(
            try #require(RealServer.path("openssl")),
            ["dgst", "-sha256", "-mac", "HMAC", "-macopt", "key:12345678901234567890123456789012", "-r", folder + "/text"])
        let digits = Array(signed.output.prefix { $0 != " " })
        let code = try stride(from: 0, to: digits.count, by: 2).map { try #require(UInt8(String(digits[$0..<$0 + 2]), radix: 16)) }
        let signature = Data(code).base64EncodedString().replacing("+", with: "%2B").replacing("/", with: "%2F").replacing("=", with: "%3D")
        let password = "SharedAccessSignature sr=127.0.0.1%2Fdevices%2Fgw-017&sig=\(signature)&se=\(expiry)"
        let maker = try #require(RealServer.path("mosquitto_passwd"))
        #expect(try await runToEnd(maker, ["-b", "-c", folder + "/users", user, password]).exit == .code(0))
        #expect(try await runToEnd(maker, ["-b", folder + "/users", "ear", "ear"]).exit == .code(0))
        try TextFile.write("user \(user)\ntopic write devices/gw-017/messages/events/#\nuser ear\ntopic read #\n", to: folder + "/acl")
        let strict = options("allow_anonymous false\npassword_file \(folder)/users\nacl_file \(folder)/acl\nmax_packet_size 262144")
        let heard = ["--cafile", folder + "/ca.pem", "-u", "ear", "-P", "ear"]
        try await Broker.run(strict, listen: heard) { broker in
            try await broker.listens()
            var settings = broker.settings(.v311)
            settings.clientID = device
            settings.tls = MQTTSettings.TLS(authorities: folder + "/ca.pem")
            settings.login = MQTTSettings.Login(user: .name(user), azureKey: TokenFile(path: folder + "/key"))
            settings.layout = .batches(topic: MQTTSettings.azureTopic(device: device), bytes: MQTTSettings.azureBytes)
            settings.availability = nil
            let upstream = MQTTUpstream(settings, time: SetWall(now: now))
            #expect(await upstream.send(Plant.batch(1...2000)) == .accepted(rejected: []))
            let messages = try await broker.hear(2) { !$0.isEmpty }
            try expectBatches(
                messages, of: 1...2000, topic: "devices/gw-017/messages/events/$.ct=application%2Fjson&$.ce=utf-8", bytes: 204_800)
            await upstream.close()
            // A minute later it is another password, which this broker does not know.
            let later = MQTTUpstream(settings, time: SetWall(now: now.advanced(by: .seconds(60))))
            guard case .unauthorized = await later.send(Plant.batch(1...1)) else {
                Issue.record("taken with another password")
                return
            }
            try TextFile.write("no-base64!\n", to: folder + "/key")
            guard case .unauthorized(let reason) = await later.send(Plant.batch(1...1)) else {
                Issue.record("taken without a key")
                return
            }
            #expect(reason.contains("/key holds no key: base64 is wanted"), "\(reason)")
            await later.close()
        }
    }
}

extension Broker {
    /// Returns once the test's listener has subscribed.
    func listens() async throws {
        _ = try await listener?.waitForLine(within: .seconds(60)) { $0.contains("SUBACK") }
    }
}

private struct SentBatch: Decodable {
    struct Head: Decodable {
        var id: String
        var first: Int64
        var last: Int64
    }
    struct Record: Decodable { var seq: Int64 }
    var version: Int
    var gateway: String
    var batch: Head
    var readings: [Record]
}

/// Clocks that go, but for the wall's.
private struct SetWall: TimeSource {
    var now: Timestamp
    private let clocks = SystemTime()

    init(now: Timestamp) { self.now = now }

    func uptime() -> Uptime { clocks.uptime() }
    func wall() -> Timestamp { now }
    func clockState() -> ClockState { clocks.clockState() }
    func sleep(until deadline: Uptime) async throws { try await clocks.sleep(until: deadline) }
}
