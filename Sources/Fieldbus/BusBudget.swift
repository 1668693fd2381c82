import Metering

/// What a bus is asked to carry, and whether it can: computed from the read plans and the bus's cost, before anything is asked.
///
///     30 meters, 9600 8N1, one block of 20 registers every 5 s: 30 × 82.5 ms = 2.5 s a round, 0.50 of the time, 318 bytes a second
///
/// A serial device's turnaround is taken to be 20 ms and a round trip on a network 5 ms; what devices do is measured while they are polled.
package struct BusBudget: Hashable, Sendable {
    /// A class whose period some devices cannot keep.
    package struct Unmet: Hashable, Sendable {
        package var pointClass: PointClass
        package var period: Duration
        /// Names, in order of the config.
        package var devices: [String]
        /// Of their slots, the share that goes by unserved round the full hour: 0 ... 1.
        package var skipped: Double
        /// The shortest period for all of them that is kept; nil when none up to an hour is.
        package var fits: Duration?
    }

    package var bus: String
    package var devices: Int
    package var requestsPerSecond: Double
    /// Requests and answers on the wire, headers and checksums included.
    package var bytesPerSecond: Double
    /// One visit to each device for all that it is asked again and again.
    package var round: Duration
    /// Reading the counters of all for the end of a quarter hour; nil where that is off or there are none.
    package var sweep: Duration?
    /// Share of the time in which a request is in flight; above 1 the bus cannot do it.
    package var utilization: Double
    package var unmet: [Unmet]

    /// - Parameter rehearses: false leaves `unmet` empty, and is quick.
    package init(_ description: BusDescription, devices: [DeviceDescription], rehearses: Bool = true) {
        let cost = BusCost(of: description.address)
        var loads = devices.map { DeviceLoad($0, cost: cost, framing: Framing(description.address)) }
        bus = description.name
        self.devices = devices.count
        round = loads.reduce(.zero) { $0 + $1.all.time }
        let closings = loads.compactMap(\.closing)
        sweep = description.closesQuarterHours && !closings.isEmpty ? closings.reduce(.zero, +) : nil
        let rates = loads.map(\.perSecond)
        requestsPerSecond = rates.reduce(0) { $0 + $1.requests }
        bytesPerSecond = rates.reduce(0) { $0 + $1.bytes }
        utilization = rates.reduce(0) { $0 + $1.busy }
        unmet = rehearses ? BusBudget.unmet(&loads) : []
    }

    // MARK: - Periods that cannot be met

    /// Periods people choose.
    private static let ladder: [Duration] =
        [
            .milliseconds(100), .milliseconds(200), .milliseconds(250), .milliseconds(500),
        ] + [1, 2, 3, 4, 5, 6, 10, 12, 15, 20, 30, 60, 120, 300, 600, 900, 1800, 3600].map { .seconds($0) }

    private static func unmet(_ loads: inout [DeviceLoad]) -> [Unmet] {
        var groups = overruns(loads)
        for index in groups.indices {
            // The shorter periods come first; what they give up may be enough for the others.
            let (pointClass, members) = (groups[index].unmet.pointClass, groups[index].members)
            for period in ladder where period > groups[index].unmet.period {
                for device in members { loads[device].periods[pointClass] = period }
                guard loads.reduce(0, { $0 + $1.perSecond.busy }) <= 1 else { continue }
                guard overruns(loads).contains(where: { $0.unmet.pointClass == pointClass && $0.unmet.period == period }) else {
                    groups[index].unmet.fits = period
                    break
                }
            }
        }
        return groups.map(\.unmet)
    }

    /// Devices by class and period whose slots go by, the shortest periods first.
    private static func overruns(_ loads: [DeviceLoad]) -> [(unmet: Unmet, members: [Int])] {
        let warmUp = loads.reduce(Duration.zero) { $0 + $1.first } * 2
        let outcome = ScheduleRehearsal.run(
            loads.map { load in .init(periods: load.periods) { load.visit(for: $0).time } }, warmUp: warmUp)
        var groups: [(unmet: Unmet, members: [Int], count: SlotCount)] = []
        for (index, slots) in outcome.enumerated() {
            for pointClass in PointClass.allCases {
                guard let count = slots[pointClass], count.skipped > 0, let period = loads[index].periods[pointClass] else { continue }
                let known = groups.firstIndex { $0.unmet.pointClass == pointClass && $0.unmet.period == period }
                let place = known ?? groups.count
                if known == nil { groups.append((Unmet(pointClass: pointClass, period: period, devices: [], skipped: 0), [], SlotCount())) }
                groups[place].unmet.devices.append(loads[index].name)
                groups[place].members.append(index)
                groups[place].count = groups[place].count + count
            }
        }
        return groups.sorted { $0.unmet.period < $1.unmet.period }.map { group in
            var unmet = group.unmet
            unmet.skipped = Double(group.count.skipped) / Double(group.count.skipped + group.count.served)
            return (unmet, group.members)
        }
    }
}

