import Metering
import Testing

@testable import Store

struct RetentionTests {
    private let plan = RetentionPlan(retention: .seconds(100), sizeLimit: 1000)

    private func chunk(_ first: Int64, at seconds: Int64, bytes: Int = 100) -> ChunkSummary {
        let time = Timestamp(milliseconds: seconds * 1000)
        return ChunkSummary(
            firstSeq: first, lastSeq: first + 9, polls: 10, readings: 20, firstTime: time, lastTime: time, bytes: bytes)
    }

    private func removed(usedBytes: Int, sentThrough: Int64, now seconds: Int64?) -> [RetentionPlan.Removal] {
        plan.removals(
            oldest: [chunk(1, at: 0), chunk(11, at: 50), chunk(21, at: 100)], usedBytes: usedBytes, sentThrough: sentThrough,
            now: seconds.map { Timestamp(milliseconds: $0 * 1000) }
        ) { $0.lastTime }
    }

    @Test func oldAndSentGoesWithoutLoss() {
        #expect(removed(usedBytes: 0, sentThrough: 30, now: 160).map(\.chunk.firstSeq) == [1, 11])
        #expect(removed(usedBytes: 0, sentThrough: 30, now: 160).allSatisfy { !$0.isLoss })
    }

    @Test func oldAndUnsentStays() {
        #expect(removed(usedBytes: 0, sentThrough: 15, now: 1000).map(\.chunk.firstSeq) == [1])
    }

    @Test func aClockThatMayBeWrongMakesNothingOld() {
        #expect(removed(usedBytes: 0, sentThrough: 30, now: nil).isEmpty)
    }

    @Test func overTheSizeTheOldestGoSentOnesFirst() {
        let removals = removed(usedBytes: 1150, sentThrough: 10, now: 0)
        #expect(removals.map(\.chunk.firstSeq) == [1, 11])
        #expect(removals.map(\.isLoss) == [false, true])
    }

    @Test func sentPollsGoByAgeAndSeqsGoOn() async throws {
        let time = ManualTime()
        let store = try await Store.open(TemporaryDirectory(), time: time, limits: StoreLimits(retention: .seconds(600)))
        _ = try await store.commit(polls(1...10))
        _ = try await store.range("park")
        try await store.settle(output: "park", through: 10, accepted: 10, rejected: [])
        time.advance(by: .seconds(700))
        let receipt = try await store.commit([])
        #expect(receipt?.last == 10)
        let state = await store.journalState()
        #expect(state.polls == 0 && state.firstSeq == 11 && state.lastSeq == 10 && state.lostPolls == 0)
        #expect(try await store.commit(polls(11...11))?.first == 11)
    }

    @Test func whatTheSizeLimitForcesOutIsCountedToTheReading() async throws {
        let store = try await Store.open(TemporaryDirectory(), outputs: ["a", "b"], limits: StoreLimits(sizeLimit: 300_000))
        var generator = SeededGenerator(seed: 41)
        let batch = plant(devices: 20, rounds: 5, values: 60, using: &generator)
        _ = try await store.commit(batch)
        for output in ["a", "b"] {
            _ = try await store.range(output, records: 30)
            try await store.settle(output: output, through: 30, accepted: 30, rejected: [])
        }
        for _ in 0..<60 { _ = try await store.commit(batch) }
        let state = await store.journalState()
        #expect(state.bytes < 400_000)
        #expect(state.lostPolls > 0)
        // Everything is kept, lost, or was handed on.
        #expect(state.polls + state.lostPolls + 30 == Int(state.lastSeq))
        #expect(state.lostReadings == 60 * state.lostPolls)
        let losses = try await store.recordedLosses()
        #expect(losses.count == 1)
        #expect(losses.first?.cause == .sizeLimit)
        #expect(losses.first?.seqs == 31...state.firstSeq - 1)
        #expect(losses.first?.polls == state.lostPolls)
    }

    @Test func theRangeThatIsOutStandsThoughItsPollsAreGone() async throws {
        let store = try await Store.open(TemporaryDirectory(), limits: StoreLimits(sizeLimit: 200_000))
        var generator = SeededGenerator(seed: 42)
        let batch = plant(devices: 20, rounds: 5, values: 60, using: &generator)
        _ = try await store.commit(batch)
        _ = try await store.commit(batch)
        #expect(try await store.range("park", records: 150) == 1...150)
        while await store.journalState().firstSeq == 1 { _ = try await store.commit(batch) }
        let offer = try await store.offer(output: "park", records: 150, age: .zero)
        guard case .slice(let slice) = offer else { return #expect(Bool(false), "\(offer)") }
        #expect(slice.first == 1 && slice.last == 150)
        #expect(slice.polls.map(\.seq) == Array(101...150))
    }

    @Test func withoutOutputsTheSizeLimitIsNoLoss() async throws {
        let store = try await Store.open(TemporaryDirectory(), outputs: [], limits: StoreLimits(sizeLimit: 200_000))
        var generator = SeededGenerator(seed: 43)
        let batch = plant(devices: 20, rounds: 5, values: 60, using: &generator)
        for _ in 0..<40 { _ = try await store.commit(batch) }
        let state = await store.journalState()
        #expect(state.bytes < 300_000 && state.lostPolls == 0)
    }
}
