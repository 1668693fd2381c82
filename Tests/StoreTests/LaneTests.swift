import Host
import Metering
import Testing

@testable import Store

/// A backlog and what is new beside it, on real files.
struct LaneTests {
    private let time = ManualTime()

    private func request(_ records: Int = 10, backlog: Bool = true, policy: LanePolicy = .liveFirst) -> SliceRequest {
        SliceRequest(records: records, age: .zero, policy: policy, backlog: backlog)
    }

    /// Forty polls of long ago, the first ten of them taken: so the next commit forks.
    private func late(_ directory: TemporaryDirectory, policy: LanePolicy = .liveFirst) async throws -> Store {
        let store = try await Store.open(directory, time: time)
        _ = try await store.commit(polls(1...40))
        time.advance(by: .seconds(3600))
        let slice = try #require(try await store.slice(request(policy: policy)))
        #expect(slice.first == 1 && slice.last == 10 && slice.isLate)
        try await store.settle(output: "park", through: 10, accepted: 10, rejected: [])
        return store
    }

    @Test func whatIsNewGoesFirstAndTheBacklogBesideIt() async throws {
        let store = try await late(TemporaryDirectory())
        _ = try await store.commit(polls(41...45))
        let fresh = try #require(try await store.slice(request()))
        #expect(fresh.first == 41 && fresh.last == 45 && !fresh.isLate)
        try await store.settle(output: "park", through: 45, accepted: 5, rejected: [])
        let state = await store.outputStates()[0]
        #expect(state.cursor == 10 && state.liveCursor == 45 && state.backlogPolls == 30 && state.historicalPolls == 30)
        let old = try #require(try await store.slice(request()))
        #expect(old.first == 11 && old.last == 20 && old.isLate)
        // A request in flight for the backlog does not hold up what is new.
        _ = try await store.commit(polls(46...46))
        #expect(try await store.slice(request())?.first == 46)
        for through in [20, 46] as [Int64] { try await store.settle(output: "park", through: through, accepted: 1, rejected: []) }
        for first in [21, 31] as [Int64] {
            #expect(try await store.slice(request())?.first == first)
            try await store.settle(output: "park", through: first + 9, accepted: 10, rejected: [])
        }
        #expect(await store.outputStates()[0].cursor == 46)
        #expect(try await store.offer(output: "park", request()) == .empty)
    }

    @Test func inOrderNothingOvertakes() async throws {
        let store = try await late(TemporaryDirectory(), policy: .inOrder)
        _ = try await store.commit(polls(41...45))
        for (first, isLate) in [(11, true), (21, true), (31, true), (41, false)] {
            let slice = try #require(try await store.slice(request(policy: .inOrder)))
            #expect(slice.first == Int64(first) && slice.isLate == isLate)
            try await store.settle(output: "park", through: slice.last, accepted: slice.polls.count, rejected: [])
        }
        #expect(await store.outputStates()[0].cursor == 45)
    }

    @Test func anOutputWhoseReceiverDoesNotAnswerIsNotForked() async throws {
        let store = try await Store.open(TemporaryDirectory(), time: time)
        for start in stride(from: 1, to: 100, by: 10) {
            _ = try await store.commit(polls(start...start + 9))
            time.advance(by: .seconds(60))
            #expect(try await store.slice(request(4))?.first == 1)
        }
        #expect(await store.outputStates()[0].historicalPolls == 0)
    }

    @Test func backlogWaitsForItsPaceAndWhatIsNewDoesNot() async throws {
        let store = try await late(TemporaryDirectory())
        guard case .wait = try await store.offer(output: "park", request(backlog: false)) else {
            return #expect(Bool(false), "the backlog was not asked for")
        }
        _ = try await store.commit(polls(41...45))
        #expect(try await store.slice(request(backlog: false))?.first == 41)
        try await store.settle(output: "park", through: 45, accepted: 5, rejected: [])
        guard case .wait = try await store.offer(output: "park", request(backlog: false)) else {
            return #expect(Bool(false), "the backlog was not asked for")
        }
        #expect(try await store.slice(request())?.first == 11)
    }

    @Test func aSecondOutageWhileTheFirstIsDrainedMakesAThirdLane() async throws {
        let directory = TemporaryDirectory()
        let store = try await late(directory)
        _ = try await store.commit(polls(41...60))
        _ = try await store.slice(request())
        try await store.settle(output: "park", through: 50, accepted: 10, rejected: [])
        time.advance(by: .seconds(600))
        let slice = try #require(try await store.slice(request()))
        #expect(slice.first == 11 && slice.isLate)
        try await store.settle(output: "park", through: 20, accepted: 10, rejected: [])
        _ = try await store.commit(polls(61...64))
        #expect(try await store.slice(request())?.first == 61)
        try await store.settle(output: "park", through: 64, accepted: 4, rejected: [])
        _ = try await store.commit([])
        #expect(try await store.textForTest("SELECT cursor || ' ' || horizon || ' ' || lanes FROM output") == "20 40 50-50-60,64-64-64")
        await store.close()

        let again = try await Store.open(directory, time: time)
        #expect(await again.outputStates()[0].historicalPolls == 30)
        for first in [21, 31, 51] as [Int64] {
            #expect(try await again.slice(request())?.first == first)
            try await again.settle(output: "park", through: first + 9, accepted: 10, rejected: [])
        }
        #expect(await again.outputStates()[0].cursor == 64)
        _ = try await again.commit([])
        #expect(try await again.textForTest("SELECT lanes FROM output") == "")
    }

