import Host
import Metering
import TestSupport
import Testing

@testable import Store

struct IntervalListingTests {
    private static let profile = """
        profile = "count"
        version = 1
        vendor = "V"
        models = ["M"]
        source = "none"
        [[point]]
        quantity = "energy_active_import"
        table = "input"
        type = "uint32"
        address = 0
        unit = "Wh"
        """
    private static let start = Timestamp(milliseconds: 1_795_478_400_000)  // 2026-11-24T00:00:00Z

    private func entry(_ device: String) -> CatalogEntry {
        CatalogEntry(device: device, unit: 1, role: .load, profile: "count", profileText: IntervalListingTests.profile)
    }

    /// - Parameter second: since `start`; the counter gains a Wh a second.
    private func poll(_ id: CatalogID, _ second: Int, clock: TimeQuality = .synchronized, wall: Timestamp? = nil) -> CountedPoll {
        let count = 1_000_000 + second
        let answer = BlockAnswer(block: Block(.input, 0, count: 2), outcome: .words([UInt16(count >> 16), UInt16(count & 0xFFFF)]))
        return CountedPoll(
            poll: Poll(
                entry: id, time: wall ?? IntervalListingTests.start.advanced(by: .seconds(second)),
                uptime: Uptime(nanoseconds: Int64(second + 1) * 1_000_000_000), clock: clock, answers: [answer]), readings: 1)
    }

    private func intervals(_ listing: IntervalListing, _ store: Store, now: Int = 100_000) async throws -> [Interval] {
        var all: [Interval] = []
        try await listing.run(on: store, now: IntervalListingTests.start.advanced(by: .seconds(now))) { all += $0 }
        return all
    }

    private func at(_ second: Int) -> Timestamp { IntervalListingTests.start.advanced(by: .seconds(second)) }

    /// A day of two devices, a poll each every half minute, ten minutes a commit.
    private func day(_ directory: TemporaryDirectory) async throws -> Store {
        let store = try await Store.open(directory, outputs: [])
        let ids = try await store.adopt([entry("main"), entry("hall")])
        for commit in 0..<144 {
            _ = try await store.commit((0..<20).flatMap { step in ids.map { poll($0, commit * 600 + step * 30) } })
        }
        return store
    }

    @Test func aDayGivesNinetySixIntervalsOfEachDevice() async throws {
        let store = try await day(TemporaryDirectory(fleeting: ()))
        let all = try await intervals(IntervalListing(from: at(0), until: at(86_400)), store)
        for device in ["main", "hall"] {
            let own = all.filter { $0.device == device }
            #expect(own.map(\.start) == (0..<96).map { at($0 * 900) })
            #expect(own.dropLast().allSatisfy { $0.counters.first?.advance == ExactDecimal(900) && $0.isComplete })
        }
        #expect(all.map(\.start) == all.map(\.start).sorted())
        await store.close()
    }

    /// Whatever part is asked for, an interval says the same.
    @Test func aPartOfTheDaySaysTheSameAsTheWhole() async throws {
        let store = try await day(TemporaryDirectory(fleeting: ()))
        let all = try await intervals(IntervalListing(devices: ["main"], from: at(0), until: at(86_400)), store)
        for (from, until) in [(28_800, 32_400), (79_200, 82_800), (8100, 9000)] {
            let part = try await intervals(IntervalListing(devices: ["main"], from: at(from), until: at(until)), store)
            #expect(part == all.filter { $0.start >= at(from) && $0.start < at(until) }, "\(from)")
        }
        await store.close()
    }

    /// The parts of the journal outside the time asked for are found by halving, not by reading.
    @Test func whatLiesOutsideTheTimeIsNotRead() async throws {
        let store = try await day(TemporaryDirectory(fleeting: ()))
        let run = try #require(try await store.keptRuns().first)
        #expect(run.seqs == 1...5760 && run.boot == 1)
        let result = try await IntervalListing(from: at(43_200), until: at(44_100)).run(on: store, now: at(100_000)) { _ in }
        #expect(result.intervals == 2)
        // Two hours before, half an hour after, and the commits at the edges.
        #expect(result.polls >= 2 * 330 && result.polls <= 2 * 370, "\(result.polls)")
        await store.close()
    }

    @Test func aSilentDeviceIsToldOfToo() async throws {
        let store = try await day(TemporaryDirectory(fleeting: ()))
        let listing = IntervalListing(from: at(3600), until: at(7200), known: [entry("main"), entry("cellar")])
        let all = try await intervals(listing, store)
        let silent = all.filter { $0.device == "cellar" }
        #expect(silent.map(\.start) == (4..<8).map { at($0 * 900) })
        #expect(silent.allSatisfy { $0.quality == .noCommunication && $0.counters.map(\.advance) == [nil] })
        await store.close()
    }

