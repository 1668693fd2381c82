import Host
import Metering
import Testing

@testable import Store

/// What is old is told by when it was read, not by what a clock said that nobody had set.
struct AgeTests {
    private let right = Timestamp(milliseconds: 1_795_459_200_000)
    private let directory = TemporaryDirectory()
    private let time = ManualTime()

    private func open() async throws -> Store {
        try await Store.open(directory, time: time, limits: StoreLimits(retention: .seconds(600), ballastBytes: 0))
    }

    /// One poll a commit, each handed on, 60 s apart.
    private func live(_ store: Store, commits: Int) async throws {
        for _ in 0..<commits {
            time.advance(by: .seconds(60))
            let poll = Poll(
                entry: CatalogID(1), time: time.wall(), uptime: time.uptime(), clock: time.clockState().quality, answers: [])
            let receipt = try #require(try await store.commit([CountedPoll(poll: poll, readings: 1)]))
            _ = try await store.range("park")
            try await store.settle(output: "park", through: receipt.last, accepted: 1, rejected: [])
        }
    }

    /// The polls that are kept after a commit that looks for old ones.
    private func kept(_ store: Store, after seconds: Int) async throws -> Int {
        time.advance(by: .seconds(seconds))
        await store.haveSomethingToCommit()
        _ = try await store.commit([])
        return await store.journalState().polls
    }

    private func set(_ wall: Timestamp, _ quality: TimeQuality) {
        time.setWall(wall)
        time.set(quality)
    }

    /// 1970, a wrong year, years ahead, and a time server that lied for a while.
    private static let clocks: [(Int64, TimeQuality)] = [
        (1_000_000, .unknown), (1_700_000_000_000, .unknown), (2_100_000_000_000, .unknown), (2_100_000_000_000, .synchronized),
    ]

    @Test(arguments: AgeTests.clocks) func aWrongClockMakesNothingOldAndKeepsNothingForEver(
        _ wall: Int64, _ quality: TimeQuality
    ) async throws {
        set(Timestamp(milliseconds: wall), quality)
        let store = try await open()
        try await live(store, commits: 3)
        set(right, .synchronized)
        try await live(store, commits: 2)
        // They were read 240, 180, 120, 60 and 0 s ago.
        #expect(try await kept(store, after: 60) == 5)
        #expect(try await kept(store, after: 340) == 4)
        #expect(try await kept(store, after: 60) == 3)
        #expect(try await kept(store, after: 180) == 0)
        #expect(await store.journalState().lostPolls == 0)
        await store.close()
    }

    /// The machine was started anew; of the start before, the uptimes tell nothing any more.
    @Test(arguments: [Int64(1_000_000), 2_100_000_000_000]) func whatAnEarlierStartCouldNotDateAgesFromTheNextSync(_ wall: Int64)
        async throws
    {
        set(Timestamp(milliseconds: wall), .unknown)
        let first = try await open()
        try await live(first, commits: 3)
        try await first.beOfAnotherBoot()
        await first.close()
        set(right, .synchronized)
        let store = try await open()
        try await live(store, commits: 1)
        #expect(try await kept(store, after: 520) == 4)
        #expect(try await kept(store, after: 60) == 1)
        await store.close()
    }

    @Test func whatAnEarlierStartDatedLaterAgesFromWhenItWasRead() async throws {
        set(Timestamp(milliseconds: 1_000_000), .unknown)
        let first = try await open()
        try await live(first, commits: 2)
        set(right, .synchronized)
        try await live(first, commits: 1)
        try await first.beOfAnotherBoot()
        await first.close()
        let store = try await open()
        #expect(try await kept(store, after: 470) == 3)
        #expect(try await kept(store, after: 60) == 2)
        #expect(try await kept(store, after: 120) == 0)
        await store.close()
    }

    /// The time server was lost, and someone set the clock back by years.
    @Test func aClockThatWasSetBackLaterMakesNothingOld() async throws {
        let store = try await open()
        try await live(store, commits: 2)
        set(Timestamp(milliseconds: 1_000_000_000_000), .unknown)
        try await live(store, commits: 1)
        set(right.advanced(by: .seconds(180)), .synchronized)
        #expect(try await kept(store, after: 500) == 2)
        #expect(try await kept(store, after: 90) == 1)
        #expect(try await kept(store, after: 60) == 0)
        await store.close()
    }

    /// Of a run whose clock is right, nothing is decoded to tell its age: that would show here as damage.
    @Test func aRightClockCostsNoDecoding() async throws {
        let store = try await open()
        try await live(store, commits: 3)
        try await store.spoilTheBodies()
        #expect(try await kept(store, after: 700) == 0)
        #expect(await store.damagedChunks.isEmpty)
        await store.close()
    }
}

extension Store {
    /// As if the machine had been started anew since.
    func beOfAnotherBoot() throws { try opened().execute("UPDATE run SET boot = 'before'") }

    func haveSomethingToCommit() { isDirty = true }

    func spoilTheBodies() throws {
        cache = []
        try opened().execute("UPDATE chunk SET body = x'00'")
    }
}