/// Bytes of a request and of an answer besides its data.
private struct Framing {
    var request: Int
    var answer: Int

    init(_ address: BusAddress) {
        switch address {
        case .serial, .rtuOverTCP: (request, answer) = (8, 5)
        case .tcp: (request, answer) = (12, 9)
        }
    }
}

/// What one device costs its bus.
private struct DeviceLoad: Sendable {
    struct Visit: Hashable {
        var time = Duration.zero
        var requests = 0
        var bytes = 0
    }

    let name: String
    /// Of the classes that the profile has points of.
    var periods: [PointClass: Duration]
    private let visits: [Set<PointClass>: Visit]
    /// The visit for the counters; nil without any.
    let closing: Duration?

    init(_ device: DeviceDescription, cost: BusCost, framing: Framing) {
        name = device.name
        periods = Bus.usefulPeriods(device)
        var plan = ReadPlan(profile: device.profile, cost: cost)
        closing = plan.closingTime()
        var visits: [Set<PointClass>: Visit] = [:]
        for classes in DeviceLoad.subsets(of: Array(periods.keys)) {
            let blocks = plan.blocks(for: classes)
            visits[classes] = blocks.reduce(into: Visit()) { visit, block in
                // Between two requests of a visit the bus waits for a device that wants a pause.
                if visit.requests > 0 { visit.time += device.profile.limits.requestPause }
                visit.time += cost.time(of: block)
                visit.requests += 1
                visit.bytes += framing.request + framing.answer + block.dataBytes
            }
        }
        self.visits = visits
    }

    func visit(for classes: Set<PointClass>) -> Visit { visits[classes] ?? Visit() }

    /// All that is asked again and again, in one visit.
    var all: Visit { visit(for: Set(periods.keys).subtracting([.once])) }
    /// The first visit.
    var first: Duration { visit(for: Set(periods.keys)).time }

    /// Where the longer period is a multiple of the shorter one, its slots are visits for both.
    var perSecond: (requests: Double, bytes: Double, busy: Double) {
        let periodic = periods.filter { $0.key != .once }.sorted { $0.value < $1.value }
        var rates: [(visit: Visit, perSecond: Double)] = []
        if periodic.count == 2, periodic[1].value.nanoseconds % periodic[0].value.nanoseconds == 0 {
            let (often, seldom) = (1 / periodic[0].value.seconds, 1 / periodic[1].value.seconds)
            rates = [(visit(for: [periodic[0].key]), often - seldom), (all, seldom)]
        } else {
            rates = periodic.map { (visit(for: [$0.key]), 1 / $0.value.seconds) }
        }
        return rates.reduce((0, 0, 0)) { sum, rate in
            (
                sum.0 + Double(rate.visit.requests) * rate.perSecond, sum.1 + Double(rate.visit.bytes) * rate.perSecond,
                sum.2 + rate.visit.time.seconds * rate.perSecond
            )
        }
    }

    private static func subsets(of classes: [PointClass]) -> [Set<PointClass>] {
        classes.reduce([[]]) { known, pointClass in known + known.map { $0.union([pointClass]) } }.filter { !$0.isEmpty }
    }
}
