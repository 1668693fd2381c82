import Host
import Metering
import Testing

@testable import Store

struct OutputTests {
    @Test func aBatchIsOfferedWhenFullOrOldEnough() async throws {
        let time = ManualTime()
        let store = try await Store.open(TemporaryDirectory(), time: time)
        #expect(try await store.offer(output: "park", records: 10, age: .seconds(5)) == .empty)
        _ = try await store.commit(polls(1...4))
        let committed = time.uptime()
        time.advance(by: .seconds(2))
        #expect(try await store.offer(output: "park", records: 10, age: .seconds(5)) == .wait(until: committed + .seconds(5)))
        _ = try await store.commit(polls(5...12))
        #expect(try await store.range("park", records: 10, age: .seconds(5)) == 1...10)
        try await store.settle(output: "park", through: 10, accepted: 10, rejected: [])
        #expect(try await store.offer(output: "park", records: 10, age: .seconds(5)) == .wait(until: committed + .seconds(7)))
        time.advance(by: .seconds(5))
        #expect(try await store.range("park", records: 10, age: .seconds(5)) == 11...12)
    }

    @Test func eachOutputGoesAtItsOwnPace() async throws {
        let store = try await Store.open(TemporaryDirectory(), outputs: ["a", "b"])
        _ = try await store.commit(polls(1...10))
        #expect(try await store.range("a") == 1...10)
        try await store.settle(output: "a", through: 10, accepted: 10, rejected: [])
        #expect(try await store.offer(output: "a", records: 100, age: .zero) == .empty)
        let states = await store.outputStates()
        #expect(states.map(\.name) == ["a", "b"])
        #expect(states.map(\.cursor) == [10, 0])
        #expect(states.map(\.backlogPolls) == [0, 10])
    }

    @Test func anOutputAddedLaterStartsAtTheBeginning() async throws {
        let directory = TemporaryDirectory()
        let store = try await Store.open(directory, outputs: ["a"])
        _ = try await store.commit(polls(1...10))
        await store.close()
        let again = try await Store.open(directory, outputs: ["a", "b"])
        #expect(try await again.range("b") == 1...10)
    }

    @Test func settlingWhatWasNotOfferedIsRefused() async throws {
        let store = try await Store.open(TemporaryDirectory())
        _ = try await store.commit(polls(1...10))
        await #expect(throws: StoreError.self) { try await store.settle(output: "park", through: 5, accepted: 5, rejected: []) }
        await #expect(throws: StoreError.self) { try await store.offer(output: "other", records: 1, age: .zero) }
        _ = try await store.range("park", records: 5)
        await #expect(throws: StoreError.self) { try await store.settle(output: "park", through: 6, accepted: 6, rejected: []) }
        try await store.settle(output: "park", through: 5, accepted: 5, rejected: [])
        try await store.settle(output: "park", through: 5, accepted: 5, rejected: [])
        #expect(await store.outputStates()[0].acceptedPolls == 5)
    }

    @Test func aRejectedPollIsKeptThoughTheJournalLetsItGo() async throws {
        let directory = TemporaryDirectory()
        let store = try await Store.open(directory)
        _ = try await store.commit(polls(1...10))
        _ = try await store.range("park")
        try await store.settle(output: "park", through: 10, accepted: 9, rejected: [Rejection(seq: 4, reason: "no such device")])
        #expect(await store.outputStates()[0].deadLetters == 1)
        _ = try await store.commit([])
        try await store.removeAllChunks()
        await store.close()
        let again = try await Store.open(directory)
        let letters = try await again.deadLetters(output: "park", limit: 10)
        #expect(letters.map(\.seq) == [4] && letters[0].reason == "no such device" && letters[0].poll == poll(4))
        let state = await again.outputStates()[0]
        #expect(state.acceptedPolls == 9 && state.rejectedPolls == 1 && state.deadLetters == 1 && state.cursor == 10)
    }

