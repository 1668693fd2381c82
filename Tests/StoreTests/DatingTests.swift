import Host
import Metering
import Store
import Testing

/// Nothing leaves the box with the date of a clock that was never set.
struct DatingTests {
    private static let boot = Timestamp(milliseconds: 1_000_000)
    private static let now = Timestamp(milliseconds: 1_795_459_200_000)

    /// A machine without a clock battery, just started.
    private func coldTime() -> ManualTime {
        let time = ManualTime()
        time.set(.unknown)
        time.setWall(DatingTests.boot)
        return time
    }

    private func open(
        _ directory: TemporaryDirectory, _ time: ManualTime, limits: StoreLimits = StoreLimits(ballastBytes: 0)
    ) async throws -> Store {
        try await Store.open(directory: directory.path, outputs: ["park"], time: time, limits: limits, logger: quiet)
    }

    private func poll(_ time: ManualTime) -> CountedPoll {
        CountedPoll(
            poll: Poll(entry: CatalogID(1), time: time.wall(), uptime: time.uptime(), clock: time.clockState().quality, answers: []),
            readings: 0)
    }

    private func offered(_ store: Store) async throws -> JournalSlice {
        guard case .slice(let slice) = try await store.offer(output: "park", records: 100, age: .zero) else {
            throw StoreError(.misuse, "nothing is offered")
        }
        return slice
    }

    @Test func whatWasReadBeforeTheFirstSyncWaitsForItAndGetsItsTime() async throws {
        let time = coldTime()
        let store = try await open(TemporaryDirectory(), time)
        _ = try await store.commit([poll(time)])
        time.advance(by: .seconds(600))
        let slice = try await offered(store)
        #expect(try await store.date(slice) == .hold(until: time.uptime() + .seconds(30)))
        time.set(.synchronized)
        time.setWall(DatingTests.now)
        _ = try await store.commit([])
        guard case .dated(let dated, let estimated) = try await store.date(slice) else {
            return #expect(Bool(false), "it is still held")
        }
        #expect(estimated.isEmpty)
        #expect(dated.polls.map(\.poll.time) == [DatingTests.now.advanced(by: .seconds(-600))])
        #expect(dated.polls.map(\.poll.clock) == [.informative])
        await store.close()
    }

    @Test func withoutASyncItWaitsADayAndThenLeavesWithTheEarliestTimeItCanHave() async throws {
        let time = coldTime()
        let store = try await open(TemporaryDirectory(), time)
        let read = poll(time)
        _ = try await store.commit([read])
        let slice = try await offered(store)
        time.advance(by: .seconds(86_399))
        #expect(try await store.date(slice) == .hold(until: time.uptime() + .seconds(1)))
        time.advance(by: .seconds(1))
        guard case .dated(let dated, let estimated) = try await store.date(slice) else {
            return #expect(Bool(false), "it is still held")
        }
        #expect(estimated == [1])
        let uptime = Duration.milliseconds(read.poll.uptime.nanoseconds / 1_000_000)
        #expect(dated.polls.map(\.poll.time) == [Store.earliestDate.advanced(by: uptime)])
        #expect(dated.polls.map(\.poll.clock) == [.relative])
        await store.close()
    }

    /// No synchronisation of this start of the machine says when the one before was.
    @Test func whatAnEarlierStartOfTheMachineReadIsNotWaitedFor() async throws {
        let directory = TemporaryDirectory()
        let before = ManualTime()
        let first = try await open(directory, before)
        let known = poll(before)
        _ = try await first.commit([known])
        _ = try await offered(first)
        try await first.settle(output: "park", through: 1, accepted: 1, rejected: [])
        await first.close()

        let cold = coldTime()
        let second = try await open(directory, cold)
        let read = poll(cold)
        _ = try await second.commit([read])
        try await second.pretendAnotherBoot()
        await second.close()

        let third = try await open(directory, ManualTime())
        let slice = try await offered(third)
        #expect(slice.polls.map(\.seq) == [2])
        guard case .dated(let dated, let estimated) = try await third.date(slice) else {
            return #expect(Bool(false), "it is held")
        }
        #expect(estimated == [2])
        // After everything that was read before it.
        let uptime = Duration.milliseconds(read.poll.uptime.nanoseconds / 1_000_000)
        #expect(dated.polls.map(\.poll.time) == [known.poll.time.advanced(by: uptime)])
        await third.close()
    }

