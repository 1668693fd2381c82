import FoundationEssentials
import Glibc
import Host
import Logging
import Metering
import Store

@testable import Uplink

/// A small meter for tests: voltage, energy, a serial number.
enum Plant {
    static let entry = CatalogEntry(device: "main", unit: 1, role: .grid, profile: "test-meter", profileText: "")

    static func quantity(_ id: String) -> Quantity { Vocabulary.quantity(id) ?? Quantity(id: id, unit: "", kind: .gauge) }

    static func profile(_ points: [PointDefinition]) -> Profile {
        Profile(name: "test-meter", version: 1, vendor: "Test", models: ["T"], source: "made up for these tests", points: points)
    }

    /// Voltage in tenths at 0, energy in Wh at 1 and 2.
    static let decoder = ReadingDecoder(
        profile: profile([
            PointDefinition(
                quantity: quantity("voltage_l1"), block: Block(.input, 0, count: 1), encoding: .uint16,
                factor: ExactDecimal(mantissa: 1, exponent: -1) ?? .zero),
            PointDefinition(quantity: quantity("energy_active_import"), block: Block(.input, 1, count: 2), encoding: .uint32),
        ]))

    static let source = RecordSource(entry: entry, decoder: decoder)

    static func poll(_ seq: Int64, entry: CatalogID = CatalogID(1)) -> StoredPoll {
        let words: [UInt16] = [2304, UInt16(truncatingIfNeeded: seq >> 16), UInt16(truncatingIfNeeded: seq)]
        return StoredPoll(
            seq: seq,
            poll: Poll(
                entry: entry, time: Timestamp(milliseconds: 1_795_459_200_000 + seq), uptime: Uptime(nanoseconds: seq),
                clock: .synchronized,
                answers: [BlockAnswer(block: Block(.input, 0, count: 3), outcome: .words(words))]))
    }

    static func record(_ seq: Int64) -> BatchRecord {
        let poll = poll(seq).poll
        return BatchRecord(seq: seq, time: poll.time, clock: poll.clock, source: source, readings: decoder.decode(poll.answers))
    }

    static func batch(_ seqs: ClosedRange<Int64>) -> Batch {
        Batch(
            gateway: "gw-017", site: "park-2/factory-12", output: "park", journalID: "2f6e", first: seqs.lowerBound, last: seqs.upperBound,
            historical: false, records: seqs.map(record))
    }
}

/// An outbox in memory, with the store's promises: a cursor, a settlement in one step, word of commits.
actor MemoryOutbox: Outbox {
    struct Broken: Error {}

    private(set) var polls: [StoredPoll] = []
    private(set) var cursor: Int64 = 0
    private(set) var accepted = 0
    private(set) var filtered = 0
    private var lateThrough: Int64 = 0
    private(set) var deadLetters: [Rejection] = []
    private var broken = 0
    private var waiters: [CheckedContinuation<Void, Never>] = []
    private var watchers: [(Int64, CheckedContinuation<Void, Never>)] = []

    init(_ polls: [StoredPoll] = []) { self.polls = polls }

    func append(_ new: [StoredPoll]) {
        polls += new
        wake()
    }

    /// The next calls throw.
    func breakDown(calls: Int) { broken = calls }

    func offer(output: String, _ request: SliceRequest) throws -> SliceOffer {
        try check()
        let own = polls.filter { $0.seq > cursor }.prefix(request.records)
        guard let first = own.first, let last = own.last else { return .empty }
        let isLate = last.seq <= lateThrough
        if isLate, !request.backlog { return .empty }
        let wanted = own.filter { !request.unwanted.contains($0.poll.entry) }
        return .slice(
            JournalSlice(first: first.seq, last: last.seq, polls: wanted, filtered: own.count - wanted.count, isLate: isLate))
    }

    /// Polls up to here count as backlog.
    func makeLate(through seq: Int64) { lateThrough = seq }

    func settle(output: String, through: Int64, accepted: Int, rejected: [Rejection], filtered: Int) throws {
        try check()
        self.filtered += filtered
        precondition(through > cursor, "the cursor never moves back")
        cursor = through
        self.accepted += accepted
        deadLetters += rejected
        let (due, rest) = (watchers.filter { $0.0 <= cursor }, watchers.filter { $0.0 > cursor })
        watchers = rest
        for watcher in due { watcher.1.resume() }
    }

    func entry(_ id: CatalogID) -> CatalogEntry? { id.rawValue < 100 ? Plant.entry : nil }

    func lastSeq() throws -> Int64 {
        try check()
        return polls.last?.seq ?? 0
    }

    nonisolated func waitForCommit(after seq: Int64) async {
        await withTaskCancellationHandler {
            await enlist(seq)
        } onCancel: {
            Task { await self.wake() }
        }
    }

    /// Returns once everything up to `seq` is settled.
    func settled(through seq: Int64) async {
        if cursor >= seq { return }
        await withCheckedContinuation { watchers.append((seq, $0)) }
    }

    private func enlist(_ seq: Int64) async {
        if (polls.last?.seq ?? 0) > seq || Task.isCancelled { return }
        await withCheckedContinuation { waiters.append($0) }
    }

    private func wake() {
        for waiter in waiters { waiter.resume() }
        waiters.removeAll()
    }

    private func check() throws {
        if broken > 0 {
            broken -= 1
            throw Broken()
        }
    }
}

