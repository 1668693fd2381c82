import Metering
import TestSupport
import Testing

/// One counter that is read once a second, told as text: `1000 . 1010` are two readings with a failed poll between.
struct CounterTrackTests {
    private static let plain = CounterRange(lastDigit: ExactDecimal(1), maximumPerHour: ExactDecimal(1_000_000_000))

    private func reading(_ value: ExactDecimal, at second: Int, boot: Int = 0, followsGap: Bool = false) -> CounterReading {
        CounterReading(
            value: value, time: Timestamp(milliseconds: 1_795_459_200_000 + Int64(second) * 1000),
            uptime: Uptime(nanoseconds: Int64(second) * 1_000_000_000), boot: boot, followsGap: followsGap)
    }

    private func steps(_ text: String, range: CounterRange = CounterTrackTests.plain, every seconds: Int = 1) -> [CounterStep] {
        var track = CounterTrack(range: range)
        var steps: [CounterStep] = []
        var isGap = false
        for (index, word) in text.split(separator: " ").enumerated() {
            guard let value = ExactDecimal(String(word)) else {
                isGap = true
                continue
            }
            if let step = track.take(reading(value, at: index * seconds, followsGap: isGap)) { steps.append(step) }
            isGap = false
        }
        if let step = track.finish() { steps.append(step) }
        return steps
    }

    private func booked(_ steps: [CounterStep]) -> ExactDecimal {
        steps.reduce(.zero) { $0.adding($1.advance) ?? $0 }
    }

    private func kinds(_ steps: [CounterStep]) -> [CounterStep.Kind] { steps.map(\.kind) }

    @Test func aCounterThatFallsToZeroAndComesBackBooksNothing() {
        let steps = steps("1000000 0 1000000")
        #expect(kinds(steps) == [.first, .glitch, .unchanged])
        #expect(booked(steps) == .zero)
        #expect(steps[1].to.value == .zero && steps[1].from?.value == ExactDecimal(1_000_000))
    }

    @Test(arguments: ["0", "4294967295", "1000500", "999000", "-1"])
    func oneWrongValueCostsNothing(wrong: String) {
        let steps = steps("1000000 1000010 \(wrong) 1000020 1000030")
        #expect(booked(steps) == ExactDecimal(30))
        #expect(kinds(steps).filter { $0 == .glitch }.count == 1)
    }

    @Test func severalZerosAndBackAreNoEnergy() {
        let steps = steps("1000000 1000000 0 0 0 1000010 1000020")
        #expect(kinds(steps) == [.first, .unchanged, .reset, .unchanged, .unchanged, .restored, .advance])
        #expect(booked(steps) == ExactDecimal(20))
    }

    /// Whatever the period, so also where the leap back would be possible in the time.
    @Test(arguments: [1, 60, 900]) func whatComesBackIsNoEnergyHoweverRareThePolls(seconds: Int) {
        #expect(booked(steps("1000000 1000000 0 0 1000010 1000020", every: seconds)) == ExactDecimal(20))
    }

    @Test func aResetBooksNothingAcrossAndCountsOn() {
        let steps = steps("1000000 1000010 3 8 20")
        #expect(kinds(steps) == [.first, .advance, .reset, .advance, .advance])
        #expect(booked(steps) == ExactDecimal(27))
        #expect(steps[2].from?.value == ExactDecimal(1_000_010) && steps[2].to.value == ExactDecimal(3))
    }

    /// Where the readings begin among zeros nobody knows what was before.
    @Test func aLeapFromZeroIsNotBooked() {
        #expect(booked(steps("0 1000000 1000010 1000020")) == ExactDecimal(20))
        #expect(booked(steps("0 0 0 1000000 1000010 1000020")) == ExactDecimal(20))
        #expect(booked(steps("0 0 0 1 2 4")) == ExactDecimal(4))
    }

    @Test func growingPastTheOldValueIsNoReturn() {
        let steps = steps("1000 1000 0 0 400 600 800 1000 1200 1400")
        #expect(kinds(steps).contains(.restored) == false)
        #expect(booked(steps) == ExactDecimal(1400))
    }

