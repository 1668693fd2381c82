import FoundationEssentials
import Glibc
import Host
import Logging
import Metering
import Store
import TestSupport
import Testing

@testable import Uplink

/// Eight hours of backlog, on a real journal, to a real receiver of each kind, at a pace, while new polls come.
///
/// Scaled down: four meters that are read every ten seconds, 11,520 polls. Benchmarks/drain has hundreds of meters and real hours.
@Suite(.serialized) struct DrainTests {
    enum Kind: String, CaseIterable, Sendable { case http, influx, mqtt, file }

    private static let rate = 6000
    private static let hours = 8
    private static let backlog: Int64 = Int64(hours) * 360 * 4

    private static var installed: [Kind] {
        Kind.allCases.filter { kind in
            switch kind {
            case .influx: RealServer.path("victoria-metrics") != nil
            case .mqtt: Broker.isInstalled
            case .http, .file: true
            }
        }
    }

    @Test(arguments: installed) func eightHoursAreDrainedAtTheirPaceAndNewPollsPass(_ kind: Kind) async throws {
        let folder = try TemporaryFolder.make("drain")
        defer { TemporaryFolder.remove(folder) }
        let store = try await outage(folder + "/data")
        try await with(kind, folder) { upstream in
            let watched = WatchedUpstream(upstream)
            let policy: LanePolicy = kind == .file ? .inOrder : .liveFirst
            let began = ContinuousClock.now
            let passed = try await drain(store, watched, policy)
            let took = ContinuousClock.now - began
            // Never faster than the pace; how much slower is a matter of this machine.
            let slowest = Double(Self.backlog - 2 * 500) / Double(Self.rate) - 0.2
            #expect(took >= .seconds(slowest), "\(took) for \(Self.backlog) polls at \(Self.rate)/s")
            let taken = await watched.taken
            let last = await store.journalState().lastSeq
            #expect(taken.map(\.seq).sorted() == Array(1...last))
            let old = taken.filter { $0.seq <= Self.backlog }
            #expect(old.count { !$0.historical } == 0)
            #expect(old.map(\.seq) == Array(1...Self.backlog), "a backlog comes in order")
            if policy == .inOrder {
                #expect(taken.map(\.seq) == Array(1...last))
            } else {
                #expect(passed.count > 3)
                // Of the backlog at most the batch that was out, and the one that was just being taken.
                #expect(passed.max() ?? 0 <= 1000, "\(passed)")
            }
        }
        let state = try #require(await store.outputStates().first)
        #expect(state.acceptedPolls == Int(state.cursor) && state.historicalPolls == 0 && state.backlogPolls == 0)
        await store.close()
    }

    /// A journal as eight hours without a receiver leave it, opened anew.
    private func outage(_ directory: String) async throws -> Store {
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        let store = try await Store.open(directory: directory, outputs: ["park"], time: SystemTime(), logger: logger)
        let entry = try await store.adopt(Plant.entry)
        for start in stride(from: 1, through: Self.backlog, by: 480) {
            _ = try await store.commit((start...start + 479).map { CountedPoll(poll: Plant.poll($0, entry: entry).poll, readings: 2) })
        }
        await store.close()
        return try await Store.open(directory: directory, outputs: ["park"], time: SystemTime(), logger: logger)
    }

    /// Hands everything on, and one poll after the other that comes meanwhile.
    ///
    /// - Returns: for each of these, but the first, which makes the fork, how much of the backlog was taken before it.
    private func drain(_ store: Store, _ upstream: WatchedUpstream, _ policy: LanePolicy) async throws -> [Int] {
        let entry = try await store.adopt(Plant.entry)
        let service = DeliveryService(
            DeliverySettings(
                gateway: "gw-017", site: nil, output: "park", journalID: "", batchAge: .zero, pace: Pace(records: Self.rate),
                policy: policy), outbox: store, upstream: upstream, decoder: { _ in Plant.decoder }, time: SystemTime(),
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        return try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { await service.run() }
            defer { group.cancelAll() }
            var passed: [Int] = []
            var seq = Self.backlog
            while true {
                seq += 1
                _ = try await store.commit([CountedPoll(poll: Plant.poll(seq, entry: entry).poll, readings: 2)])
                let before = await upstream.taken.count
                try await taken(seq, store, upstream)
                let state = try #require(await store.outputStates().first)
                if state.backlogPolls == 0 { return passed }
                let index = await upstream.taken.firstIndex { $0.seq == seq }
                let place = try #require(index)
                if seq > Self.backlog + 1, state.historicalPolls > 0 { passed.append(max(0, place - before)) }
            }
        }
    }

    private func taken(_ seq: Int64, _ store: Store, _ upstream: WatchedUpstream) async throws {
        let end = ContinuousClock.now + .seconds(120)
        while await store.outputStates().first.map({ $0.liveCursor < seq }) ?? true {
            guard ContinuousClock.now < end else { throw ChildProcess.SpawnError(description: "poll \(seq) is not taken") }
            try await Task.sleep(for: .milliseconds(10))
            // As the writer does every commit interval.
            _ = try await store.commit([])
        }
    }

    private func with(_ kind: Kind, _ folder: String, _ body: (any Upstream) async throws -> Void) async throws {
        switch kind {
        case .http:
            try await WireServer.serve(.status("200 OK")) { server in try await withUpstream(server.url) { try await body($0) } }
        case .influx:
            try await RealServer.run(try #require(RealServer.path("victoria-metrics")), ready: nil) { port, folder in
                [
                    "-httpListenAddr=127.0.0.1:\(port)", "-storageDataPath=\(folder)/data", "-retentionPeriod=100y",
                ]
            } _: { server in
                let url = LineProtocol.address("http://127.0.0.1:\(server.port)/write")
                try await withUpstream(url, format: .lineProtocol(LineProtocol())) { try await body($0) }
            }
        case .mqtt:
            try await Broker.run("allow_anonymous true", listen: nil) { broker in
                try await withMQTT(broker.settings()) { try await body($0) }
            }
        case .file:
            let directory = folder + "/files"
            try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
            try await body(FileUpstream(FileUpstream.Settings(directory: directory, name: "park")))
        }
    }
}

/// Remembers what its receiver took, in order.
private actor WatchedUpstream: Upstream {
    private let inner: any Upstream
    private(set) var taken: [(seq: Int64, historical: Bool)] = []

    init(_ inner: any Upstream) { self.inner = inner }

    func send(_ batch: Batch) async -> Settlement {
        let settlement = await inner.send(batch)
        if settlement == .accepted(rejected: []) {
            taken += batch.records.map { ($0.seq, batch.historical) }
        }
        return settlement
    }

    func fitting(_ batch: Batch, bytes: Int) async -> Int { await inner.fitting(batch, bytes: bytes) }
    func size(of batch: Batch) async -> Int { await inner.size(of: batch) }
    func close() async {}
}