/// Takes batches by a rule and remembers them.
actor RecordingUpstream: Upstream {
    private(set) var batches: [Batch] = []
    private(set) var closed = false
    private var rule: @Sendable (Batch) -> Settlement
    private var watchers: [(Int, CheckedContinuation<Void, Never>)] = []

    init(_ rule: @escaping @Sendable (Batch) -> Settlement = { _ in .accepted(rejected: []) }) { self.rule = rule }

    func obey(_ rule: @escaping @Sendable (Batch) -> Settlement) { self.rule = rule }

    func send(_ batch: Batch) -> Settlement {
        batches.append(batch)
        let count = batches.count
        for watcher in watchers where watcher.0 <= count { watcher.1.resume() }
        watchers.removeAll { $0.0 <= count }
        return rule(batch)
    }

    func fitting(_ batch: Batch, bytes: Int) -> Int { batch.records.count }

    func close() { closed = true }

    /// Returns once so many batches have come.
    func received(_ count: Int) async {
        if batches.count >= count { return }
        await withCheckedContinuation { watchers.append((count, $0)) }
    }
}

/// A clock moved by hand.
final class HandTime: TimeSource {
    private struct Sleeper {
        var id: Int
        var deadline: Uptime
        var continuation: CheckedContinuation<Void, any Error>
    }
    private struct State {
        var now = Uptime(nanoseconds: 1_000_000_000_000)
        var sleepers: [Sleeper] = []
        var next = 0
        var watchers: [CheckedContinuation<Void, Never>] = []
    }
    private let state = Lock(State())

    func uptime() -> Uptime { state.withLock { $0.now } }
    func wall() -> Timestamp { Timestamp(milliseconds: 1_795_459_200_000 + uptime().nanoseconds / 1_000_000) }
    func clockState() -> ClockState { ClockState(quality: .synchronized, maxErrorMilliseconds: 1) }

    func sleep(until deadline: Uptime) async throws {
        let id = state.withLock {
            $0.next += 1
            return $0.next
        }
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
                let (result, watchers): (Result<Void, any Error>?, [CheckedContinuation<Void, Never>]) = state.withLock { state in
                    if Task.isCancelled { return (.failure(CancellationError()), []) }
                    if state.now >= deadline { return (.success(()), []) }
                    state.sleepers.append(Sleeper(id: id, deadline: deadline, continuation: continuation))
                    defer { state.watchers = [] }
                    return (nil, state.watchers)
                }
                if let result { continuation.resume(with: result) }
                for watcher in watchers { watcher.resume() }
            }
        } onCancel: {
            let sleeper: Sleeper? = state.withLock {
                guard let index = $0.sleepers.firstIndex(where: { $0.id == id }) else { return nil }
                return $0.sleepers.remove(at: index)
            }
            sleeper?.continuation.resume(throwing: CancellationError())
        }
    }

    /// Waits until someone sleeps, then moves on to the end of the shortest sleep.
    func step() async {
        await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
            let ready = state.withLock {
                if $0.sleepers.isEmpty { $0.watchers.append(continuation) }
                return !$0.sleepers.isEmpty
            }
            if ready { continuation.resume() }
        }
        let due: [Sleeper] = state.withLock { state in
            guard let first = state.sleepers.map(\.deadline).min() else { return [] }
            state.now = max(state.now, first)
            defer { state.sleepers.removeAll { $0.deadline <= state.now } }
            return state.sleepers.filter { $0.deadline <= state.now }
        }
        for sleeper in due { sleeper.continuation.resume() }
    }
}

/// Waits for a thousandth of the time: backoffs that a kill would not see the end of.
struct ShortTime: TimeSource {
    private let clocks = SystemTime()
    func uptime() -> Uptime { clocks.uptime() }
    func wall() -> Timestamp { clocks.wall() }
    func clockState() -> ClockState { clocks.clockState() }
    func sleep(until deadline: Uptime) async throws {
        let now = clocks.uptime()
        try await clocks.sleep(until: now + (deadline - now) / 1000)
    }
}

/// Log lines, kept.
struct LogKeeper: LogHandler {
    let lines: Lock<[String]>
    var metadata: Logger.Metadata = [:]
    var logLevel: Logger.Level = .debug

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) { lines.withLock { $0.append("\(event.level) \(event.message)") } }
}

func writeText(_ text: String, to path: String) throws {
    try Data(text.utf8).write(to: URL(filePath: path))
}

func removeFile(_ path: String) { unlink(path) }
