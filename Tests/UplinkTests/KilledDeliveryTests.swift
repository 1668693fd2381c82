import FoundationEssentials
import Glibc
import Host
import Logging
import Metering
import Store
import TestSupport
import Testing
import Uplink

/// Two hundred times `kill -9` of a real process that takes polls, keeps and hands them on, at any moment of its life, while the receiver
/// dies with batches that it took and never answered.
///
/// Each life is a process of its own; four plants are killed side by side. In two of them new polls go first, and the receiver is away
/// for whole lives, so that there is a backlog to overtake.
struct KilledDeliveryTests {
    @Test(arguments: [(1, LanePolicy.inOrder), (2, .liveFirst), (3, .inOrder), (4, .liveFirst)])
    func aKilledDeliveryLosesNothingAndRepeatsOnlyWholeBatches(_ plant: Int, _ policy: LanePolicy) async throws {
        print("delivery kills of plant \(plant) with seed \(plant * 7919)")
        var generator = SeededGenerator(seed: UInt64(plant * 7919))
        let directory = "/tmp/meterd-killed-\(getpid())-\(UInt64.random(in: 0 ... .max))"
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: directory) }
        var lastSeq: Int64 = 0
        var longest: UInt32 = 90_000
        for round in 0..<50 {
            // From before the file is open to dozens of batches; on a machine with much to do the lives are longer.
            let life = UInt32.random(in: 500...longest, using: &generator)
            let seed = UInt64.random(in: 0 ... .max, using: &generator)
            let isAway = policy == .liveFirst && round % 3 == 1
            await #expect(processExitsWith: .signal(SIGKILL)) {
                [
                    directory = directory as String, life = life as UInt32, seed = seed as UInt64, policy = policy.rawValue as String,
                    isAway = isAway as Bool
                ] in
                try await liveAndDie(
                    in: directory, microseconds: life, seed: seed, policy: LanePolicy(rawValue: policy) ?? .inOrder, isAway: isAway)
            }
            let told = Told(of: directory)
            let store = try await Store.open(directory: directory, outputs: ["park"], time: SystemTime(), logger: silent)
            #expect(await store.openReport.quarantined == nil)
            let state = await store.journalState()
            #expect(state.lastSeq >= max(lastSeq, told.committed) && state.lostPolls == 0)
            lastSeq = state.lastSeq
            let output = try #require(await store.outputStates().first)
            let early = output.cursor < 1 ? nil : (1...output.cursor).first { !told.answered.contains($0) }
            #expect(early == nil, "the cursor is at \(output.cursor), ahead of what was acknowledged")
            await store.close()
            if told.batches.count < round { longest = min(longest + 100_000, 2_000_000) }
        }
        try await drain(directory, policy)
        let told = Told(of: directory)
        #expect(told.batches.count > 10, "the lives were too short to hand anything on")
        #expect(lastSeq > 100)
        #expect((told.overtaken > 0) == (policy == .liveFirst), "\(told.overtaken) batches were overtaken")
        // A batch that came twice is the same batch: its id says so. Without the repeats each poll came once.
        var seen: [Int64: Int] = [:]
        for seqs in told.batches.values { for seq in seqs { seen[seq, default: 0] += 1 } }
        #expect(told.conflicts == 0)
        #expect(seen.count == Int(told.lastSeq) && seen.values.allSatisfy { $0 == 1 })
    }

    /// What is left, with a receiver that lives.
    private func drain(_ directory: String, _ policy: LanePolicy) async throws {
        let store = try await Store.open(directory: directory, outputs: ["park"], time: SystemTime(), logger: silent)
        let end = await store.journalState().lastSeq
        let writer = JournalWriter(store: store, interval: .seconds(1), time: SystemTime(), logger: silent)
        let service = await delivery(store, Notebook(directory, dyingOneIn: 0, seed: 1), policy)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { await service.run() }
            for _ in 0..<6000 where await store.outputStates().first?.cursor != end {
                await writer.commitAll()
                try await Task.sleep(for: .milliseconds(10))
            }
            group.cancelAll()
        }
        #expect(await store.outputStates().first?.cursor == end)
        Notebook.note("end \(end)", in: directory)
        await store.close()
    }
}

private let silent = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