    /// Ten meters that were off for a month and came back: what is told of them comes by handfuls, and all of it comes.
    @Test func aMonthOfSilenceIsToldByHandfuls() async throws {
        let store = try await Store.open(TemporaryDirectory(fleeting: ()), outputs: [])
        let month = 30 * 86_400
        let ids = try await store.adopt((1...10).map { entry("d\($0)") })
        _ = try await store.commit((0..<4).flatMap { step in ids.map { poll($0, step * 10) } })
        _ = try await store.commit((0..<4).flatMap { step in ids.map { poll($0, month + step * 10) } })
        var starts: [String: [Timestamp]] = [:]
        var advance = ExactDecimal(0)
        var largest = 0
        let listing = IntervalListing(from: at(0), until: at(month + 900))
        let result = try await listing.run(on: store, now: at(month + 1000)) { intervals in
            largest = max(largest, intervals.count)
            for interval in intervals {
                starts[interval.device, default: []].append(interval.start)
                if interval.device == "d7", let own = interval.counters.first?.advance { advance = advance.adding(own) ?? advance }
            }
        }
        #expect(largest <= IntervalListing.handful)
        #expect(starts.count == 10 && starts.values.allSatisfy { $0 == (0...month / 900).map { at($0 * 900) } })
        #expect(result.intervals == 10 * (month / 900 + 1))
        #expect(advance == ExactDecimal(Int64(month) + 30), "\(advance)")
        await store.close()
    }

    @Test func aYearOfSilenceIsAFewRunsInMemory() throws {
        let profile = try Profile(toml: IntervalListingTests.profile, file: "count.toml")
        var builder = IntervalBuilder(device: "d")
        builder.use(ReadingDecoder(profile: profile, invert: false), unit: 1)
        var runs = IntervalRuns()
        var all: [Interval] = []
        let year = 365 * 86_400
        for second in [0, 10, 20, 30, year, year + 10, year + 20] {
            builder.take(poll(CatalogID(1), second).poll, boot: 1) { (interval: Interval) in
                runs.append(interval)
                all.append(interval)
            }
        }
        builder.finish(at: at(year + 1800)) { (interval: Interval) in
            runs.append(interval)
            all.append(interval)
        }
        #expect(all.count > 35_000)
        #expect(runs.kept <= 6, "\(runs.kept)")
        #expect(Array(runs) == all, "nothing is lost or changed")
    }

    /// Read before the clock was set, dated back by the first synchronisation: the energy is in the hour in which it was used.
    @Test func whatWasReadBeforeTheClockWasSetIsInItsQuarterHour() async throws {
        let time = ManualTime()
        time.set(.unknown)
        let far = at(-3 * 86_400)
        time.setWall(far)
        let store = try await Store.open(TemporaryDirectory(fleeting: ()), outputs: [], time: time)
        let id = try await store.adopt(entry("main"))
        // The machine has run for 1000 s; the uptimes of these polls are later ones.
        func early(_ second: Int) -> CountedPoll {
            var early = poll(id, second, clock: .unknown, wall: far.advanced(by: .seconds(second)))
            early.poll.uptime = Uptime(nanoseconds: 1_000_000_000_000 + Int64(second) * 1_000_000_000)
            return early
        }
        _ = try await store.commit((0..<60).map { early($0 * 30) })
        time.advance(by: .seconds(1800))
        time.set(.synchronized)
        time.setWall(at(1800))
        _ = try await store.commit([])
        let later = (60..<130).map { step in
            var later = poll(id, step * 30)
            later.poll.uptime = Uptime(nanoseconds: 1_000_000_000_000 + Int64(step) * 30_000_000_000)
            return later
        }
        _ = try await store.commit(later)
        let all = try await intervals(IntervalListing(from: at(0), until: at(3600)), store)
        #expect(all.map(\.start) == (0..<4).map { at($0 * 900) })
        #expect(all.compactMap { $0.counters.first?.advance } == [900, 900, 900, 900].map { ExactDecimal($0) })
        #expect(all.map(\.clock) == [.informative, .informative, .synchronized, .synchronized])
        await store.close()
    }

    @Test func whatCannotBeDecodedIsCounted() async throws {
        let store = try await Store.open(TemporaryDirectory(fleeting: ()), outputs: [])
        let id = try await store.adopt(entry("main"))
        _ = try await store.commit([poll(id, 0), poll(CatalogID(77), 1), poll(id, 2)])
        let result = try await IntervalListing(from: at(0), until: at(900)).run(on: store, now: at(900)) { _ in }
        #expect(result.undecodable == 1 && result.polls == 2)
        await store.close()
    }

    @Test func anEmptyJournalHasNoIntervals() async throws {
        let store = try await Store.open(TemporaryDirectory(fleeting: ()), outputs: [])
        #expect(try await intervals(IntervalListing(from: at(0), until: at(3600), known: [entry("main")]), store).isEmpty)
        await store.close()
    }
}
