import Glibc
import Host
import Metering
import TestSupport
import Testing

@testable import Store

/// `kill -9` of a real process, at any moment of its life: while it opens, commits, sends and settles.
struct KillTests {
    @Test func aKilledProcessLosesNothingThatItHadCommitted() async throws {
        let seed: UInt64 = 101
        print("kills with seed \(seed)")
        var generator = SeededGenerator(seed: seed)
        let directory = TemporaryDirectory()
        let path = directory.path
        var delivered: [Int64: ClosedRange<Int64>] = [:]
        var last: Int64 = 0
        var longest: UInt32 = 150_000
        for _ in 0..<15 {
            // From before the file is open to hundreds of commits; on a machine with much to do the lives are longer.
            let life = UInt32.random(in: 500...longest, using: &generator)
            await #expect(processExitsWith: .signal(SIGKILL)) { [path = path as String, life = life as UInt32] in
                try await liveAndDie(in: path, microseconds: life)
            }
            let told = Told(of: path)
            let store = try await Store.open(directory)
            #expect(await store.openReport.quarantined == nil)
            let state = await store.journalState()
            #expect(state.lastSeq >= max(told.committed, last) && state.polls == Int(state.lastSeq) && state.lostPolls == 0)
            if state.lastSeq < last + 40 { longest = min(longest + 100_000, 2_000_000) }
            last = state.lastSeq
            #expect(try await store.read(first: 1, last: .max, limit: .max).allSatisfy { $0.poll == poll(Int($0.seq)) })
            let cursor = await store.outputStates()[0].cursor
            #expect(cursor <= max(told.settled, delivered.keys.max() ?? 0))
            for range in told.sent {
                for seq in range {
                    if let before = delivered[seq] { #expect(before == range, "\(seq) was in \(before), then in \(range)") }
                    delivered[seq] = range
                }
            }
            await store.close()
        }
        #expect(last > 100)
        #expect(delivered.count > 50)
    }
}

/// What the process that was killed had written down before it went on: lines of `c <seq>`, `s <first> <last>`, `a <seq>`.
private struct Told {
    var committed: Int64 = 0
    var settled: Int64 = 0
    var sent: [ClosedRange<Int64>] = []

    init(of path: String) {
        let bytes = DataDirectory.head(of: path + "/told", count: 4 << 20) ?? []
        for line in String(decoding: bytes, as: UTF8.self).split(separator: "\n") {
            let words = line.split(separator: " ")
            let numbers = words.dropFirst().compactMap { Int64($0) }
            switch (words.first, numbers.count) {
            case ("c", 1): committed = max(committed, numbers[0])
            case ("a", 1): settled = max(settled, numbers[0])
            case ("s", 2) where numbers[0] <= numbers[1]: sent.append(numbers[0]...numbers[1])
            default: break
            }
        }
    }
}

@Sendable private func liveAndDie(in path: String, microseconds: UInt32) async throws {
    killThisProcess(after: microseconds)
    let told = open(path + "/told", O_WRONLY | O_CREAT | O_APPEND, 0o600)
    func tell(_ line: String) {
        let bytes = Array((line + "\n").utf8)
        _ = write(told, bytes, bytes.count)
    }
    let store = try await Store.open(directory: path, outputs: ["park"], time: ManualTime(), logger: quiet)
    var next = await Int(store.journalState().lastSeq) + 1
    while true {
        let count = 1 + next % 9
        if let receipt = try await store.commit(polls(next...next + count - 1)) { tell("c \(receipt.last)") }
        next += count
        guard case .slice(let slice) = try await store.offer(output: "park", records: 12, age: .zero) else { continue }
        tell("s \(slice.first) \(slice.last)")
        guard next % 4 != 0 else { continue }
        try await store.settle(output: "park", through: slice.last, accepted: slice.polls.count, rejected: [])
        tell("a \(slice.last)")
    }
}
