import Metering
import TestSupport
import Testing

/// A meter that counts, is read, and has every kind of bad luck; beside it, what may be known of its energy.
private struct UnluckyMeter {
    var generator: SeededGenerator
    let modulus: Int64
    var track: CounterTrack
    /// The register.
    var count: Int64
    /// What a person with all readings that were right would book.
    var known: Int64 = 0
    /// What truly went through.
    var truth: Int64 = 0
    /// The last right reading of this run of the register; nil where one begins.
    var lastRight: Int64?
    var now: Int64 = 0
    var isGap = false
    var steps: [CounterStep] = []
    var log: [String] = []

    init(seed: UInt64) {
        generator = SeededGenerator(seed: seed)
        modulus = Bool.random(using: &generator) ? 1_000_000 : 4_294_967_296
        count = Bool.random(using: &generator) ? modulus - Int64.random(in: 100...400, using: &generator) : modulus / 3
        track = CounterTrack(
            range: CounterRange(
                modulus: ExactDecimal(modulus), lastDigit: ExactDecimal(1), maximumPerHour: ExactDecimal(1_000_000_000)))
    }

    mutating func use(upTo most: Int64 = 50) {
        let used = Int64.random(in: 0...most, using: &generator)
        truth += used
        count = (count + used) % modulus
    }

    mutating func show(_ value: Int64) {
        now += 1
        log.append("\(value)")
        let reading = CounterReading(
            value: ExactDecimal(value), time: Timestamp(milliseconds: now * 1000), uptime: Uptime(nanoseconds: now * 1_000_000_000),
            followsGap: isGap)
        isGap = false
        if let step = track.take(reading) { steps.append(step) }
    }

    mutating func right() {
        use()
        if let lastRight { known += (count - lastRight + modulus) % modulus }
        lastRight = count
        show(count)
    }

    mutating func calm() { for _ in 0..<Int.random(in: 2...5, using: &generator) { right() } }

    /// Bad luck never comes twice in a row: `calm` stands between.
    mutating func misfortune() {
        switch Int.random(in: 0...7, using: &generator) {
        case 0:  // one wrong value, of any size
            log.append("glitch")
            let wrong = [0, modulus - 1, 4_294_967_295, count + 7, Int64.random(in: 0..<modulus, using: &generator)]
            show(wrong.randomElement(using: &generator) ?? 0)
        case 1:  // no answer for a while; what was used shows afterwards
            log.append("gap")
            for _ in 0..<Int.random(in: 1...4, using: &generator) { use() }
            isGap = true
        case 2 where count > 10_000 && count < modulus * 9 / 10:  // set to 0: what was used since the last reading is known to nobody
            log.append("reset")
            use()
            count = 0
            lastRight = nil
        case 3 where count > 2000 && count < modulus * 9 / 10:  // zeros for some polls, and then on as if nothing had been
            log.append("zeros")
            for _ in 0..<Int.random(in: 2...4, using: &generator) {
                use()
                show(0)
            }
        case 4:  // another meter, seen by its serial number after a gap
            log.append("exchange")
            use()
            isGap = true
            count = Int64.random(in: 0..<modulus, using: &generator)
            lastRight = nil
            if let step = track.begin(.exchange, holdsOld: true) { steps.append(step) }
        case 5 where count > 0:  // one less, as some inverters do
            log.append("jitter")
            show(count - 1)
        default: use(upTo: 2000)
        }
    }

    mutating func end() {
        calm()
        if let step = track.finish() { steps.append(step) }
    }

    var booked: ExactDecimal { steps.reduce(.zero) { $0.adding($1.advance) ?? $0 } }
}

struct CounterPropertyTests {
    /// Thousands of lives of a meter: what is booked is what can be known, never more than what was used, never below zero.
    @Test func whateverHappensToAMeterWhatIsBookedIsWhatWasUsed() {
        for seed in UInt64(1)...3000 {
            var meter = UnluckyMeter(seed: seed)
            meter.calm()
            for _ in 0..<8 {
                meter.misfortune()
                meter.calm()
            }
            meter.end()
            #expect(meter.booked == ExactDecimal(meter.known), "seed \(seed): \(meter.log.joined(separator: " "))")
            #expect(meter.known <= meter.truth, "seed \(seed)")
            #expect(meter.steps.allSatisfy { $0.advance >= .zero }, "seed \(seed)")
            if meter.booked != ExactDecimal(meter.known) { return }
        }
    }

    /// No two values in a row need fit: never below zero, and never more than a meter can count in the time.
    @Test func whateverTheRegistersSayNothingIsNegativeOrGiant() {
        for seed in UInt64(1)...2000 {
            var generator = SeededGenerator(seed: seed)
            let range = CounterRange(
                modulus: Bool.random(using: &generator) ? ExactDecimal(65_536) : nil, lastDigit: ExactDecimal(1),
                maximumPerHour: ExactDecimal(3600))
            var track = CounterTrack(range: range)
            var steps: [CounterStep] = []
            let pool = (0..<4).map { _ in Int64.random(in: 0...65_535, using: &generator) }
            for second in 0..<60 {
                let value = Bool.random(using: &generator) ? pool.randomElement(using: &generator) ?? 0 : pool[0] + Int64(second)
                let reading = CounterReading(
                    value: ExactDecimal(value), time: Timestamp(milliseconds: Int64(second) * 1000),
                    uptime: Uptime(nanoseconds: Int64(second) * 1_000_000_000))
                if let step = track.take(reading) { steps.append(step) }
            }
            if let step = track.finish() { steps.append(step) }
            let sum = steps.reduce(ExactDecimal.zero) { $0.adding($1.advance) ?? $0 }
            #expect(steps.allSatisfy { $0.advance >= .zero }, "seed \(seed)")
            // One a second for a minute, each time with the lump of 10 s and the two last digits that are allowed.
            #expect(sum <= ExactDecimal(60 * 13), "seed \(seed): \(sum)")
        }
    }

    @Test func decimalsAreOrderedAsTheirNumbers() {
        var generator = SeededGenerator(seed: 7)
        func random() -> ExactDecimal {
            let mantissa = Int64.random(in: -1_000_000...1_000_000, using: &generator)
            return ExactDecimal(mantissa: mantissa, exponent: Int.random(in: -6...6, using: &generator)) ?? .zero
        }
        for _ in 0..<5000 {
            let (a, b) = (random(), random())
            #expect((a < b) == (a.double < b.double) && (a == b) == (a.double == b.double), "\(a) \(b)")
        }
        let far = [("-1e30", "-1"), ("-1", "1e-100"), ("1e-100", "1"), ("9223372036854775807", "1e19"), ("1", "1e30")]
        for (low, high) in far {
            guard let a = ExactDecimal(low), let b = ExactDecimal(high) else { continue }
            #expect(a < b && !(b < a), "\(low) \(high)")
        }
    }
}
