import Metering
import TestSupport
import Testing

struct IntervalBuilderTests {
    @Test func aCounterInStepWithTheClockGivesItsQuarterHours() throws {
        var plant = try IntervalPlant()
        plant.run(to: 3601) { 5_000_000 + $0 }
        plant.finish()
        try #require(plant.intervals.count == 5)
        #expect(plant.advances.map { $0?.integer } == [900, 900, 900, 900, nil])
        let second = plant.intervals[1]
        #expect(second.start.rfc3339 == "2026-11-24T06:15:00.000Z" && second.end.rfc3339 == "2026-11-24T06:30:00.000Z")
        let counter = try #require(second.counters.first)
        #expect(
            counter.open == BoundaryReading(value: ExactDecimal(5_000_900), time: IntervalPlant.at(900), way: .read)
                && counter.close == BoundaryReading(value: ExactDecimal(5_001_800), time: IntervalPlant.at(1800), way: .read))
        #expect(counter.samples == 15 && counter.expected == 15 && second.quality == .good && second.clock == .synchronized)
        #expect(plant.intervals.map(\.isComplete) == [true, true, true, true, false])
    }

    @Test func aConstantValueForADayStillGivesEveryInterval() throws {
        var plant = try IntervalPlant()
        plant.run(to: 86_400 + 120) { _ in 7_000_000 }
        plant.finish()
        #expect(plant.intervals.count == 97)
        #expect(plant.intervals.prefix(96).allSatisfy { $0.quality == .good && $0.counters.first?.advance == .zero })
        #expect(Set(plant.intervals.map(\.start)).count == 97)
    }

    @Test func aDayWithoutAReadingGivesIntervalsThatSaySo() throws {
        var plant = try IntervalPlant(from: IntervalPlant.start)
        plant.now = 86_400
        plant.finish()
        #expect(plant.intervals.count == 97)
        for interval in plant.intervals {
            #expect(interval.quality.contains(.noCommunication) && interval.polls == 0 && interval.clock == nil)
            #expect(interval.counters.map(\.advance) == [nil] && interval.counters.map(\.open) == [nil])
            #expect(interval.gauges.map(\.mean) == [nil])
        }
    }

    @Test func aGapIsNotZeroAndItsEnergyComesWithTheFirstReadingAfterIt() throws {
        var plant = try IntervalPlant()
        plant.run(to: 1200) { 100_000 + $0 }
        plant.run(to: 5520) { _ in nil }
        plant.run(to: 7300) { 100_000 + $0 }
        plant.finish()
        let known = plant.advances.map { $0?.integer }
        // Read up to 06:19, then again from 07:32 on.
        #expect(known.prefix(8) == [900, 240, nil, nil, nil, nil, 5160, 900])
        #expect(plant.booked == ExactDecimal(7260))
        let silent = plant.intervals[3]
        #expect(silent.quality.contains(.noCommunication) && silent.failedPolls == 15 && silent.polls == 0)
        #expect(silent.counters.first?.close?.way == .carried && silent.counters.first?.close?.time == IntervalPlant.at(1140))
        #expect(plant.intervals[6].counters.first?.quality == [.lateRead, .partial])
        #expect(plant.intervals[6].events == [IntervalEvent(.gap, time: IntervalPlant.at(5520), since: IntervalPlant.at(1140))])
        #expect(plant.intervals[1].counters.first?.quality == [.partial, .lateRead])
    }

    @Test func theReadingNearestToTheBoundaryClosesTheInterval() throws {
        var plant = try IntervalPlant()
        plant.run(to: 850) { $0 }
        plant.now = 898
        plant.poll(898)
        plant.now = 901
        plant.poll(901)
        plant.run(to: 1900) { $0 }
        plant.finish()
        #expect(plant.intervals.first?.counters.first?.close?.time == IntervalPlant.at(901))
        plant = try IntervalPlant()
        plant.run(to: 850) { $0 }
        plant.now = 899
        plant.poll(899)
        plant.now = 903
        plant.run(to: 1900) { $0 }
        plant.finish()
        #expect(plant.intervals.first?.counters.first?.close?.time == IntervalPlant.at(899))
        #expect(plant.intervals.first?.counters.first?.close?.way == .read)
    }

    @Test func aReadingTooFarFromTheBoundaryIsMarkedAndNotMoved() throws {
        var plant = try IntervalPlant()
        plant.now = 30
        plant.run(to: 3700) { $0 }
        plant.finish()
        let counter = try #require(plant.intervals[1].counters.first)
        #expect(counter.close?.time == IntervalPlant.at(1770) && counter.close?.value == ExactDecimal(1770))
        #expect(counter.close?.way == .late && counter.quality == .lateRead)
        #expect(counter.advance == ExactDecimal(900))
    }

    @Test func theOpeningIsTheClosingOfTheIntervalBefore() throws {
        var plant = try IntervalPlant()
        plant.now = 7
        plant.run(to: 20_000, every: 37) { $0 * 3 }
        plant.finish()
        for (before, after) in zip(plant.intervals, plant.intervals.dropFirst()) {
            #expect(before.counters.first?.close?.value == after.counters.first?.open?.value)
            #expect(before.end == after.start)
        }
    }

    @Test func oneWrongValueAtTheBoundaryCostsNothing() throws {
        var plant = try IntervalPlant()
        plant.run(to: 3700) { $0 == 900 ? 0 : 1_000_000 + $0 }
        plant.finish()
        #expect(plant.booked == ExactDecimal(3660))
        #expect(plant.events.map(\.kind) == [.glitch])
        #expect(plant.events.first?.before == .number(ExactDecimal(1_000_840)) && plant.events.first?.after == .number(.zero))
        #expect(plant.advances.compactMap { $0 }.allSatisfy { $0 >= .zero && $0 <= ExactDecimal(1000) })
    }

    @Test func aRolloverAndAResetAreNamed() throws {
        var plant = try IntervalPlant()
        plant.run(to: 1500) { (4_294_967_296 - 570 + $0) % 4_294_967_296 }
        plant.run(to: 3000) { $0 - 1490 }
        plant.finish()
        #expect(plant.events.map(\.kind) == [.rollover, .counterReset])
        // 24 distances with a rollover among them, 25 after the reset; across it nothing is known.
        #expect(plant.booked == ExactDecimal(1440 + 1440))
        #expect(plant.intervals[0].counters.first?.quality == .registerBreak)
        #expect(plant.intervals[1].counters.first?.quality == .registerBreak)
    }

    @Test func anExchangedMeterSplitsTheCounterAndIsNamed() throws {
        var plant = try IntervalPlant()
        plant.poll(5_000_000, serial: 111)
        plant.now = 60
        plant.run(to: 1200) { 5_000_000 + $0 }
        plant.run(to: 1500) { _ in nil }
        plant.poll(700, serial: 222)
        plant.now += 60
        plant.run(to: 3000) { 700 + $0 - 1500 }
        plant.finish()
        #expect(plant.booked == ExactDecimal(1140 + 1440))
        let exchanges = plant.events.filter { $0.kind == .deviceExchanged }
        try #require(exchanges.count == 2)
        #expect(
            exchanges[0]
                == IntervalEvent(
                    .deviceExchanged, time: IntervalPlant.at(1500), before: .text("111"), after: .text("222"), since: IntervalPlant.at(0)))
        #expect(
            exchanges[1]
                == IntervalEvent(
                    .deviceExchanged, time: IntervalPlant.at(1500), quantity: "energy_active_import",
                    before: .number(ExactDecimal(5_001_140)), after: .number(ExactDecimal(700)), since: IntervalPlant.at(1140)))
        #expect(plant.intervals.map(\.serial) == ["111", "222", "222", "222"])
        #expect(plant.advances.compactMap { $0 }.allSatisfy { $0 >= .zero })
        #expect(plant.intervals[1].counters.first?.quality.contains(.registerBreak) == true)
    }

    @Test func aMeterThatDoesNotSayWhoItIsIsMarked() throws {
        var plant = try IntervalPlant()
        plant.poll(1, power: 1, serial: 111)
        plant.now = 60
        plant.run(to: 600) { $0 }
        plant.run(to: 1000) { _ in nil }
        plant.run(to: 2000) { $0 }
        plant.poll(2000, power: 1, serial: 111)
        plant.now += 60
        plant.run(to: 4600) { $0 }
        plant.finish()
        #expect(plant.intervals.map { $0.quality.contains(.identityUnverified) } == [false, true, true, false, false, false])
        #expect(plant.events.map(\.kind) == [.gap])
    }

    @Test func aGaugeCountsForAsLongAsItStands() throws {
        var plant = try IntervalPlant()
        // 100 W for ten minutes of each quarter hour, 400 W for five.
        while plant.now < 1900 {
            plant.poll(nil, power: plant.now % 900 < 600 ? 100 : 400)
            // Asked twice as often while it is high: a mean of the samples would be wrong.
            plant.now += plant.now % 900 < 600 ? 4 : 2
        }
        plant.finish()
        let gauge = try #require(plant.intervals[0].gauges.first)
        #expect(gauge.minimum == ExactDecimal(100) && gauge.maximum == ExactDecimal(400) && gauge.mean == ExactDecimal(200))
        #expect(gauge.samples == 300)
    }

    @Test func theClockSetForwardCutsAnIntervalAndPassesOverOthers() throws {
        var plant = try IntervalPlant()
        plant.run(to: 1200) { 1000 + $0 }
        plant.ahead = 3600
        plant.run(to: 3000) { 1000 + $0 }
        plant.finish()
        #expect(plant.booked == ExactDecimal(2940))
        #expect(plant.events == [IntervalEvent(.clockStep, time: IntervalPlant.at(4800), stepMilliseconds: 3_600_000)])
        #expect(plant.intervals.map(\.start.milliseconds) == (0..<8).map { IntervalPlant.start.milliseconds + $0 * 900_000 })
        for index in 1...5 { #expect(plant.intervals[index].quality.isSuperset(of: [.partial, .timeUnsynchronized])) }
        #expect(!plant.intervals[3].quality.contains(.noCommunication) && plant.intervals[6].quality == .good)
    }

    @Test func theClockSetBackGivesAnotherSegmentAndNoIntervalTwice() throws {
        var plant = try IntervalPlant()
        plant.run(to: 4000) { 1000 + $0 }
        plant.ahead = -3000
        plant.run(to: 9000) { 1000 + $0 }
        plant.finish()
        #expect(plant.booked == ExactDecimal(8940))
        let keys = plant.intervals.map { "\($0.start.milliseconds) \($0.segment)" }
        #expect(Set(keys).count == keys.count)
        #expect(plant.intervals.map(\.segment) == [0, 0, 0, 0, 0, 1, 1, 1, 1, 0, 0])
        #expect(plant.events.map(\.kind) == [.clockStep])
    }

    @Test func aRestartOfTheMachineIsNoClockStep() throws {
        var plant = try IntervalPlant()
        plant.run(to: 1200) { 1000 + $0 }
        plant.boot = 1
        plant.ahead = 1100
        plant.now = 300
        plant.run(to: 2400) { $0 + 2100 }
        plant.finish()
        #expect(plant.events.map(\.kind) == [.gap])
        #expect(plant.booked == ExactDecimal(3440))
    }

    @Test func aClockThatNobodyComparedMarksTheInterval() throws {
        var plant = try IntervalPlant()
        plant.clock = .unknown
        plant.run(to: 1000) { 1000 + $0 }
        plant.finish()
        #expect(plant.intervals[0].clock == .unknown && plant.intervals[0].quality == .timeUnsynchronized)
    }

    @Test func aCorrectedProfileSplitsTheCounter() throws {
        var plant = try IntervalPlant()
        plant.run(to: 1200) { 1000 + $0 }
        let scaled = IntervalPlant.profile.replacing("unit = \"Wh\"", with: "unit = \"Wh\"\nscale = 10")
        plant.builder.use(ReadingDecoder(profile: try Profile(toml: scaled, file: "meter.toml")), unit: 1)
        plant.run(to: 2400) { 1000 + $0 }
        plant.finish()
        #expect(plant.booked == ExactDecimal(1140 + 11_400))
        #expect(plant.events.map(\.kind) == [.profileChanged])
        let before = plant.booked
        // The same definition under another text goes on as if nothing had been.
        plant = try IntervalPlant()
        plant.run(to: 1200) { 1000 + $0 }
        let renamed = IntervalPlant.profile.replacing("source = \"none\"", with: "source = \"a manual\"")
        plant.builder.use(ReadingDecoder(profile: try Profile(toml: renamed, file: "meter.toml")), unit: 1)
        plant.run(to: 2400) { 1000 + $0 }
        plant.finish()
        #expect(plant.booked == ExactDecimal(2340) && plant.events.isEmpty && before != plant.booked)
    }

    /// Hundreds of days as they come: the sum of the intervals is what was counted, their keys are unique, none is negative.
    @Test func theIntervalsOfAnyDayAddUpToWhatWasCounted() throws {
        for seed in UInt64(1)...300 {
            var generator = SeededGenerator(seed: seed)
            var plant = try IntervalPlant()
            var count = 1_000_000
            var first: Int?
            var last = 0
            let period = [1, 7, 60, 300, 900].randomElement(using: &generator) ?? 60
            for _ in 0..<Int.random(in: 20...300, using: &generator) {
                count += Int.random(in: 0...20, using: &generator)
                switch Int.random(in: 0...19, using: &generator) {
                case 0: plant.poll(nil)
                case 1: plant.now += Int.random(in: 0...20_000, using: &generator)
                case 2: plant.ahead += Int.random(in: -4000...4000, using: &generator)
                case 3: plant.boot += 1
                default:
                    plant.poll(count, milliseconds: Int.random(in: 0...900, using: &generator))
                    first = first ?? count
                    last = count
                }
                plant.now += period
            }
            plant.finish()
            #expect(plant.booked == ExactDecimal(Int64(last - (first ?? last))), "seed \(seed)")
            #expect(plant.advances.compactMap { $0 }.allSatisfy { $0 >= .zero }, "seed \(seed)")
            let keys = plant.intervals.map { "\($0.start.milliseconds) \($0.segment)" }
            #expect(Set(keys).count == keys.count, "seed \(seed)")
            if plant.booked != ExactDecimal(Int64(last - (first ?? last))) { return }
        }
    }
}