    /// As after weeks without a time server, where each output asks for each of its slices.
    @Test func theJournalBeforeASliceIsNotReadToDateIt() async throws {
        let directory = TemporaryDirectory(fleeting: ())
        let before = try await Store.open(directory)
        let kept = pages(1200)
        try await before.fill(kept)
        await before.close()
        let disk = try #require(WriteLog())
        let time = coldTime()
        let store = try await Store.open(
            directory, time: time, limits: StoreLimits(ballastBytes: 0, undatedHold: .zero), fileSystem: disk.name)
        let read = poll(time).poll
        let slice = JournalSlice(first: 1201, last: 1201, polls: [StoredPoll(seq: 1201, poll: read)])
        let uptime = Duration.milliseconds(read.uptime.nanoseconds / 1_000_000)
        let reads = disk.reads
        for _ in 0..<5 {
            guard case .dated(let dated, _) = try await store.date(slice) else { return #expect(Bool(false), "it is held") }
            #expect(dated.polls.map(\.poll.time) == [kept[1199].poll.time.advanced(by: uptime)])
        }
        #expect(disk.reads - reads < 100, "\(disk.reads - reads) reads")
        await store.close()
    }

    /// The time server was lost, and someone set the clock back by decades: what it showed before was earlier all the same.
    @Test(arguments: [false, true]) func whatTheClockWasSetBackFromIsNotForgotten(_ restarts: Bool) async throws {
        let directory = TemporaryDirectory()
        let limits = StoreLimits(ballastBytes: 0, undatedHold: .zero)
        let time = ManualTime()
        var store = try await open(directory, time, limits: limits)
        let known = poll(time)
        _ = try await store.commit([known])
        time.set(.unknown)
        time.setWall(DatingTests.boot)
        _ = try await store.commit([poll(time)])
        if restarts {
            await store.close()
            store = try await open(directory, time, limits: limits)
        }
        time.advance(by: .seconds(5))
        let read = poll(time)
        _ = try await store.commit([read])
        let slice = JournalSlice(first: 3, last: 3, polls: [StoredPoll(seq: 3, poll: read.poll)])
        guard case .dated(let dated, let estimated) = try await store.date(slice) else { return #expect(Bool(false), "it is held") }
        #expect(estimated == [3])
        let uptime = Duration.milliseconds(read.poll.uptime.nanoseconds / 1_000_000)
        #expect(dated.polls.map(\.poll.time) == [known.poll.time.advanced(by: uptime)])
        await store.close()
    }

    @Test func tooManyToHoldAreNotHeld() async throws {
        let time = coldTime()
        let store = try await open(TemporaryDirectory(), time, limits: StoreLimits(ballastBytes: 0, undatedPolls: 5))
        _ = try await store.commit((1...5).map { _ in poll(time) })
        let slice = try await offered(store)
        guard case .hold = try await store.date(slice) else { return #expect(Bool(false), "it is not held") }
        _ = try await store.commit([poll(time)])
        guard case .dated(_, let estimated) = try await store.date(slice) else { return #expect(Bool(false), "it is held") }
        #expect(estimated == [1, 2, 3, 4, 5])
        await store.close()
    }

    @Test func onWishNothingIsHeldOrChanged() async throws {
        let time = coldTime()
        let store = try await open(TemporaryDirectory(), time, limits: StoreLimits(ballastBytes: 0, sendsUndated: true))
        _ = try await store.commit([poll(time)])
        let slice = try await offered(store)
        #expect(try await store.date(slice) == .dated(slice, estimated: []))
        await store.close()
    }
}
