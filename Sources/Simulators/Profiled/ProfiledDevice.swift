import Host
import Metering

/// Any device there is a profile for: its registers hold plausible values, or the ones that were set.
///
/// What no point needs is an illegal address (exception 2), unless the profile allows to read across it; more registers than the
/// profile allows are exception 3.
package final class ProfiledDevice: SimulatedDevice {
    package let profile: Profile
    package var requestLimit: Int { profile.limits.maxRegisters }
    /// The values that stay as they were set, by quantity.
    package let fixed: [String: Value]

    private let start: Timestamp
    private let plausible: PlausibleValues
    private let order: [Int]
    private let areas: [RegisterTable: [Range<Int>]]
    private let last = Lock<(moment: Moment, image: RegisterImage)?>(nil)

    private struct Moment: Hashable {
        var second: Int64
        var reset: Int64?
    }

    /// - Parameters:
    ///   - start: when its counters begin to rise.
    ///   - fixed: the nearest values that the registers hold are shown, and stay.
    /// - Throws: `usage` for a quantity that the profile has not and for a value that its registers cannot hold.
    package init(profile: Profile, start: Timestamp, fixed: [String: Value] = [:]) throws(SimulatorError) {
        for id in fixed.keys.sorted() where !profile.points.contains(where: { $0.quantity.id == id }) {
            throw SimulatorError(.usage, "\(id) is no quantity of \(profile.name); it has \(ProfiledDevice.list(profile))")
        }
        self.profile = profile
        self.start = start
        self.fixed = fixed
        plausible = PlausibleValues(profile)
        order = ProfiledDevice.order(of: profile, fixed: fixed)
        areas = ProfiledDevice.areas(of: profile)
        _ = try sheet(seconds: 0, reset: nil)
    }

    /// What each point should show, in the order of the profile: before it is put into registers.
    package func values(at time: Timestamp, reset: Timestamp? = nil) -> [Value] {
        profile.points.map { value(of: $0, seconds: seconds(at: time), reset: reset.map(seconds)) }
    }

    package func image(at time: Timestamp, reset: Timestamp?) -> RegisterImage {
        let moment = Moment(second: seconds(at: time), reset: reset.map(seconds))
        return last.withLock { last in
            if let last, last.moment == moment { return last.image }
            // What fitted at the start may outgrow its registers in the end; the last image then stays.
            guard let sheet = try? sheet(seconds: moment.second, reset: moment.reset) else { return last?.image ?? RegisterImage() }
            let image = image(of: sheet)
            last = (moment, image)
            return image
        }
    }

    private func seconds(at time: Timestamp) -> Int64 { max(0, (time.milliseconds - start.milliseconds) / 1000) }

    private func value(of point: PointDefinition, seconds: Int64, reset: Int64?) -> Value {
        let now = fixed[point.quantity.id] ?? plausible.value(of: point, seconds: seconds)
        guard let reset, point.quantity.kind == .counter else { return now }
        let then = fixed[point.quantity.id] ?? plausible.value(of: point, seconds: reset)
        guard case (.number(let a), .number(let b)) = (now, then), let back = b.negated, let rest = a.adding(back) else { return now }
        return .number(rest)
    }

    private func sheet(seconds: Int64, reset: Int64?) throws(SimulatorError) -> RegisterSheet {
        var encoder = PointEncoder()
        for index in order where fixed[profile.points[index].quantity.id] != nil {
            let point = profile.points[index]
            try encoder.put(value(of: point, seconds: seconds, reset: reset), of: point, strict: reset == nil)
        }
        for check in profile.identity { encoder.put(check, isLast: false) }
        for index in order where fixed[profile.points[index].quantity.id] == nil {
            let point = profile.points[index]
            try encoder.put(value(of: point, seconds: seconds, reset: reset), of: point, strict: false)
        }
        for check in profile.identity { encoder.put(check, isLast: true) }
        return encoder.sheet
    }

    private func image(of sheet: RegisterSheet) -> RegisterImage {
        var image = RegisterImage()
        for (table, ranges) in areas {
            for range in ranges {
                image.open(table, range)
                image.put(table, range.lowerBound, range.map { sheet.word(table, $0) })
            }
        }
        return image
    }

    /// Ratios before the values they multiply, parts before their sums, a vendor's own states after what they say the direction of.
    private static func order(of profile: Profile, fixed: [String: Value]) -> [Int] {
        let operands = profile.points.flatMap { $0.ratios + $0.terms }.map(\.block)
        func rank(_ point: PointDefinition) -> Int {
            if point.quantity.id.hasPrefix("x_") { return 3 }
            if operands.contains(point.block) { return 0 }
            return point.terms.isEmpty && point.ratios.isEmpty ? 1 : 2
        }
        return profile.points.indices.sorted { (rank(profile.points[$0]), $0) < (rank(profile.points[$1]), $1) }
    }

    /// The registers that may be read: those with a meaning and what the profile allows to read across.
    private static func areas(of profile: Profile) -> [RegisterTable: [Range<Int>]] {
        var used: [Block] = profile.identity.map(\.block)
        for point in profile.points {
            used.append(Block(point.block.table, UInt16(point.run.lowerBound), count: UInt16(point.run.count)))
            used += point.ratios.map(\.block)
        }
        let limits = profile.limits
        var areas: [RegisterTable: [Range<Int>]] = [:]
        for block in used.sorted(by: { ($0.table, $0.address, $0.count) < ($1.table, $1.address, $1.count) }) {
            let range = limits.windows.first { $0.covers(block) }?.range ?? block.range
            var known = areas[block.table] ?? []
            defer { areas[block.table] = known }
            guard let last = known.last else {
                known = [range]
                continue
            }
            let gap = last.upperBound..<max(last.upperBound, range.lowerBound)
            let isBarred = limits.forbidden.contains { $0.table == block.table && $0.range.overlaps(gap) }
            if gap.count > limits.maxGap || isBarred {
                known.append(range)
            } else {
                known[known.count - 1] = last.lowerBound..<max(last.upperBound, range.upperBound)
            }
        }
        return areas
    }

    private static func list(_ profile: Profile) -> String { profile.points.map(\.quantity.id).sorted().joined(separator: ", ") }
}

extension PointEncoder {
    /// Makes the device one that the profile knows again, where no point that was set has the registers. A range is met last: most often
    /// it is a measured value that a point has put there already.
    fileprivate mutating func put(_ check: IdentityCheck, isLast: Bool) {
        let quantity = Quantity(id: "identity", unit: "", kind: check.encoding == .string ? .text : .gauge)
        let point = PointDefinition(
            quantity: quantity, block: check.block, encoding: check.encoding, order: check.order, factor: check.factor)
        switch check.expectation {
        case .numbers(let numbers) where !isLast:
            var plain = point
            plain.factor = ExactDecimal(1)
            if let number = numbers.first { try? put(.number(ExactDecimal(number)), of: plain, strict: false) }
        case .prefixes(let prefixes) where !isLast:
            if let prefix = prefixes.first { try? put(.text(prefix), of: point, strict: false) }
        case .between(let low, _) where isLast:
            try? put(.number(low), of: point, strict: false)
        case .numbers, .prefixes, .between:
            return
        }
    }
}