    @Test func deadLettersAreBoundedAndTheirLossIsCounted() async throws {
        let store = try await Store.open(TemporaryDirectory(), limits: StoreLimits(deadLetters: 3))
        _ = try await store.commit(polls(1...10))
        _ = try await store.range("park")
        let rejected = (1...5).map { Rejection(seq: $0, reason: "bad") }
        try await store.settle(output: "park", through: 10, accepted: 5, rejected: rejected)
        _ = try await store.commit([])
        #expect(try await store.deadLetters(output: "park", limit: 10).map(\.seq) == [3, 4, 5])
        #expect(await store.outputStates()[0].deadLetters == 3)
        #expect(await store.outputStates()[0].deadLettersDropped == 2)
    }

    @Test func aKilledStoreOffersWhatWasOutAgain() async throws {
        let directory = TemporaryDirectory()
        let store = try await Store.open(directory)
        _ = try await store.commit(polls(1...10))
        #expect(try await store.range("park", records: 4) == 1...4)
        _ = try await store.commit(polls(11...30))
        try await store.settle(output: "park", through: 4, accepted: 4, rejected: [])
        #expect(try await store.range("park", records: 100) == 5...30)

        let copy = try directory.copyOfJournal()
        let again = try await Store.open(copy)
        #expect(await again.openReport.quarantined == nil)
        _ = try await again.commit(polls(31...40))
        #expect(try await again.range("park", records: 4) == 1...4)
        try await again.settle(output: "park", through: 4, accepted: 4, rejected: [])
        #expect(try await again.range("park", records: 100) == 5...30)
        try await again.settle(output: "park", through: 30, accepted: 26, rejected: [])
        guard case .wait = try await again.offer(output: "park", records: 100, age: .zero) else {
            return #expect(Bool(false), "must wait for the commit that moves the horizon")
        }
        _ = try await again.commit([])
        #expect(try await again.range("park", records: 100) == 31...40)
    }

    /// Commits, sends, settlements and kills in random order, on real files: whatever was sent comes again as it was, nothing that was
    /// committed is missing, and the cursor is never ahead of a settlement.
    @Test(arguments: [1, 2, 3, 4]) func killsAtAnyMomentLoseNothingAndRenameNoBatch(_ seed: UInt64) async throws {
        var generator = SeededGenerator(seed: seed * 104_729)
        var directory = TemporaryDirectory()
        var store = try await Store.open(directory)
        var committed = 0
        var sent: [Int64: ClosedRange<Int64>] = [:]
        var delivered: Set<Int64> = []
        for _ in 0..<150 {
            switch Int.random(in: 0...9, using: &generator) {
            case 0...3:
                let count = Int.random(in: 0...30, using: &generator)
                if count > 0 {
                    _ = try await store.commit(polls(committed + 1...committed + count))
                } else {
                    _ = try await store.commit([])
                }
                committed += count
            case 4...7:
                guard case .slice(let slice) = try await store.offer(output: "park", records: 12, age: .zero) else { continue }
                #expect(slice.polls.map(\.seq) == Array(slice.first...slice.last))
                for stored in slice.polls {
                    #expect(stored.poll == poll(Int(stored.seq)))
                    if let before = sent[stored.seq] { #expect(before == slice.first...slice.last) }
                    sent[stored.seq] = slice.first...slice.last
                    delivered.insert(stored.seq)
                }
                if Bool.random(using: &generator) {
                    try await store.settle(output: "park", through: slice.last, accepted: slice.polls.count, rejected: [])
                }
            default:
                let copy = try directory.copyOfJournal()
                await store.close()
                directory = copy
                store = try await Store.open(copy)
                #expect(await store.journalState().lastSeq == Int64(committed))
                #expect(await store.outputStates()[0].cursor <= (delivered.max() ?? 0))
            }
        }
        drain: while true {
            switch try await store.offer(output: "park", records: 12, age: .zero) {
            case .slice(let slice):
                delivered.formUnion(slice.polls.map(\.seq))
                try await store.settle(output: "park", through: slice.last, accepted: slice.polls.count, rejected: [])
            case .wait: _ = try await store.commit([])
            case .empty, .paused: break drain
            }
        }
        #expect(delivered.count == committed)
    }
}

extension Store {
    /// The range offered now; nil when none is.
    func range(_ output: String, records: Int = 1000, age: Duration = .zero) throws -> ClosedRange<Int64>? {
        guard case .slice(let slice) = try offer(output: output, records: records, age: age) else { return nil }
        return slice.first...slice.last
    }
}
