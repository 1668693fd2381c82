import AsyncHTTPClient
import Glibc
import Host
import Metering
import TestSupport
import Testing

@testable import Uplink

/// A receiver of each kind for the contract, brought to answer as it is wished.
extension UpstreamContractTests {
    /// An upstream of this kind before a receiver that answers by `wish`; returns how often one of the tests' own HTTP receivers was asked,
    /// and 1 for all others.
    func with(_ kind: Kind, _ wish: Wish, _ body: (any Upstream) async throws -> Void) async throws -> Int {
        switch kind {
        case .http: return try await http(wish, body)
        case .influx: return try await influx(wish, body)
        case .nginx: try await nginx(wish, body)
        case .influxdb: try await influxdb(wish, body)
        case .victoria: try await victoria(wish, body)
        case .mosquitto: try await mosquitto(wish, body)
        case .nats: try await nats(wish, body)
        case .file: try await file(wish, body)
        case .recording: return try await recording(wish, body)
        }
        return 1
    }

    private func serve(_ reply: WireServer.Reply, _ format: HTTPUpstream.Format, _ body: (any Upstream) async throws -> Void) async throws
        -> Int
    {
        try await WireServer.serve(reply) { server in
            try await withUpstream(server.url, format: format) { try await body($0) }
            return server.requests.count
        }
    }

    private func http(_ wish: Wish, _ body: (any Upstream) async throws -> Void) async throws -> Int {
        let reply: WireServer.Reply =
            switch wish {
            case .takeAll: .status("200 OK")
            case .rejectSecond: .status("200 OK", body: #"{"rejected":[{"seq":2,"reason":"no"}]}"#)
            case .refuse: .status("422 No")
            case .tooLarge: .status("413 No")
            case .unauthorized: .status("401 No")
            case .unavailable: .status("503 No", headers: ["Retry-After: 7"])
            }
        return try await serve(reply, .json, body)
    }

    private func influx(_ wish: Wish, _ body: (any Upstream) async throws -> Void) async throws -> Int {
        let reply: WireServer.Reply =
            switch wish {
            case .takeAll: .status("204 No Content")
            case .rejectSecond:
                .status(
                    "400 No", body: #"{"error":"partial write of line protocol occurred","data":[{"line_number":2,"error_message":"no"}]}"#)
            case .refuse: .status("400 No", body: #"{"error":"unable to parse"}"#)
            case .tooLarge: .status("413 No")
            case .unauthorized: .status("401 No")
            case .unavailable: .status("503 No", headers: ["Retry-After: 7"])
            }
        return try await serve(reply, .lineProtocol(LineProtocol()), body)
    }

    /// nginx answers by itself, over TLS, as the receiver behind it would.
    private func nginx(_ wish: Wish, _ body: (any Upstream) async throws -> Void) async throws {
        let folder = try TemporaryFolder.make("contract")
        defer { TemporaryFolder.remove(folder) }
        try await Certificates(folder: folder).own("server", for: "IP:127.0.0.1")
        let answer =
            switch wish {
            case .takeAll: "return 200;"
            case .rejectSecond: #"default_type application/json; return 200 '{"rejected":[{"seq":2,"reason":"no"}]}';"#
            case .refuse: "return 422;"
            case .tooLarge: "return 413;"
            case .unauthorized: "return 401;"
            case .unavailable: "add_header Retry-After 7 always; return 503;"
            }
        let server = Nginx(certificate: "\(folder)/server", location: answer)
        try await server.run { port in
            let client = HTTPClient(configuration: HTTPUpstream.clientConfiguration)
            let upstream = HTTPUpstream(
                HTTPUpstream.Settings(
                    url: "https://127.0.0.1:\(port)/v1/batches", link: HTTPLink(authorities: folder + "/server.pem"),
                    timeout: .seconds(60), version: "1.2.3"), client: client, time: SystemTime())
            try await body(upstream)
            await upstream.close()
            try await client.shutdown()
        }
    }

    private func lines(_ port: UInt16, _ body: (any Upstream) async throws -> Void) async throws {
        let url = LineProtocol.address("http://127.0.0.1:\(port)/write?db=m")
        try await withUpstream(url, format: .lineProtocol(LineProtocol())) { try await body($0) }
    }

    private func influxdb(_ wish: Wish, _ body: (any Upstream) async throws -> Void) async throws {
        guard wish != .unavailable else { return try await lines(1, body) }
        let more = wish == .tooLarge ? "max-body-size = 100" : wish == .unauthorized ? "auth-enabled = true" : ""
        try await RealServer.influxDB1(more) { server in
            _ = try await server.ask("/query?q=CREATE+DATABASE+m", post: "")
            try await lines(server.port, body)
        }
    }

    private func victoria(_ wish: Wish, _ body: (any Upstream) async throws -> Void) async throws {
        guard wish != .unavailable else { return try await lines(1, body) }
        try await RealServer.victoriaMetrics(wish == .unauthorized ? ["-httpAuth.username=u", "-httpAuth.password=p"] : []) { server in
            try await lines(server.port, body)
        }
    }

    private func mosquitto(_ wish: Wish, _ body: (any Upstream) async throws -> Void) async throws {
        guard wish != .unavailable else { return try await nobody(body) }
        let options = "allow_anonymous \(wish == .unauthorized ? "false" : "true")\n\(wish == .rejectSecond ? "max_packet_size 2000" : "")"
        try await Broker.run(options, listen: nil) { broker in
            try await withMQTT(broker.settings()) { try await body($0) }
        }
    }

    private func nats(_ wish: Wish, _ body: (any Upstream) async throws -> Void) async throws {
        guard wish != .unavailable else { return try await nobody(body) }
        try await NATS.run(wish == .unauthorized ? "authorization { user: u, password: p }" : "") { settings in
            try await withMQTT(settings) { try await body($0) }
        }
    }

    /// Where no broker listens.
    private func nobody(_ body: (any Upstream) async throws -> Void) async throws {
        try await withMQTT(MQTTSettings(host: "127.0.0.1", port: 1, clientID: "contract")) { try await body($0) }
    }

    private func file(_ wish: Wish, _ body: (any Upstream) async throws -> Void) async throws {
        let folder = try TemporaryFolder.make("contract")
        defer { TemporaryFolder.remove(folder) }
        // A fifo can be opened, but nothing can be written to a place in it: like a disk that fails.
        if wish == .unavailable { #expect(mkfifo(folder + "/disk.csv.part", 0o600) == 0) }
        try await body(FileUpstream(FileUpstream.Settings(directory: wish == .unauthorized ? folder + "/none" : folder, name: "disk")))
    }

    private func recording(_ wish: Wish, _ body: (any Upstream) async throws -> Void) async throws -> Int {
        let upstream = RecordingUpstream { _ in
            switch wish {
            case .takeAll: .accepted(rejected: [])
            case .rejectSecond: .accepted(rejected: [RejectedRecord(seq: 2, reason: "no")])
            case .refuse: .refused(reason: "422")
            case .tooLarge: .tooLarge(reason: "413")
            case .unauthorized: .unauthorized(reason: "401")
            case .unavailable: .unavailable(reason: "503", retryAfter: .seconds(7))
            }
        }
        try await body(upstream)
        return await upstream.batches.count
    }
}
