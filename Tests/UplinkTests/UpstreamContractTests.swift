import Glibc
import Host
import Metering
import TestSupport
import Testing

@testable import Uplink

/// What every upstream promises, on each one there is.
@Suite(.serialized) struct UpstreamContractTests {
    enum Kind: String, CaseIterable, Sendable {
        case http, influx, mqtt, file, recording

        /// What can be brought about with a receiver of this kind: a disk refuses no record, and MQTT says no to messages alone.
        var wishes: [Wish] {
            switch self {
            case .http, .recording: Wish.allCases
            case .influx: Wish.allCases
            case .mqtt: Broker.isInstalled ? [.takeAll, .rejectSecond, .unauthorized, .unavailable] : [.unavailable]
            case .file: [.takeAll, .unauthorized, .unavailable]
            }
        }

        /// Those whose receiver is at hand on this machine.
        static var present: [Kind] { allCases.filter { $0.wishes.contains(.takeAll) } }
    }

    enum Wish: CaseIterable, Sendable { case takeAll, rejectSecond, refuse, tooLarge, unauthorized, unavailable }

    struct Case: Sendable, CustomTestStringConvertible {
        var kind: Kind
        var wish: Wish
        var testDescription: String { "\(kind) \(wish)" }
        static let all = Kind.allCases.flatMap { kind in kind.wishes.map { Case(kind: kind, wish: $0) } }
    }

    private static let batch: Batch = {
        var batch = Plant.batch(1...3)
        batch.records[1].readings[1] = Reading(point: 1, value: .text(String(repeating: "x", count: 3000)))
        return batch
    }()

    /// An upstream of this kind before a receiver that answers by `wish`; returns how often an HTTP receiver was asked.
    private func with(_ kind: Kind, _ wish: Wish, _ body: (any Upstream) async throws -> Void) async throws -> Int {
        switch kind {
        case .http: try await http(wish, body)
        case .influx: try await influx(wish, body)
        case .mqtt: try await mqtt(wish, body)
        case .file: try await file(wish, body)
        case .recording: try await recording(wish, body)
        }
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

    private func mqtt(_ wish: Wish, _ body: (any Upstream) async throws -> Void) async throws -> Int {
        guard wish != .unavailable else {
            try await withMQTT(MQTTSettings(host: "127.0.0.1", port: 1, clientID: "contract")) { try await body($0) }
            return 1
        }
        let options = "allow_anonymous \(wish == .unauthorized ? "false" : "true")\n\(wish == .rejectSecond ? "max_packet_size 2000" : "")"
        try await Broker.run(options, listen: nil) { broker in
            try await withMQTT(broker.settings()) { try await body($0) }
        }
        return 1
    }

    private func file(_ wish: Wish, _ body: (any Upstream) async throws -> Void) async throws -> Int {
        let folder = try TemporaryFolder.make("contract")
        defer { TemporaryFolder.remove(folder) }
        // A fifo can be opened, but nothing can be written to a place in it: like a disk that fails.
        if wish == .unavailable { #expect(mkfifo(folder + "/disk.csv.part", 0o600) == 0) }
        try await body(FileUpstream(FileUpstream.Settings(directory: wish == .unauthorized ? folder + "/none" : folder, name: "disk")))
        return 1
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

    @Test(arguments: Case.all)
    func everyAnswerHasItsSettlement(it: Case) async throws {
        let asked = try await with(it.kind, it.wish) { upstream in
            let settlement = await upstream.send(Self.batch)
            let fits =
                switch (it.wish, settlement) {
                case (.takeAll, .accepted(let rejected)): rejected.isEmpty
                case (.rejectSecond, .accepted(let rejected)): rejected.map(\.seq) == [2] && rejected.allSatisfy { !$0.reason.isEmpty }
                case (.refuse, .refused), (.tooLarge, .tooLarge), (.unauthorized, .unauthorized): true
                case (.unavailable, .unavailable(_, let retryAfter)): retryAfter == .seconds(7) || it.kind == .mqtt || it.kind == .file
                default: false
                }
            #expect(fits, "\(settlement)")
        }
        // It never tries again by itself: that is the plan's to decide.
        #expect(asked == 1)
    }

    @Test(arguments: Kind.present)
    func aBatchThatComesAgainIsTakenAgain(kind: Kind) async throws {
        _ = try await with(kind, .takeAll) { upstream in
            for range in [1...3, 1...3, 2...5] as [ClosedRange<Int64>] {
                #expect(await upstream.send(Plant.batch(range)) == .accepted(rejected: []))
            }
        }
    }

    @Test(arguments: Kind.present)
    func aBatchOfOneFitsWhateverTheCap(kind: Kind) async throws {
        _ = try await with(kind, .takeAll) { upstream in
            let count = await upstream.fitting(Plant.batch(1...1), bytes: 1)
            #expect(count == 1)
            let again = await upstream.fitting(Plant.batch(1...50), bytes: 2000)
            #expect(again >= 1 && (again < 50 || kind == .recording))
            #expect(await upstream.fitting(Plant.batch(1...50), bytes: 2000) == again)
        }
    }

    @Test(arguments: Kind.present)
    func closingTwiceIsHarmless(kind: Kind) async throws {
        _ = try await with(kind, .takeAll) { upstream in
            _ = await upstream.send(Plant.batch(1...3))
            await upstream.close()
            await upstream.close()
        }
    }
}
