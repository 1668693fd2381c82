import Host
import Metering
import Store
import Testing

/// What a person does to an output.
struct OperationTests {
    private func open(_ directory: TemporaryDirectory, time: ManualTime = ManualTime()) async throws -> Store {
        try await Store.open(
            directory: directory.path, outputs: ["park", "other"], time: time, limits: StoreLimits(ballastBytes: 0), logger: quiet)
    }

    private func slice(_ store: Store, _ output: String = "park", records: Int = 100) async throws -> JournalSlice? {
        guard case .slice(let slice) = try await store.offer(output: output, records: records, age: .zero) else { return nil }
        return slice
    }

    /// Polls 1 ... 10, of which these are dead letters of `park`.
    private func store(_ directory: TemporaryDirectory, rejecting seqs: [Int64]) async throws -> Store {
        let store = try await open(directory)
        _ = try await store.commit(polls(1...10))
        _ = try await slice(store)
        try await store.settle(
            output: "park", through: 10, accepted: 10 - seqs.count, rejected: seqs.map { Rejection(seq: $0, reason: "no \($0)") })
        return store
    }

    @Test func aPauseSurvivesARestart() async throws {
        let directory = TemporaryDirectory()
        let store = try await open(directory)
        _ = try await store.commit(polls(1...3))
        #expect(try await store.setPaused(true, output: "park"))
        #expect(try await store.setPaused(true, output: "park") == false)
        #expect(try await store.offer(output: "park", records: 9, age: .zero) == .paused)
        #expect(try await slice(store, "other")?.last == 3)
        let again = try await open(try directory.copyOfJournal())
        #expect(await again.outputStates().map(\.isPaused) == [true, false])
        #expect(try await again.offer(output: "park", records: 9, age: .zero) == .paused)
        #expect(try await again.setPaused(false, output: "park"))
        #expect(try await slice(again)?.first == 1)
        await #expect(throws: StoreError.self) { try await again.setPaused(true, output: "prak") }
        await store.close()
    }

    @Test func rewindingHandsOnAgainAndNeverSkips() async throws {
        let directory = TemporaryDirectory()
        let store = try await self.store(directory, rejecting: [])
        let ahead = await #expect(throws: StoreError.self) { try await store.rewind(output: "park", to: 12) }
        #expect(ahead?.code == .misuse && ahead?.message.contains("seq 10") == true)
        #expect(try await store.rewind(output: "park", to: 4) == 3)
        let again = try await open(try directory.copyOfJournal())
        for store in [store, again] {
            #expect(await store.outputStates()[0].cursor == 3)
            #expect(try await slice(store, records: 3)?.polls.map(\.seq) == [4, 5, 6])
        }
        // What was in hand before is not taken for something that was offered.
        _ = try await store.rewind(output: "park", to: 2)
        await #expect(throws: StoreError.self) { try await store.settle(output: "park", through: 6, accepted: 3, rejected: []) }
        #expect(try await store.rewind(output: "park", to: -5) == 0)
        #expect(try await slice(store)?.polls.count == 10)
        await store.close()
    }

    @Test func aTimeIsFoundAcrossChunks() async throws {
        let store = try await open(TemporaryDirectory())
        for start in stride(from: 1, to: 30, by: 10) { _ = try await store.commit(polls(start...start + 9)) }
        #expect(try await store.firstSeq(since: poll(14).time) == 14)
        #expect(try await store.firstSeq(since: Timestamp(milliseconds: 0)) == 1)
        #expect(try await store.firstSeq(since: poll(31).time) == nil)
        await store.close()
    }

    @Test func replayedLettersGoOnlyWhenTheyAreTaken() async throws {
        let directory = TemporaryDirectory()
        let store = try await self.store(directory, rejecting: [3, 4, 7])
        #expect(try await store.offerReplay(output: "park", records: 10) == nil)
        #expect(try await store.replayDeadLetters(output: "park", seqs: nil) == 3)
        #expect(try await store.replayDeadLetters(output: "park", seqs: [3]) == 0)
        let first = try #require(try await store.offerReplay(output: "park", records: 10))
        // A batch is named by its range, so it holds all of that.
        #expect(first.polls.map(\.seq) == [3, 4] && first.polls[0].poll == poll(3))
        try await store.settleReplay(output: "park", accepted: [3], rejected: [Rejection(seq: 4, reason: "still no")])

        let again = try await open(try directory.copyOfJournal())
        for store in [store, again] {
            let state = await store.outputStates()[0]
            #expect(state.deadLetters == 2 && state.rejectedPolls == 2 && state.acceptedPolls == 8 && state.cursor == 10)
            let letters = try await store.deadLetters(output: "park", limit: 10)
            #expect(letters.map(\.reason) == ["still no", "no 7"] && letters.map(\.isReplaying) == [false, true])
            #expect(try await store.offerReplay(output: "park", records: 10)?.polls.map(\.seq) == [7])
            try await store.settleReplay(output: "park", accepted: [7], rejected: [])
            #expect(try await store.offerReplay(output: "park", records: 10) == nil)
        }
        await store.close()
    }