private func delivery(_ store: Store, _ upstream: any Upstream, _ policy: LanePolicy) async -> DeliveryService {
    DeliveryService(
        DeliverySettings(
            gateway: "gw", site: nil, output: "park", journalID: await store.journalState().journalID, batchRecords: 12, batchAge: .zero,
            policy: policy),
        outbox: store, upstream: upstream, decoder: { _ in Plant.decoder }, time: ShortTime(), logger: silent, chance: { 0 })
}

@Sendable private func liveAndDie(
    in directory: String, microseconds: UInt32, seed: UInt64, policy: LanePolicy, isAway: Bool
) async throws {
    killThisProcess(after: microseconds)
    let time = SystemTime()
    let store = try await Store.open(directory: directory, outputs: ["park"], time: time, logger: silent)
    let entry = try await store.adopt(Plant.entry)
    let writer = JournalWriter(store: store, interval: .seconds(1), time: time, logger: silent)
    let service = await delivery(store, Notebook(directory, dyingOneIn: isAway ? 1 : 5, seed: seed, isAway: isAway), policy)
    await withTaskGroup(of: Void.self) { group in
        group.addTask { await service.run() }
        group.addTask {
            var next = await store.journalState().lastSeq + 1
            while !Task.isCancelled {
                for _ in 0..<1 + next % 9 {
                    writer.take(Plant.poll(next, entry: entry).poll, readings: 2)
                    next += 1
                }
                if await writer.commitAll() { Notebook.note("committed \(store.commits.last)", in: directory) }
            }
        }
    }
}

/// A receiver whose disk outlives everyone: a batch is a line of a file, written before the answer. Sometimes it dies between the two.
private final class Notebook: Upstream {
    private let directory: String
    private let odds: Int
    private let isAway: Bool
    private let generator: Lock<SeededGenerator>

    init(_ directory: String, dyingOneIn odds: Int, seed: UInt64, isAway: Bool = false) {
        self.directory = directory
        self.isAway = isAway
        self.odds = odds
        generator = Lock(SeededGenerator(seed: seed))
    }

    func send(_ batch: Batch) async -> Settlement {
        if isAway { return .unavailable(reason: "nobody is there", retryAfter: nil) }
        Notebook.note("batch \(batch.id) \(batch.records.map { String($0.seq) }.joined(separator: " "))", in: directory)
        let dies = odds > 0 && generator.withLock { Int.random(in: 0..<odds, using: &$0) == 0 }
        if dies { return .unavailable(reason: "the connection broke", retryAfter: nil) }
        Notebook.note("answered \(batch.id)", in: directory)
        return .accepted(rejected: [])
    }

    func fitting(_ batch: Batch, bytes: Int) async -> Int { batch.records.count }
    func close() async {}

    /// One write, so that a kill leaves a line or none.
    static func note(_ line: String, in directory: String) {
        let file = open(directory + "/notebook", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
        let bytes = Array((line + "\n").utf8)
        _ = write(file, bytes, bytes.count)
        Glibc.close(file)
    }
}

/// What stands in the notebook.
private struct Told {
    var committed: Int64 = 0
    /// Polls of batches that were acknowledged.
    var answered: Set<Int64> = []
    var lastSeq: Int64 = 0
    var batches: [String: [Int64]] = [:]
    /// Batches that came for the first time after a newer one.
    var overtaken = 0
    /// Batches of one id with different records.
    var conflicts = 0

    init(of directory: String) {
        let text = (try? Data(contentsOf: URL(filePath: directory + "/notebook"))).map { String(decoding: $0, as: UTF8.self) } ?? ""
        var newest: Int64 = 0
        for line in text.split(separator: "\n") {
            let words = line.split(separator: " ")
            let numbers = words.dropFirst().compactMap { Int64($0) }
            switch words.first {
            case "committed": committed = max(committed, numbers.first ?? 0)
            case "answered": answered.formUnion(batches[String(words[1])] ?? [])
            case "end": lastSeq = numbers.first ?? 0
            case "batch":
                let id = String(words[1])
                if let known = batches[id], known != numbers { conflicts += 1 }
                if batches[id] == nil, let last = numbers.last, last < newest { overtaken += 1 }
                newest = max(newest, numbers.last ?? 0)
                batches[id] = numbers
            default: break
            }
        }
    }
}