    @Test func settingBackWorksBesideABacklog() async throws {
        let directory = TemporaryDirectory()
        let store = try await late(directory)
        _ = try await store.commit(polls(41...45))
        _ = try await store.slice(request())
        try await store.settle(output: "park", through: 45, accepted: 5, rejected: [])
        await #expect(throws: StoreError.self) { try await store.rewind(output: "park", to: 47) }
        try await store.rewind(output: "park", to: 43)
        let copy = try directory.copyOfJournal()
        let again = try await Store.open(copy, time: time)
        #expect(try await again.textForTest("SELECT cursor || ' ' || lanes FROM output") == "10 42-42-45")
        #expect(try await store.slice(request())?.first == 43)
        try await store.rewind(output: "park", to: 5)
        #expect(await store.outputStates()[0].cursor == 4)
        #expect(await store.outputStates()[0].historicalPolls == 0)
    }

    /// A receiver that wants them in order would take those of the backlog for repeats.
    @Test func aLetterIsNotReplayedAheadOfABacklogToWhoWantsOrder() async throws {
        let store = try await late(TemporaryDirectory())
        _ = try await store.commit(polls(41...45))
        _ = try await store.slice(request())
        try await store.settle(output: "park", through: 45, accepted: 4, rejected: [Rejection(seq: 43, reason: "no")])
        #expect(try await store.replayDeadLetters(output: "park", seqs: nil) == 1)
        #expect(try await store.offerReplay(output: "park", records: 10)?.polls.map(\.seq) == [43])
        _ = try await store.offer(output: "park", SliceRequest(records: 10, age: .zero, policy: .inOrder))
        #expect(try await store.offerReplay(output: "park", records: 10) == nil)
    }

    /// What the newest lane has handed on is no loss when the size limit takes it, what the backlog had not is, to the poll.
    @Test func aLossCountsWhatWasNotHandedOnAndNothingElse() async throws {
        let store = try await late(TemporaryDirectory())
        _ = try await store.commit(polls(41...50))
        _ = try await store.slice(request())
        try await store.settle(output: "park", through: 46, accepted: 6, rejected: [])
        await store.change(limits: StoreLimits(sizeLimit: 1))
        _ = try await store.commit(polls(51...51))
        let losses = try await store.recordedLosses()
        // 11 ... 40, 47 ... 50, and 51, which came too late to be handed on.
        #expect(losses.reduce(0) { $0 + $1.polls } == 35)
        #expect(losses.first?.seqs?.lowerBound == 11)
        #expect(await store.journalState().lostPolls == 35)
    }

    @Test func aRetiredOutputKeepsItsLanes() async throws {
        let store = try await late(TemporaryDirectory())
        _ = try await store.commit(polls(41...45))
        _ = try await store.slice(request())
        try await store.settle(output: "park", through: 45, accepted: 5, rejected: [])
        await store.retire(output: "park")
        _ = try await store.commit([])
        #expect(await store.outputStates().isEmpty)
        try await store.prepare(output: "park")
        let state = await store.outputStates()[0]
        #expect(state.cursor == 10 && state.liveCursor == 45)
    }

    @Test func whatAnOutputDoesNotWantIsPassedOverAndCounted() async throws {
        let store = try await Store.open(TemporaryDirectory(), time: time)
        let (wanted, unwanted) = (CatalogID(1), CatalogID(2))
        _ = try await store.commit(
            (1...1000).map { number in
                var counted = poll(number)
                counted.entry = number % 100 == 0 ? wanted : unwanted
                return CountedPoll(poll: counted, readings: 2)
            })
        var request = SliceRequest(records: 150, age: .zero, unwanted: [unwanted])
        let slice = try #require(try await store.slice(request))
        #expect(slice.polls.map(\.seq) == [100] && slice.first == 1 && slice.last == 150 && slice.filtered == 149)
        try await store.settle(output: "park", through: 150, accepted: 1, rejected: [], filtered: 149)
        request.unwanted = [wanted, unwanted]
        #expect(try await store.offer(output: "park", request) == .empty)
        let state = await store.outputStates()[0]
        #expect(state.cursor == 1000 && state.acceptedPolls == 1 && state.filteredPolls == 999)
    }
}

extension Store {
    func slice(_ request: SliceRequest) throws -> JournalSlice? {
        guard case .slice(let slice) = try offer(output: "park", request) else { return nil }
        return slice
    }
}
