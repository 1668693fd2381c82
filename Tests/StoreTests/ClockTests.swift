import Host
import Metering
import Testing

@testable import Store

struct ClockTests {
    private let second: Int64 = 1_000_000_000

    private func look(_ watch: inout ClockWatch, uptime: Int64, wall: Int64, isSynchronized: Bool = false) -> [ClockEvent] {
        watch.look(
            uptime: Uptime(nanoseconds: uptime * 1_000_000), wall: Timestamp(milliseconds: wall), isSynchronized: isSynchronized)
    }

    @Test func aStepIsToldByTheClockThatNeverSteps() {
        var watch = ClockWatch()
        #expect(look(&watch, uptime: 1000, wall: 50_000).isEmpty)
        #expect(look(&watch, uptime: 6000, wall: 55_400).isEmpty)
        #expect(look(&watch, uptime: 11_000, wall: 56_400).map(\.stepMilliseconds) == [-4000])
        #expect(look(&watch, uptime: 16_000, wall: 61_400).isEmpty)
        let later = look(&watch, uptime: 21_000, wall: 1_795_459_200_000, isSynchronized: true)
        #expect(later.map(\.kind) == [.step, .synchronized])
        #expect(look(&watch, uptime: 26_000, wall: 1_795_459_205_000, isSynchronized: true).isEmpty)
    }

    /// 0.5 ms a second is what a kernel steers with at most; it adds up to seconds, and is no step.
    @Test func steeringIsNoStep() {
        var watch = ClockWatch()
        for minute in 0..<1000 as Range<Int64> { #expect(look(&watch, uptime: minute * 60_000, wall: minute * 60_030).isEmpty) }
    }

    @Test func whatWasReadBeforeTheFirstSyncGetsItsTimeBack() async throws {
        let directory = TemporaryDirectory()
        let time = ManualTime()
        time.set(.unknown)
        time.setWall(Timestamp(milliseconds: 1_000_000))
        func poll() -> CountedPoll {
            CountedPoll(
                poll: Poll(
                    entry: CatalogID(1), time: time.wall(), uptime: time.uptime(), clock: time.clockState().quality, answers: []),
                readings: 0)
        }
        let first = try await Store.open(directory, time: time)
        _ = try await first.commit([poll()])
        #expect(try await first.timeCorrections().isEmpty)
        await first.close()

        // Another start of the daemon, the same of the machine; then the time server is found.
        time.advance(by: .seconds(60))
        let second = try await Store.open(directory, time: time)
        _ = try await second.commit([poll()])
        time.advance(by: .seconds(40))
        time.set(.synchronized)
        time.setWall(Timestamp(milliseconds: 1_795_459_200_000))
        _ = try await second.commit([poll()])
        let events = try await second.recordedClockEvents()
        #expect(events.map(\.kind) == [.step, .synchronized])
        let step: Int64 = 1_795_459_200_000 - 1_100_000
        #expect(events.map(\.stepMilliseconds) == [step, 0])

        let corrections = try await second.timeCorrections()
        #expect(corrections.map(\.seqs) == [1...1, 2...Int64.max])
        let corrected = try await second.read(first: 1, last: 3, limit: 10).map { stored in
            corrections.reduce(stored) { $1.corrected($0) }
        }
        #expect(corrected.map(\.poll.time.milliseconds) == [100_000, 40_000, 0].map { 1_795_459_200_000 - $0 })
        #expect(corrected.map(\.poll.clock) == [.informative, .informative, .synchronized])
        let now = time.wall()
        #expect(try await second.keptTimes() == now.advanced(by: .seconds(-100))...now, "as the export has them")
        await second.close()
    }

    @Test func aStepIsWrittenThoughNothingElseIs() async throws {
        let directory = TemporaryDirectory()
        let time = ManualTime()
        let store = try await Store.open(directory, time: time)
        #expect(try await store.commit([]) == nil)
        time.setWall(time.wall().advanced(by: .seconds(-3600)))
        #expect(try await store.commit([]) != nil)
        let copy = try await Store.open(try directory.copyOfJournal(), time: time)
        #expect(try await copy.recordedClockEvents().map(\.stepMilliseconds).contains(-3_600_000))
    }
}