    @Test func aLetterThatIsTakenAfterARewindIsOneNoMore() async throws {
        let directory = TemporaryDirectory()
        let store = try await self.store(directory, rejecting: [3, 4, 7])
        #expect(try await store.replayDeadLetters(output: "park", seqs: [4]) == 1)
        try await store.rewind(output: "park", to: 3)
        // It comes by itself, and who got it before its turn might take those before it for repeats.
        #expect(try await store.offerReplay(output: "park", records: 10) == nil)
        #expect(try await slice(store, records: 3)?.last == 5)
        try await store.settle(output: "park", through: 5, accepted: 2, rejected: [Rejection(seq: 3, reason: "still no")])
        // What was taken a moment ago is not handed on a third time, though the file still has it.
        #expect(try await store.offerReplay(output: "park", records: 10) == nil)
        #expect(try await store.replayDeadLetters(output: "park", seqs: nil) == 2)
        let again = try await open(try directory.copyOfJournal())
        for store in [store, again] {
            #expect(try await store.deadLetters(output: "park", limit: 10).map(\.seq) == [3, 7])
            #expect(await store.outputStates()[0].deadLetters == 2)
            #expect(try await store.offerReplay(output: "park", records: 10)?.polls.map(\.seq) == [3])
        }
        await store.close()
    }

    /// Its copy is the only one, and nobody took it.
    @Test func aLetterWhosePollDidNotComeAgainStaysOne() async throws {
        let store = try await open(TemporaryDirectory())
        for start in [1, 6] { _ = try await store.commit(polls(start...start + 4)) }
        _ = try await slice(store)
        try await store.settle(
            output: "park", through: 10, accepted: 8, rejected: [3, 7].map { Rejection(seq: $0, reason: "no") })
        try await store.rewind(output: "park", to: 1)
        try await store.setForTest("DELETE FROM chunk WHERE first_seq = 1")
        #expect(try await slice(store)?.polls.map(\.seq) == [6, 7, 8, 9, 10])
        try await store.settle(output: "park", through: 10, accepted: 5, rejected: [])
        #expect(await store.outputStates()[0].deadLetters == 1)
        _ = try await store.commit([])
        #expect(try await store.deadLetters(output: "park", limit: 10).map(\.seq) == [3])
        #expect(await store.outputStates()[0].deadLetters == 1)
        await store.close()
    }

    @Test func droppedLettersAreGone() async throws {
        let directory = TemporaryDirectory()
        let store = try await self.store(directory, rejecting: [3, 4, 7])
        #expect(try await store.replayDeadLetters(output: "park", seqs: [3, 7]) == 2)
        #expect(try await store.dropDeadLetters(output: "park", seqs: [3, 9]) == 1)
        #expect(try await store.offerReplay(output: "park", records: 10)?.polls.map(\.seq) == [7])
        #expect(try await store.dropDeadLetters(output: "park", seqs: nil) == 2)
        #expect(try await store.offerReplay(output: "park", records: 10) == nil)
        _ = try await store.commit(polls(11...11))
        let again = try await open(try directory.copyOfJournal())
        for store in [store, again] {
            #expect(try await store.deadLetters(output: "park", limit: 10).isEmpty)
            #expect(await store.outputStates()[0].deadLetters == 0)
        }
        await store.close()
    }

    @Test func lettersPushedOutWhileTheyWaitForAReplayAreNotWaitedFor() async throws {
        let store = try await Store.open(
            directory: TemporaryDirectory().path, outputs: ["park"], time: ManualTime(),
            limits: StoreLimits(deadLetters: 1, ballastBytes: 0), logger: quiet)
        _ = try await store.commit(polls(1...4))
        _ = try await slice(store, records: 2)
        try await store.settle(output: "park", through: 2, accepted: 1, rejected: [Rejection(seq: 2, reason: "no")])
        #expect(try await store.replayDeadLetters(output: "park", seqs: nil) == 1)
        _ = try await slice(store)
        try await store.settle(output: "park", through: 4, accepted: 1, rejected: [Rejection(seq: 4, reason: "no")])
        _ = try await store.commit([])
        #expect(try await store.offerReplay(output: "park", records: 10) == nil)
        #expect(await store.outputStates()[0].deadLettersDropped == 1)
        await store.close()
    }
}
