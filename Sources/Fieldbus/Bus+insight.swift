import Metering

extension Bus {
    /// What the config asks of the bus, by the formula; what it really does is in `status()`.
    package var budget: BusBudget {
        budgetCache.withLock { known in
            if let known { return known }
            let budget = BusBudget(description, devices: devices, rehearses: false)
            known = budget
            return budget
        }
    }

    /// The requests to a device as they are now, and what was learned of it; nil for a device of another bus, or before the bus runs.
    package func insight(device name: String) -> DeviceInsight? {
        guard let index = devices.firstIndex(where: { $0.name == name }), let plan = plan(of: index) else { return nil }
        return DeviceInsight(plan, periods: Bus.usefulPeriods(devices[index]), timing: timing(unit: devices[index].unit), at: time.uptime())
    }

    /// - Parameter unit: nil for all of them.
    package func timing(unit: UInt8?) -> ResponseTiming? {
        (reader as? any ResponseMeasuring).map { $0.timeouts.withLock { $0.timing(unit: unit) } }
    }
}

/// A device's read plan as it is in force, for people: what is asked for the sake of which points, and what is not.
package struct DeviceInsight: Hashable, Sendable {
    /// One request of a visit for one class. Classes that are due together may share requests.
    package struct Request: Hashable, Sendable {
        package var pointClass: PointClass
        package var block: Block
        /// Quantities of the class whose registers are in it, in order of the profile.
        package var points: [String]
    }

    /// Registers that are asked for alone, at times, because the device did not give them.
    package struct Exclusion: Hashable, Sendable {
        package var block: Block
        package var points: [String]
        /// True for exception 2, false for silence.
        package var isRefused: Bool
        /// Until it is asked for again; zero when that is due.
        package var retry: Duration
    }

    package struct Split: Hashable, Sendable {
        package var table: RegisterTable
        /// No request holds both this register and the one before it.
        package var address: UInt16
    }

    package var periods: [PointClass: Duration]
    package var requests: [Request]
    package var exclusions: [Exclusion]
    package var splits: [Split]
    /// True when classes no longer share requests, since one that they shared was not answered.
    package var separatesClasses: Bool
    /// Points that no request within the profile's limits can read.
    package var unreadable: [String]
    package var timing: ResponseTiming?

    init(_ plan: ReadPlan, periods: [PointClass: Duration], timing: ResponseTiming?, at now: Uptime) {
        var plan = plan
        let points = plan.profile.points
        func quantities(in block: Block, of pointClass: PointClass? = nil) -> [String] {
            points.filter { block.covers($0.block) && (pointClass == nil || $0.pointClass == pointClass) }.map(\.quantity.id)
        }
        self.periods = periods
        self.timing = timing
        requests = PointClass.allCases.filter { periods[$0] != nil }.flatMap { pointClass in
            plan.blocks(for: [pointClass]).map { Request(pointClass: pointClass, block: $0, points: quantities(in: $0, of: pointClass)) }
        }
        exclusions = plan.aside.sorted { ($0.key.table.rawValue, $0.key.address) < ($1.key.table.rawValue, $1.key.address) }.map {
            block, aside in
            Exclusion(
                block: block, points: quantities(in: block), isRefused: aside.reason == .refused,
                retry: aside.due > now ? aside.due - now : .zero)
        }
        splits = plan.cuts.flatMap { table, addresses in addresses.map { Split(table: table, address: UInt16(clamping: $0)) } }
            .sorted { ($0.table.rawValue, $0.address) < ($1.table.rawValue, $1.address) }
        separatesClasses = plan.isByClass
        unreadable = plan.unreadable.map { points[$0].quantity.id }
    }
}