    @Test func counterRolloverLosesNoEnergy() {
        let range = CounterRange(
            modulus: ExactDecimal(1_000_000), lastDigit: ExactDecimal(1), maximumPerHour: ExactDecimal(1_000_000_000))
        let steps = steps("999980 999990 20 25", range: range)
        #expect(kinds(steps) == [.first, .advance, .rollover, .advance])
        #expect(booked(steps) == ExactDecimal(45))
    }

    @Test func withoutAKnownRangeAFallIsNoRollover() {
        let steps = steps("999980 999990 20 25")
        #expect(kinds(steps) == [.first, .advance, .reset, .advance])
        #expect(booked(steps) == ExactDecimal(15))
    }

    @Test func aRolloverThatIsTakenBackIsNone() {
        let range = CounterRange(modulus: ExactDecimal(1_000_000), maximumPerHour: ExactDecimal(1_000_000_000))
        let steps = steps("999980 999990 0 999995 5 8", range: range, every: 900)
        #expect(kinds(steps) == [.first, .advance, .glitch, .advance, .rollover, .advance])
        #expect(booked(steps) == ExactDecimal(28))
    }

    /// Zeros that look like a rollover: what was booked too much is taken from what follows, for nothing is booked below zero.
    @Test func zerosNearTheEndOfARegisterCostNothing() {
        let range = CounterRange(modulus: ExactDecimal(1_000_000), maximumPerHour: ExactDecimal(36_000_000))
        let steps = steps("999900 999950 0 0 999960 999970 999990 999999", range: range)
        #expect(kinds(steps) == [.first, .advance, .rollover, .unchanged, .restored, .advance, .advance, .advance])
        #expect(booked(steps) == ExactDecimal(100))
        #expect(steps.allSatisfy { $0.advance >= .zero })
    }

    @Test func aFallFromTheMiddleIsNoRollover() {
        let range = CounterRange(modulus: ExactDecimal(1_000_000), maximumPerHour: ExactDecimal(1_000_000_000))
        #expect(booked(steps("500000 500010 0 5", range: range)) == ExactDecimal(15))
    }

    @Test func aRolloverThatWouldTakeTooMuchIsAReset() {
        let range = CounterRange(modulus: ExactDecimal(4_294_967_296), maximumPerHour: ExactDecimal(1_000_000_000))
        let steps = steps("4260000000 4260000000 5 6", range: range)
        #expect(kinds(steps) == [.first, .unchanged, .reset, .advance])
        #expect(booked(steps) == ExactDecimal(1))
    }

    @Test func aLeapThatStaysIsToldAndNotBooked() {
        let steps = steps("1000 1000 4294967295 4294967295 4294967296")
        #expect(kinds(steps) == [.first, .unchanged, .jump, .unchanged, .advance])
        #expect(booked(steps) == ExactDecimal(1))
    }

    @Test func jitterOfTheLastDigitIsCountedOnce() {
        let steps = steps("100 101 100 101 100 101 102 103")
        #expect(kinds(steps).allSatisfy { [.first, .unchanged, .advance].contains($0) })
        #expect(booked(steps) == ExactDecimal(3))
    }

    @Test func anExchangeBooksNothingAcross() {
        var track = CounterTrack(range: CounterTrackTests.plain)
        var all: [CounterStep?] = [5000, 5010].enumerated().map { track.take(reading(ExactDecimal($1), at: $0)) }
        all.append(track.begin(.exchange, holdsOld: true))
        all += [700, 720, 730].enumerated().map { track.take(reading(ExactDecimal($1), at: 10 + $0, followsGap: $0 == 0)) }
        all.append(track.finish())
        let steps = all.compactMap { $0 }
        #expect(kinds(steps) == [.first, .advance, .exchange, .advance, .advance])
        #expect(booked(steps) == ExactDecimal(40))
        #expect(steps[2].from?.value == ExactDecimal(5010) && steps[2].to.value == ExactDecimal(700))
    }

    /// Read after the gap and before the serial number: nobody knows of which meter.
    @Test func aReadingOfAnUnknownMeterIsNotBooked() {
        var track = CounterTrack(range: CounterTrackTests.plain)
        var all = [5000, 5010, 5600].enumerated().map { track.take(reading(ExactDecimal($1), at: $0, followsGap: $0 == 2)) }
        all.append(track.begin(.exchange, holdsOld: false))
        all += [5601, 5602].enumerated().map { track.take(reading(ExactDecimal($1), at: 10 + $0)) }
        all.append(track.finish())
        #expect(booked(all.compactMap { $0 }) == ExactDecimal(11))
    }

