import Host

/// One day of the factory, the same every day: the power of each of its 86 400 seconds, and what had flowed by each minute.
///
/// A factory line (the sub-meter) and the rest of the house make the load; the sun makes the PV power from 06:00 to 18:00. Only whole
/// numbers and exact operations are used, so every machine computes the same day from the same seed.
final class PlantDay: Sendable {
    static let seconds = 86_400
    /// What the inverter gives at noon under a clear sky, in W; below 32 767, so that an int16 register holds it in whole watts.
    static let peakWatts = 30_000

    /// The power at the three places in one second. The load is `submeter` + `rest`; the grid gives what the sun does not.
    struct Flows: Hashable {
        var submeter: PhasePower
        var rest: PhasePower
        var pv: PhasePower
        var load: PhasePower { submeter + rest }
        var grid: PhasePower { load - pv }
    }

    struct Energies {
        var grid = MeterEnergy()
        var submeter = MeterEnergy()
        var pv = MeterEnergy()

        mutating func add(_ flows: Flows, milliseconds: Int64) {
            grid.add(flows.grid, milliseconds: milliseconds)
            submeter.add(flows.submeter, milliseconds: milliseconds)
            pv.add(flows.pv, milliseconds: milliseconds)
        }

        mutating func add(_ other: Energies, times: Int64 = 1) {
            grid.add(other.grid, times: times)
            submeter.add(other.submeter, times: times)
            pv.add(other.pv, times: times)
        }
    }

    let seed: UInt64
    /// What had flowed by the start of each minute; the last entry is the whole day.
    private let byMinute: [Energies]
    private let lineWatts: [Int]
    private let restWatts: [Int]
    private let cloudPerMille: [Int]

    private init(seed: UInt64) {
        self.seed = seed
        lineWatts = (0..<1440).map { PlantDay.lineWatts(minute: $0, seed: seed) }
        restWatts = (0..<1440).map { PlantDay.restWatts(minute: $0, seed: seed) }
        cloudPerMille = (0..<1440).map { 1000 - Int(PlantDay.noise(seed, 3, UInt64($0 / 10)) % 450) }
        var sums: [Energies] = []
        sums.reserveCapacity(1441)
        var sum = Energies()
        let day = PlantDay.Curves(seed: seed, line: lineWatts, rest: restWatts, cloud: cloudPerMille)
        for second in 0..<PlantDay.seconds {
            if second % 60 == 0 { sums.append(sum) }
            sum.add(day.flows(second: second), milliseconds: 1000)
        }
        sums.append(sum)
        byMinute = sums
    }

    private static let days = Lock<[UInt64: PlantDay]>([:])
    /// Days kept for reuse; making one costs 86 400 steps.
    private static let keptDays = 8

    static func day(seed: UInt64) -> PlantDay {
        if let day = days.withLock({ $0[seed] }) { return day }
        let day = PlantDay(seed: seed)
        days.withLock { kept in
            if kept.count >= keptDays { kept.removeAll() }
            kept[seed] = day
        }
        return day
    }

    func flows(second: Int) -> Flows {
        Curves(seed: seed, line: lineWatts, rest: restWatts, cloud: cloudPerMille).flows(second: second)
    }

    var whole: Energies { byMinute[1440] }

    /// What flowed from midnight to this millisecond of the day.
    func energies(millisecond: Int64) -> Energies {
        let second = Int(millisecond / 1000)
        var sum = byMinute[second / 60]
        for earlier in (second / 60 * 60)..<second { sum.add(flows(second: earlier), milliseconds: 1000) }
        sum.add(flows(second: second), milliseconds: millisecond % 1000)
        return sum
    }

    /// SplitMix64 over (seed, stream, index).
    static func noise(_ seed: UInt64, _ stream: UInt64, _ index: UInt64) -> UInt64 {
        var z = seed &+ stream &* 0xD1B5_4A32_D192_ED03 &+ index &* 0x9E37_79B9_7F4A_7C15
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }

    /// The line runs from 05:00 to 22:00, in batches of 20 minutes.
    private static func lineWatts(minute: Int, seed: UInt64) -> Int {
        let batch = Int(noise(seed, 1, UInt64(minute / 20)) % 2500)
        return (300..<1320).contains(minute) ? 3500 + batch : 600
    }

    private static func restWatts(minute: Int, seed: UInt64) -> Int {
        let swing = Int(noise(seed, 2, UInt64(minute / 5)) % 800)
        return (360..<1200).contains(minute) ? 5500 + swing : 2200 + swing
    }
}

extension PlantDay {
    /// The curves of a day, sampled once a minute, and how a second is read off them.
    struct Curves {
        let seed: UInt64
        let line: [Int]
        let rest: [Int]
        let cloud: [Int]

        func flows(second: Int) -> Flows {
            let jitter = PlantDay.noise(seed, 4, UInt64(second))
            let line = between(self.line, second) + Int(jitter & 0x3F)
            let rest = between(self.rest, second) + Int(jitter >> 8 & 0xFF)
            let sun = PlantDay.Curves.sunPerMillion(second: second)
            let pv = PlantDay.peakWatts * sun / 1_000_000 * between(cloud, second) / 1000
            let lineActive = Phases.split(line, 350, 335)
            let restActive = Phases.split(rest, 300, 320)
            return Flows(
                submeter: PhasePower(active: lineActive, reactive: reactive(lineActive, percent: line > 2000 ? 48 : -20)),
                rest: PhasePower(active: restActive, reactive: reactive(restActive, percent: 33)),
                pv: PhasePower(active: Phases.split(pv, 333, 333), reactive: Phases(0, 0, 0)))
        }

        private func reactive(_ active: Phases<Int>, percent: Int) -> Phases<Int> {
            Phases(active.l1 * percent / 100, active.l2 * percent / 100, active.l3 * percent / 100)
        }

        /// The straight line between the minute's value and the next one's.
        private func between(_ curve: [Int], _ second: Int) -> Int {
            let minute = second / 60
            let part = second % 60
            return (curve[minute] * (60 - part) + curve[(minute + 1) % 1440] * part) / 60
        }

        /// A parabola over the twelve hours of daylight: 0 at 06:00 and 18:00, 1 000 000 at noon.
        ///
        ///     4 x (43 200 − x) / 43 200²        09:00, x = 10 800: 750 000
        static func sunPerMillion(second: Int) -> Int {
            let x = second - 21_600
            guard (0...43_200).contains(x) else { return 0 }
            return 4 * x * (43_200 - x) * 1_000_000 / (43_200 * 43_200)
        }
    }
}
