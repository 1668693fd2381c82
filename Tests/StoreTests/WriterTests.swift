import Host
import Metering
import Testing

@testable import Store

struct WriterTests {
    private func makeWriter(_ store: Store, _ time: ManualTime, limits: StoreLimits = StoreLimits()) -> JournalWriter {
        JournalWriter(store: store, interval: .seconds(5), time: time, limits: limits, logger: quiet)
    }

    @Test func takenPollsAreCommittedOnceEveryInterval() async throws {
        let time = ManualTime()
        let store = try await Store.open(TemporaryDirectory(), time: time)
        let writer = makeWriter(store, time)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { await writer.run() }
            for number in 1...3 { writer.take(poll(number), readings: 2) }
            try await tick(time, .seconds(4))
            #expect(store.commits.last == 0)
            try await tick(time, .seconds(1))
            #expect(await writer.waitForCommit(after: 0) == 3)
            group.cancelAll()
        }
        #expect(writer.waitingPolls == 0)
    }

    @Test func stoppingCommitsEverythingTaken() async throws {
        let time = ManualTime()
        let store = try await Store.open(TemporaryDirectory(), time: time)
        let writer = makeWriter(store, time)
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await writer.run() }
            for number in 1...7 { writer.take(poll(number), readings: 2) }
            group.cancelAll()
        }
        #expect(await store.journalState().lastSeq == 7)
    }

    @Test func aSettlementIsCommittedWithoutAnyPoll() async throws {
        let time = ManualTime()
        let directory = TemporaryDirectory()
        let store = try await Store.open(directory, time: time)
        _ = try await store.commit(polls(1...3))
        _ = try await store.range("park")
        try await store.settle(output: "park", through: 3, accepted: 3, rejected: [])
        await makeWriter(store, time).commitAll()
        let copy = try await Store.open(try directory.copyOfJournal())
        #expect(await copy.outputStates()[0].cursor == 3)
    }

    @Test func theRingDropsTheOldestAndCountsThem() async throws {
        let time = ManualTime()
        let store = try await Store.open(TemporaryDirectory(), time: time)
        let writer = makeWriter(store, time, limits: StoreLimits(ringPolls: 100))
        for number in 1...250 { writer.take(poll(number), readings: 2) }
        #expect(writer.waitingPolls == 100)
        #expect(await writer.commitAll())
        #expect(try await store.read(first: 1, last: 500, limit: 500).map(\.poll) == polls(151...250).map(\.poll))
        let state = await store.journalState()
        #expect(state.lostPolls == 150 && state.lostReadings == 300)
        let loss = try await store.recordedLosses()
        #expect(loss.map(\.cause) == [.notCommitted])
        #expect(loss.first?.firstTime == poll(1).time && loss.first?.lastTime == poll(150).time)
    }

    @Test func theRingIsBoundedInBytesToo() {
        var ring = PollRing(polls: 1000, bytes: 10 * PollRing.cost(of: polls(1...1)[0]))
        for poll in polls(1...25) { ring.append(poll) }
        #expect(ring.count == 10)
        #expect(ring.takeLoss()?.polls == 15)
        #expect(ring.takeAll() == polls(16...25))
        #expect(ring.count == 0 && ring.usedBytes == 0)
    }

    @Test func aFullDiskKeepsTheNewestAndHealsByItself() async throws {
        let time = ManualTime()
        let store = try await Store.open(TemporaryDirectory(), time: time)
        let writer = makeWriter(store, time, limits: StoreLimits(ringPolls: 1000))
        try await store.limitPages(extra: 0)
        var generator = SeededGenerator(seed: 51)
        let large = plant(devices: 100, rounds: 30, values: 40, using: &generator)
        for poll in large[..<500] { writer.take(poll.poll, readings: poll.readings) }
        #expect(await writer.commitAll() == false)
        #expect(writer.lastError?.code == .full)
        for poll in large[500...] { writer.take(poll.poll, readings: poll.readings) }
        #expect(await writer.commitAll() == false)
        #expect(writer.waitingPolls == 1500)
        try await store.limitPages(extra: 100_000)
        #expect(await writer.commitAll())
        #expect(writer.lastError == nil)
        let kept = try await store.read(first: 1, last: 5000, limit: 5000).map(\.poll)
        #expect(kept == (large[..<500] + large[2000...]).map(\.poll))
        let state = await store.journalState()
        #expect(state.polls + state.lostPolls == large.count)
        #expect(state.lostReadings == 40 * state.lostPolls)
    }

    @Test func waitingForACommitEndsWhenCancelled() async throws {
        let store = try await Store.open(TemporaryDirectory())
        await withTaskGroup(of: Int64.self) { group in
            group.addTask { await store.commits.next(after: 10) }
            group.cancelAll()
            for await seq in group { #expect(seq == 0) }
        }
    }

    @Test func theHeartBeatsWhileTheDiskFails() async throws {
        let time = ManualTime()
        let store = try await Store.open(TemporaryDirectory(), time: time)
        let writer = makeWriter(store, time)
        await store.close()
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { await writer.run() }
            try await tick(time, .seconds(12))
            #expect(writer.heartbeat == time.uptime())
            #expect(writer.lastError?.code == .closed)
            group.cancelAll()
        }
    }

    /// Moves the time on second by second, each time once the writer sleeps.
    private func tick(_ time: ManualTime, _ duration: Duration) async throws {
        for _ in 0..<Int(duration.seconds) {
            try await untilAsleep(time)
            time.advance(by: .seconds(1))
        }
        try await untilAsleep(time)
    }

    private func untilAsleep(_ time: ManualTime) async throws {
        let end = ContinuousClock.now + .seconds(60)
        while time.sleepers == 0, ContinuousClock.now < end { try await Task.sleep(for: .milliseconds(1)) }
        try #require(time.sleepers > 0)
    }
}