    @Test func whatAGapHeldIsBookedAndMarked() {
        let steps = steps("1000 . . 1500 1510")
        #expect(booked(steps) == ExactDecimal(510))
        #expect(steps[1].isAfterGap && !steps[2].isAfterGap)
    }

    /// Days without a clock: the bound must not take energy away.
    @Test func aRestartWithoutAClockLosesNoEnergy() {
        var track = CounterTrack(range: CounterTrackTests.plain)
        var first = reading(ExactDecimal(1_000_000), at: 1000)
        first.isSynchronized = false
        var all = [track.take(first)]
        for (index, value) in [600_000_000, 600_000_010].enumerated() {
            var next = reading(ExactDecimal(Int64(value)), at: 10 + index, boot: 1, followsGap: index == 0)
            next.isSynchronized = false
            all.append(track.take(next))
        }
        all.append(track.finish())
        #expect(booked(all.compactMap { $0 }) == ExactDecimal(599_000_010))
    }

    /// The last word before a silence, and it was wrong: nothing is booked below zero, and in the end nothing too much.
    @Test func aWrongLastReadingIsPaidBack() {
        var track = CounterTrack(range: CounterTrackTests.plain)
        var all = [1000, 1010, 1500].enumerated().map { track.take(reading(ExactDecimal($1), at: $0)) }
        all.append(track.finish())
        all += [1020, 1200, 1600].enumerated().map { track.take(reading(ExactDecimal($1), at: 2000 + $0, followsGap: $0 == 0)) }
        all.append(track.finish())
        let steps = all.compactMap { $0 }
        #expect(booked(steps) == ExactDecimal(600) && steps.allSatisfy { $0.advance >= .zero })
    }

    @Test func exactToTheLastPlace() {
        #expect(booked(steps("0.1 0.2 0.3 1e-9", range: CounterRange())) == ExactDecimal("0.2"))
        let range = CounterRange(maximumPerHour: ExactDecimal(1_000_000_000))
        #expect(booked(steps("9007199254740993 9007199254740994.5", range: range)) == ExactDecimal("1.5"))
    }

    @Test func theRegistersTellWhereACounterBeginsAgain() throws {
        func range(_ encoding: Encoding, factor: ExactDecimal = ExactDecimal(1), rollover: ExactDecimal? = nil) throws -> CounterRange {
            let quantity = try #require(Vocabulary.quantity("energy_active_import"))
            let point = PointDefinition(
                quantity: quantity, block: Block(.input, 0, count: UInt16(encoding.wordCount ?? 1)), encoding: encoding, factor: factor,
                rollover: rollover)
            return CounterRange(of: point)
        }
        #expect(try range(.uint32, factor: ExactDecimal(10)).modulus == ExactDecimal(42_949_672_960))
        #expect(try range(.bcd32).modulus == ExactDecimal(100_000_000))
        #expect(try range(.float32).modulus == nil && range(.int32).modulus == nil)
        #expect(try range(.float32, rollover: ExactDecimal(1_000_000_000)).modulus == ExactDecimal(1_000_000_000))
        #expect(try range(.uint16, factor: ExactDecimal(100)).lastDigit == ExactDecimal(100))
        #expect(try range(.float32).lastDigit == nil)
    }

    @Test func aProfileSaysWhereACounterBeginsAgain() throws {
        func profile(_ quantity: String, _ rollover: String) throws(Problems) -> Profile {
            try Profile(
                toml: """
                    profile = "one"
                    version = 1
                    vendor = "V"
                    models = ["M"]
                    source = "none"
                    [[point]]
                    quantity = "\(quantity)"
                    table = "input"
                    type = "float32"
                    address = 0
                    unit = "\(quantity.hasPrefix("power") ? "kW" : "kWh")"
                    rollover = \(rollover)
                    """, file: "one.toml")
        }
        let point = try #require(try profile("energy_active_import", "999999.9").points.first)
        #expect(CounterRange(of: point).modulus == ExactDecimal("999999900"))
        #expect(throws: Problems.self) { try profile("power_active", "10") }
        #expect(throws: Problems.self) { try profile("energy_active_import", "-1") }
    }
}
