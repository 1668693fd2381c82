import FoundationEssentials
import Glibc
import Host
import Logging
import Metering

@testable import Store

/// A directory of its own, below one that goes when the tests end.
final class TemporaryDirectory: Sendable {
    let path: String
    private let isFleeting: Bool

    private static let root: String = made("/tmp/store-tests-XXXXXX") { TemporaryDirectory.remove(TemporaryDirectory.root) }
    private static let fleetingRoot: String =
        access("/dev/shm", W_OK) == 0
        ? made("/dev/shm/store-tests-XXXXXX") { TemporaryDirectory.remove(TemporaryDirectory.fleetingRoot) } : root

    private static func remove(_ path: String) { try? FileManager.default.removeItem(atPath: path) }

    /// - Parameter end: removes it when the tests end.
    private static func made(_ pattern: String, _ end: @convention(c) () -> Void) -> String {
        var template = Array(pattern.utf8CString)
        guard mkdtemp(&template) != nil else { return "/nonexistent" }
        atexit(end)
        return String(decoding: template.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
    }

    init() {
        path = TemporaryDirectory.root + "/" + randomHex(bytes: 8)
        isFleeting = false
        mkdir(path, 0o700)
    }

    /// In memory where there is such a place, for tests that make thousands; goes when nobody holds it.
    init(fleeting: Void) {
        path = TemporaryDirectory.fleetingRoot + "/" + randomHex(bytes: 8)
        isFleeting = true
        mkdir(path, 0o700)
    }

    deinit {
        if isFleeting { try? FileManager.default.removeItem(atPath: path) }
    }

    var journal: String { path + "/journal.db" }
    var names: [String] { ((try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []).sorted() }

    func write(_ bytes: [UInt8], to name: String) throws { try Data(bytes).write(to: URL(filePath: path + "/" + name)) }
    func bytes(of name: String) throws -> [UInt8] { Array(try Data(contentsOf: URL(filePath: path + "/" + name))) }

    /// What a kill would leave: the files as they are now.
    func copyOfJournal(fleeting: Bool = false) throws -> TemporaryDirectory {
        let copy = fleeting ? TemporaryDirectory(fleeting: ()) : TemporaryDirectory()
        for name in ["journal.db", "journal.db-wal"] where names.contains(name) { try copy.write(try bytes(of: name), to: name) }
        return copy
    }
}

/// Clocks that stand still until they are moved.
final class ManualTime: TimeSource {
    private struct State {
        var uptime = Uptime(nanoseconds: 1_000_000_000_000)
        var wall = Timestamp(milliseconds: 1_795_459_200_000)
        var quality = TimeQuality.synchronized
        var nextID = 0
        var sleeping: [Int: (deadline: Uptime, continuation: CheckedContinuation<Void, any Error>)] = [:]
    }

    private let state = Lock(State())

    func uptime() -> Uptime { state.withLock { $0.uptime } }
    func wall() -> Timestamp { state.withLock { $0.wall } }
    func clockState() -> ClockState { ClockState(quality: state.withLock { $0.quality }, maxErrorMilliseconds: 1) }
    func set(_ quality: TimeQuality) { state.withLock { $0.quality = quality } }
    func setWall(_ wall: Timestamp) { state.withLock { $0.wall = wall } }
    var sleepers: Int { state.withLock { $0.sleeping.count } }

    func sleep(until deadline: Uptime) async throws {
        let id = state.withLock { state in
            state.nextID += 1
            return state.nextID
        }
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
                let outcome: Result<Void, any Error>? = state.withLock { state in
                    if Task.isCancelled { return .failure(CancellationError()) }
                    if state.uptime >= deadline { return .success(()) }
                    state.sleeping[id] = (deadline, continuation)
                    return nil
                }
                if let outcome { continuation.resume(with: outcome) }
            }
        } onCancel: {
            state.withLock { $0.sleeping.removeValue(forKey: id) }?.continuation.resume(throwing: CancellationError())
        }
    }

    func advance(by duration: Duration) {
        let woken = state.withLock { state in
            state.uptime = state.uptime + duration
            state.wall = state.wall.advanced(by: duration)
            let due = state.sleeping.filter { $0.value.deadline <= state.uptime }
            for id in due.keys { state.sleeping[id] = nil }
            return due.values.map(\.continuation)
        }
        for continuation in woken { continuation.resume() }
    }
}

/// xorshift64*: the same sequence on every machine.
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64
    init(seed: UInt64) { state = seed | 1 }
    mutating func next() -> UInt64 {
        state ^= state >> 12
        state ^= state << 25
        state ^= state >> 27
        return state &* 2_685_821_657_736_338_717
    }
}

let quiet = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

extension Store {
    static func open(
        _ directory: TemporaryDirectory, outputs: [String] = ["park"], time: any TimeSource = ManualTime(),
        limits: StoreLimits = StoreLimits(ballastBytes: 0), fileSystem: String? = nil
    ) async throws(StoreError) -> Store {
        try await open(
            directory: directory.path, outputs: outputs, time: time, limits: limits, fileSystem: fileSystem, logger: quiet)
    }
}

/// A poll of two registers that says which it is.
func poll(_ number: Int, entry: Int64 = 1, time: Timestamp = Timestamp(milliseconds: 1_795_459_200_000)) -> Poll {
    let words = [UInt16(truncatingIfNeeded: number >> 16), UInt16(truncatingIfNeeded: number)]
    return Poll(
        entry: CatalogID(entry), time: time.advanced(by: .milliseconds(number)), uptime: Uptime(nanoseconds: Int64(number) * 1_000_003),
        clock: .synchronized, answers: [BlockAnswer(block: Block(.input, 0, count: 2), outcome: .words(words))])
}

func polls(_ numbers: ClosedRange<Int>) -> [CountedPoll] { numbers.map { CountedPoll(poll: poll($0), readings: 2) } }

/// A poll of random shape: faults, odd lengths, bits, extreme times.
func randomPoll(using generator: inout SeededGenerator) -> CountedPoll {
    let answers = (0..<Int.random(in: 0...4, using: &generator)).map { _ in
        let table = RegisterTable.allCases.randomElement(using: &generator) ?? .input
        let count = UInt16.random(in: 0...12, using: &generator)
        let block = Block(table, UInt16.random(in: 0...3, using: &generator) * 21_845, count: count)
        let outcome: BlockAnswer.Outcome =
            switch Int.random(in: 0...9, using: &generator) {
            case 0: .fault(.noConnection)
            case 1: .fault(.timeout)
            case 2: .fault(.garbled)
            case 3: .fault(.exception(UInt8.random(in: 0...255, using: &generator)))
            case 4: .words((0..<5).map { _ in UInt16.random(in: 0...65_535, using: &generator) })
            default: .words((0..<Int(count)).map { _ in UInt16.random(in: 0...65_535, using: &generator) })
            }
        return BlockAnswer(block: block, outcome: outcome)
    }
    let isExtreme = Int.random(in: 0...20, using: &generator) == 0
    let any = Int64.random(in: .min ... .max, using: &generator)
    let poll = Poll(
        entry: CatalogID(isExtreme ? any : Int64.random(in: 1...5, using: &generator)),
        time: Timestamp(milliseconds: isExtreme ? any : 1_795_459_200_000 + any % 100_000),
        uptime: Uptime(nanoseconds: isExtreme ? any : abs(any % 1_000_000_000_000)),
        clock: TimeQuality.allCases.randomElement(using: &generator) ?? .unknown, answers: answers)
    return CountedPoll(poll: poll, readings: Int.random(in: 0...100, using: &generator))
}
