import Metering

/// Which blocks to ask one device for, given the classes of points that are due: as few requests as the bus's real cost makes
/// worthwhile, within what the profile allows, and round the registers that the device was found to refuse.
package struct ReadPlan: Sendable {
    private let profile: Profile
    private let cost: BusCost
    private let used: [RegisterTable: [Range<Int>]]
    private var cuts: [RegisterTable: Set<Int>] = [:]
    /// Runs that overlap, so that no cut divides them: asked one by one.
    private var alone: Set<Block> = []
    private var cache: [Set<PointClass>: [Block]] = [:]

    /// Runs that the device answered with exception 2 when asked for alone; not asked again until `forgetRefusals()`.
    package private(set) var refused: Set<Block> = []
    /// True once a merged request had to be split.
    package private(set) var wasSplit = false

    package init(profile: Profile, cost: BusCost) {
        self.profile = profile
        self.cost = cost
        var used: [RegisterTable: [Range<Int>]] = [:]
        for point in profile.points {
            used[point.block.table, default: []].append(point.block.range)
            for other in point.companions + point.ratios.map(\.block) { used[other.table, default: []].append(other.range) }
        }
        self.used = used.mapValues(BlockPartition.union)
    }

    /// The requests for the points of these classes, in order of table and address.
    package mutating func blocks(for classes: Set<PointClass>) -> [Block] {
        if let known = cache[classes] { return known }
        var result: [Block] = []
        for table in RegisterTable.allCases {
            let runs = runs(for: classes, in: table).filter { !refused.contains(Self.block(table, $0)) }
            let together = runs.filter { !alone.contains(Self.block(table, $0)) }
            if !together.isEmpty { result += partition(table, avoiding: refused).blocks(for: together) }
            result += runs.map { Self.block(table, $0) }.filter(alone.contains)
        }
        cache[classes] = result
        return result
    }

    /// The cheapest request that shows whether the device is there: its shortest live run, of any class if there is no live one.
    package var probe: Block? {
        for classes in [Set([PointClass.live]), Set(PointClass.allCases)] {
            let candidates = RegisterTable.allCases.flatMap { table in
                runs(for: classes, in: table).map { Self.block(table, $0) }.filter { !refused.contains($0) }
            }
            if let shortest = candidates.min(by: { $0.count < $1.count }) { return shortest }
        }
        return nil
    }

    /// Answers for the points of these classes that are not asked for because the device refused them: refused again, without a request.
    package func refusals(for classes: Set<PointClass>) -> [BlockAnswer] {
        guard !refused.isEmpty else { return [] }
        return RegisterTable.allCases.flatMap { table in
            runs(for: classes, in: table).map { Self.block(table, $0) }.filter(refused.contains)
        }.map { BlockAnswer(block: $0, outcome: .fault(.exception(2))) }
    }

    /// Points that no request within the profile's own limits can read.
    package var unreadable: [Int] {
        profile.points.indices.filter { run(of: profile.points[$0]) == nil }
    }

    /// Learns from exception 2 (illegal data address): a merged request is cut in two, a single run is given up.
    ///
    /// The cut goes where the widest unused gap is, since gaps are what devices refuse; without a gap, in the middle. So a bad register
    /// is found in a few polls while all others go on. Cuts made on the way to a bad run are taken back: the plan goes round it.
    /// - Returns: what was newly given up.
    package mutating func learn(from answers: [BlockAnswer]) -> [Block] {
        var found: [Block] = []
        for answer in answers where answer.outcome == .fault(.exception(2)) && !refused.contains(answer.block) {
            let table = answer.block.table
            let inside = runs(for: Set(PointClass.allCases), in: table).map { Self.block(table, $0) }
                .filter { answer.block.covers($0) && !refused.contains($0) }
            if alone.contains(answer.block) || inside == [answer.block] {
                refused.insert(answer.block)
                found.append(answer.block)
                let near = answer.block.range.lowerBound - 125...answer.block.range.upperBound + 125
                cuts[table] = cuts[table]?.filter { !near.contains($0) }
            } else if let cut = cut(between: inside.map(\.range)) {
                cuts[table, default: []].insert(cut)
                wasSplit = true
            } else {
                alone.formUnion(inside)
                wasSplit = true
            }
            cache = [:]
        }
        return found
    }

    /// Asks for everything again: the device was away, it may be another one.
    package mutating func forgetRefusals() {
        guard !refused.isEmpty || wasSplit else { return }
        refused = []
        cuts = [:]
        alone = []
        wasSplit = false
        cache = [:]
    }

    // MARK: - Runs

    /// Registers that must come in one answer, point by point: its own, with its companions where that is possible. Ratios only need to
    /// come in the same poll, so they are runs of their own. Sorted, no doubles.
    private func runs(for classes: Set<PointClass>, in table: RegisterTable) -> [Range<Int>] {
        var runs: Set<Range<Int>> = []
        for point in profile.points where classes.contains(point.pointClass) {
            if point.block.table == table, let run = run(of: point) { runs.insert(run) }
            for ratio in point.ratios where ratio.block.table == table && partition(table, avoiding: []).allows(ratio.block.range) {
                runs.insert(ratio.block.range)
            }
        }
        return runs.sorted { ($0.lowerBound, $0.upperBound) < ($1.lowerBound, $1.upperBound) }
    }

    /// Companions belong to their point whatever lies between, but for forbidden registers and the limit. Where these are in the way the
    /// point is read alone, and shows as a bad value rather than a wrong one.
    private func run(of point: PointDefinition) -> Range<Int>? {
        let partition = partition(point.block.table, avoiding: [])
        let own = point.block.range
        if partition.allows(point.run) { return point.run }
        return !own.isEmpty && partition.allows(own) ? own : nil
    }

    private func partition(_ table: RegisterTable, avoiding refused: Set<Block>) -> BlockPartition {
        let limit = table.isBits ? table.requestLimit : min(max(profile.limits.maxRegisters, 1), table.requestLimit)
        return BlockPartition(
            table: table, limit: limit, maxGap: profile.limits.maxGap, used: used[table] ?? [],
            forbidden: (profile.limits.forbidden + refused).filter { $0.table == table }.map(\.range),
            windows: profile.limits.windows.filter { $0.table == table }, cuts: cuts[table] ?? [], cost: cost)
    }

    /// The address that divides the runs best; nil when they cannot be divided.
    private func cut(between runs: [Range<Int>]) -> Int? {
        var reached = runs.first?.upperBound ?? 0
        var borders: [(address: Int, gap: Int)] = []
        for run in runs.dropFirst() {
            if run.lowerBound >= reached { borders.append((run.lowerBound, run.lowerBound - reached)) }
            reached = max(reached, run.upperBound)
        }
        guard let widest = borders.max(by: { $0.gap < $1.gap }) else { return nil }
        return widest.gap > 0 ? widest.address : borders[borders.count / 2].address
    }

    private static func block(_ table: RegisterTable, _ range: Range<Int>) -> Block {
        Block(table, UInt16(range.lowerBound), count: UInt16(range.count))
    }
}
