import FoundationEssentials
import Glibc
import Host
import Logging
import Metering
import Store
import TestSupport
import Testing

@testable import Uplink

/// One bad record among ten thousand, from a real journal through the whole of delivery to each type of output: it alone becomes a dead
/// letter, with the receiver's words, and each other record arrives once.
///
/// Only the receiver is made up, since it must dislike one record: it sees nothing but bytes on a socket, or is the kernel itself.
@Suite(.serialized) struct OneBadRecordTests {
    /// What a receiver does when it meets the record.
    enum Dislike: String, CaseIterable, Sendable {
        /// 400; with MQTT 5 a PUBACK that says no.
        case refuses
        /// 413; with MQTT a packet larger than the broker takes.
        case tooLarge
        /// It takes the request and closes the connection.
        case hangsUp
    }

    // MARK: HTTP

    @Test(arguments: Dislike.allCases) func httpLosesOnlyTheBadOne(_ dislike: Dislike) async throws {
        let backlog = try await Backlog(badWords: 20_000)
        let server = rule(dislike, badMark: Array(#""seq":\#(Backlog.bad),"#.utf8), taken: "200 OK", refused: #"{"error":"energy fell"}"#)
        let requests = try await WireServer.serve(server) { server in
            try await withUpstream(server.url, timeout: .seconds(60)) { try await backlog.drain(into: $0) }
            return server.requests
        }
        try await backlog.expectOneDeadLetter(words(dislike))
        // A batch id is a content: what came under the same id is the same.
        var batches: [String: [Int64]] = [:]
        for request in requests where try isTaken(request, dislike, Array(#""seq":\#(Backlog.bad),"#.utf8)) {
            let seqs = Backlog.seqs(in: try Deflate.expand(request.body, format: .gzip, limit: 64 << 20), after: #""seq":"#)
            let id = try #require(request.headers["idempotency-key"])
            #expect(batches[id] == nil || batches[id] == seqs)
            batches[id] = seqs
        }
        #expect(batches.values.flatMap { $0 }.sorted() == Backlog.good)
    }

    @Test(arguments: Dislike.allCases) func influxLosesOnlyTheBadOne(_ dislike: Dislike) async throws {
        let backlog = try await Backlog(badWords: 20_000)
        let mark = Array(" seq=\(Backlog.bad),".utf8)
        let server = rule(dislike, badMark: mark, taken: "204 No Content", refused: #"{"error":"partial write: dropped=1"}"#)
        let requests = try await WireServer.serve(server) { server in
            try await withUpstream(server.url, format: .lineProtocol(LineProtocol(texts: true)), timeout: .seconds(60)) {
                try await backlog.drain(into: $0)
            }
            return server.requests
        }
        try await backlog.expectOneDeadLetter(dislike == .refuses ? "partial write" : words(dislike))
        let arrived = try requests.filter { try isTaken($0, dislike, mark) }.flatMap {
            Backlog.seqs(in: try Deflate.expand($0.body, format: .gzip, limit: 64 << 20), after: " seq=")
        }
        #expect(arrived.sorted() == Backlog.good)
    }

    /// A receiver takes this much; the bad record alone is more, ten thousand good ones in their batches are less.
    private static let compressedLimit = 20_000

    private func rule(_ dislike: Dislike, badMark: [UInt8], taken: String, refused: String) -> WireServer.Reply {
        .rule { request in
            // It is alive, and says so to whoever asks.
            if request.line.hasPrefix("HEAD ") { return .status("405 Method Not Allowed") }
            switch dislike {
            case .tooLarge: return request.body.count > Self.compressedLimit ? .status("413 Payload Too Large") : .status(taken)
            case .refuses, .hangsUp:
                let body = (try? Deflate.expand(request.body, format: .gzip, limit: 64 << 20)) ?? []
                guard holds(body, badMark) else { return .status(taken) }
                return dislike == .refuses ? .status("400 Bad Request", body: refused) : .hangUp
            }
        }
    }

    private func isTaken(_ request: WireServer.Request, _ dislike: Dislike, _ mark: [UInt8]) throws -> Bool {
        guard request.line.hasPrefix("POST ") else { return false }
        if dislike == .tooLarge { return request.body.count <= Self.compressedLimit }
        return try !holds(Deflate.expand(request.body, format: .gzip, limit: 64 << 20), mark)
    }

    private func words(_ dislike: Dislike) -> String {
        switch dislike {
        case .refuses: "answered 400"
        case .tooLarge: "answered 413"
        case .hangsUp: "hangs up each time"
        }
    }

    // MARK: MQTT

    @Test(arguments: Dislike.allCases, MQTTSettings.Version.allCases)
    func mqttLosesOnlyTheBadOne(_ dislike: Dislike, version: MQTTSettings.Version) async throws {
        // MQTT 3.1.1 has no word for a refusal.
        if dislike == .refuses, version == .v311 { return }
        let backlog = try await Backlog(badWords: 20_000)
        let mark = Array(#""seq":\#(Backlog.bad),"#.utf8)
        let rule: @Sendable ([UInt8]) -> WireBroker.Answer = { payload in
            if dislike == .tooLarge { return payload.count > Self.compressedLimit ? .hangUp : .take }
            guard holds(payload, mark) else { return .take }
            return dislike == .refuses ? .refuse(0x99) : .hangUp
        }
        let limit = dislike == .tooLarge && version == .v5 ? UInt32(Self.compressedLimit) : nil
        let payloads = try await WireBroker.serve(packetLimit: limit, rule) { broker in
            var settings = MQTTSettings(
                host: "127.0.0.1", port: broker.port, version: version, clientID: "meterd-test", timeout: .seconds(60))
            settings.availability = nil
            try await withMQTT(settings) { try await backlog.drain(into: $0) }
            return broker.payloads
        }
        let reason =
            switch (dislike, version) {
            case (.refuses, _): "payload format invalid"
            case (.tooLarge, .v5): "larger than the broker takes"
            case (.tooLarge, .v311), (.hangsUp, _): "each time this was sent"
            }
        try await backlog.expectOneDeadLetter(reason)
        // What the broker acknowledged before it hung up is not sent again.
        #expect(payloads.flatMap { Backlog.seqs(in: $0, after: #""seq":"#) }.sorted() == Backlog.good)
    }

    // MARK: Files

    /// A disk takes what it is given, whatever stands in it. The bad record is one that cannot be put into words: its profile is none.
    @Test(arguments: FileUpstream.Settings.Format.allCases) func filesLoseOnlyWhatCannotBeWritten(_ format: FileUpstream.Settings.Format)
        async throws
    {
        let backlog = try await Backlog(badWords: 20_000, isReadable: false)
        try await backlog.drain(into: FileUpstream(backlog.files(format)))
        try await backlog.expectOneDeadLetter("cannot be read")
        #expect(try backlog.seqsInFiles(format) == Backlog.good)
    }

    /// Files may be so large and no larger, by a limit of the process or of a file system; the bad record alone is more than that.
    @Test(arguments: ["csv", "jsonl"]) func filesLoseOnlyWhatNoFileCanHold(_ format: String) async throws {
        await #expect(processExitsWith: .success) { [format = format as String] in
            let format = try #require(FileUpstream.Settings.Format(rawValue: format))
            signal(SIGXFSZ, SIG_IGN)
            let backlog = try await Backlog(badWords: 2 * 60_000)
            var limit = rlimit(rlim_cur: 400_000, rlim_max: 400_000)
            #expect(setrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &limit) == 0)
            try await backlog.drain(into: FileUpstream(backlog.files(format)))
            try await backlog.expectOneDeadLetter("File too large")
            #expect(try backlog.seqsInFiles(format) == Backlog.good)
        }
    }
}

/// Ten thousand polls in a journal, one of which is of another kind, and long.
private final class Backlog: Sendable {
    static let count: Int64 = 10_000
    static let bad: Int64 = 6_170
    static let good = (1...count).filter { $0 != bad }

    private static let silent = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
    /// Words of one block at most; a text longer than that is several.
    private static let blockWords = 60_000

    private let folder: String
    private let store: Store
    private let longDecoder: ReadingDecoder
    private let isReadable: Bool

    /// - Parameters:
    ///   - badWords: registers of text that the bad poll holds.
    ///   - isReadable: whether its profile can be read.
    init(badWords: Int, isReadable: Bool = true) async throws {
        folder = try TemporaryFolder.make("backlog")
        self.isReadable = isReadable
        let blocks = stride(from: 0, to: badWords, by: Self.blockWords).map { start in
            Block(.input, 0, count: UInt16(min(Self.blockWords, badWords - start)))
        }
        longDecoder = ReadingDecoder(
            profile: Plant.profile(
                blocks.indices.map { index in
                    PointDefinition(
                        quantity: Quantity(id: "text_\(index)", unit: "", kind: .text), block: blocks[index], encoding: .string)
                }))
        store = try await Store.open(
            directory: folder, outputs: ["park"], time: SystemTime(), limits: StoreLimits(ballastBytes: 0), logger: Self.silent)
        let entry = try await store.adopt(Plant.entry)
        let odd = try await store.adopt(CatalogEntry(device: "odd", unit: 2, role: .sensor, profile: "odd-meter", profileText: ""))
        // Of random letters while it is short, so that packing does not make it small; of quotes, which every format doubles, when long.
        print("the bad record's letters with seed 6170")
        var generator = SeededGenerator(seed: 6170)
        let isLong = blocks.count > 1
        let answers = blocks.map { block in
            BlockAnswer(
                block: block,
                outcome: .words(
                    (0..<Int(block.count)).map { _ in
                        isLong ? 0x2222 : .random(in: 0x41...0x5A, using: &generator) << 8 | .random(in: 0x61...0x7A, using: &generator)
                    }))
        }
        for start in stride(from: Int64(1), through: Self.count, by: 2_500) {
            _ = try await store.commit(
                (start..<start + 2_500).map { seq in
                    var poll = Plant.poll(seq, entry: seq == Self.bad ? odd : entry).poll
                    if seq == Self.bad { poll.answers = answers }
                    return CountedPoll(poll: poll, readings: 2)
                })
        }
    }

    deinit { TemporaryFolder.remove(folder) }

    /// Hands all of it on; batches are narrowed by nothing but their number of records.
    func drain(into upstream: any Upstream) async throws {
        let settings = DeliverySettings(
            gateway: "gw-017", site: "park-2", output: "park", journalID: "", batchRecords: 500, batchBytes: 64 << 20, batchAge: .zero)
        let (longDecoder, isReadable) = (longDecoder, isReadable)
        struct NoProfile: Error {}
        let service = DeliveryService(
            settings, outbox: store, upstream: upstream,
            decoder: { entry in
                if entry.device == "main" { return Plant.decoder }
                if isReadable { return longDecoder }
                throw NoProfile()
            }, time: ShortTime(), logger: Self.silent, chance: { 0 })
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { await service.run() }
            let end = ContinuousClock.now + .seconds(600)
            while await store.outputStates().first?.cursor != Self.count, ContinuousClock.now < end {
                try await Task.sleep(for: .milliseconds(5))
            }
            group.cancelAll()
        }
        _ = try await store.commit([])
    }

    func expectOneDeadLetter(_ words: String, sourceLocation: SourceLocation = #_sourceLocation) async throws {
        let state = try #require(await store.outputStates().first, sourceLocation: sourceLocation)
        #expect(state.cursor == Self.count && state.backlogPolls == 0, sourceLocation: sourceLocation)
        #expect(state.acceptedPolls == 9_999 && state.rejectedPolls == 1 && state.deadLetters == 1, sourceLocation: sourceLocation)
        let letters = try await store.deadLetters(output: "park", limit: 10)
        #expect(letters.map(\.seq) == [Self.bad], sourceLocation: sourceLocation)
        let isTold = letters.allSatisfy { $0.reason.contains(words) && $0.poll != nil }
        #expect(isTold, "\(letters.map(\.reason))", sourceLocation: sourceLocation)
        await store.close()
    }

    func files(_ format: FileUpstream.Settings.Format) -> FileUpstream.Settings {
        FileUpstream.Settings(directory: folder, name: "disk", format: format)
    }

    /// Of each record once, however many lines it has.
    func seqsInFiles(_ format: FileUpstream.Settings.Format) throws -> [Int64] {
        let names = try FileManager.default.contentsOfDirectory(atPath: folder).filter { $0.hasPrefix("disk") }
        let text = names.reduce(into: "") { $0 += TextFile.content(folder + "/" + $1) }
        switch format {
        case .jsonl: return Self.seqs(in: Array(text.utf8), after: #""seq":"#).sorted()
        case .csv:
            let rows = text.split(separator: "\n").compactMap { Int64($0.split(separator: ",", omittingEmptySubsequences: false)[11]) }
            let seqs = Set(rows)
            // Two readings a record.
            #expect(rows.count == 2 * seqs.count)
            return seqs.sorted()
        }
    }

    static func seqs(in bytes: [UInt8], after mark: String) -> [Int64] {
        let mark = Array(mark.utf8)
        return bytes.withUnsafeBytes { content in
            var seqs: [Int64] = []
            var rest = content[...]
            while let place = place(of: mark, in: rest) {
                rest = rest[(place + mark.count)...]
                seqs.append(rest.prefix { (0x30...0x39).contains($0) }.reduce(0) { 10 * $0 + Int64($1 - 0x30) })
            }
            return seqs
        }
    }
}

/// With the C library's eyes: these are megabytes.
private func place(of mark: [UInt8], in bytes: Slice<UnsafeRawBufferPointer>) -> Int? {
    guard let base = bytes.base.baseAddress, let first = mark.first else { return nil }
    var start = bytes.startIndex
    while start + mark.count <= bytes.endIndex, let next = memchr(base + start, Int32(first), bytes.endIndex - start) {
        start = UnsafeRawPointer(next) - base
        if start + mark.count <= bytes.endIndex, memcmp(base + start, mark, mark.count) == 0 { return start }
        start += 1
    }
    return nil
}

private func holds(_ bytes: [UInt8], _ mark: [UInt8]) -> Bool { bytes.withUnsafeBytes { place(of: mark, in: $0[...]) != nil } }
