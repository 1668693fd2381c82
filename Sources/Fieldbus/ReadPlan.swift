import Metering

/// Which blocks to ask one device for, given the classes of points that are due: as few requests as the bus's real cost makes
/// worthwhile, within what the profile allows, and round what the device was found to refuse or to leave unanswered.
///
/// The first block that goes unanswered ends a visit, so the order matters: live before slow before once, and blocks that went
/// unanswered last of all. One that goes unanswered although others are answered is put aside and asked alone, ever more rarely.
package struct ReadPlan: Sendable {
    /// More blocks under suspicion than this, and suspicion starts anew.
    static let suspectLimit = 64

    private let map: Shared<Profile>
    var profile: Profile { map.value }
    private let cost: BusCost
    private let used: [RegisterTable: [Range<Int>]]
    private(set) var cuts: [RegisterTable: Set<Int>] = [:]
    /// Runs that overlap, so that no cut divides them: asked one by one.
    private var alone: Set<Block> = []
    private(set) var aside: [Block: Aside] = [:]
    /// Blocks whose last request went unanswered, and how often that was while others were answered.
    private var suspects: [Block: Int] = [:]
    /// True when classes no longer share requests, because a request that they shared was not answered.
    private(set) var isByClass = false
    private var cache: [Set<PointClass>: [Block]] = [:] {
        didSet {
            guard cache.isEmpty else { return }
            counters = nil
            revision += 1
        }
    }
    /// Another number means other requests.
    private(set) var revision = 0
    private var counters: [Block]?
    private let counterClasses: Set<PointClass>

    /// Runs that the device answered with exception 2 when asked for alone; asked again from time to time, alone.
    package var refused: Set<Block> { Set(aside.filter { $0.value.reason == .refused }.keys) }
    /// True once a merged request had to be split.
    package private(set) var wasSplit = false

    package init(profile: Profile, cost: BusCost) { self.init(Shared(profile), cost: cost) }

    /// Of a profile that others hold too.
    init(_ map: Shared<Profile>, cost: BusCost) {
        self.map = map
        let profile = map.value
        self.cost = cost
        counterClasses = Set(profile.points.filter(Self.isCounter).map(\.pointClass))
        var used: [RegisterTable: [Range<Int>]] = [:]
        for point in profile.points {
            used[point.block.table, default: []].append(point.block.range)
            for other in point.companions + point.ratios.map(\.block) { used[other.table, default: []].append(other.range) }
        }
        self.used = used.mapValues(BlockPartition.union)
    }

    /// The requests for the points of these classes: suspects last, else in order of class, table and address.
    package mutating func blocks(for classes: Set<PointClass>) -> [Block] {
        if let known = cache[classes] { return known }
        let blocks = isByClass ? PointClass.allCases.filter(classes.contains).flatMap { merged([$0]) } : merged(classes)
        var keyed: [(suspect: Int, rank: Int, block: Block)] = []
        for block in blocks where !keyed.contains(where: { $0.block.covers(block) }) {
            keyed.append((suspects[block] == nil ? 0 : 1, rank(of: block, among: classes), block))
        }
        let order = keyed.indices.sorted { (keyed[$0].suspect, keyed[$0].rank, $0) < (keyed[$1].suspect, keyed[$1].rank, $1) }
        let result = order.map { keyed[$0].block }
        cache[classes] = result
        return result
    }

    /// The requests for the counters alone, and the classes that these are of; none without counters.
    package mutating func closing() -> (blocks: [Block], classes: Set<PointClass>) {
        let blocks = counters ?? merged(counterClasses, where: Self.isCounter)
        counters = blocks
        return (blocks, counterClasses)
    }

    /// How long reading the counters should take; nil when the profile has none.
    package mutating func closingTime() -> Duration? {
        let blocks = closing().blocks
        return blocks.isEmpty ? nil : blocks.reduce(.zero) { $0 + cost.time(of: $1) }
    }

    private static func isCounter(_ point: PointDefinition) -> Bool { point.quantity.kind == .counter && point.pointClass != .once }

    /// What was put aside and may be asked again now, after everything else.
    package func retry(at now: Uptime) -> Block? {
        guard !aside.isEmpty else { return nil }
        return aside.filter { $0.value.due <= now }.min { ($0.value.due, $0.key.address) < ($1.value.due, $1.key.address) }?.key
    }

    /// The cheapest request that shows whether the device is there: its shortest live run, of any class if there is no live one; one
    /// that did not go unanswered before, if there is such. Nil when everything was refused.
    package var probe: Block? {
        for classes in [Set([PointClass.live]), Set(PointClass.allCases)] {
            let candidates = candidates(for: classes)
            if let shortest = candidates.min(by: { (isSuspect($0) ? 1 : 0, $0.count) < (isSuspect($1) ? 1 : 0, $1.count) }) {
                return shortest
            }
        }
        return nil
    }

    /// Answers for the points of these classes that are put aside and were not asked for in this visit: the same fault again.
    package func unasked(for classes: Set<PointClass>, besides answers: [BlockAnswer]) -> [BlockAnswer] {
        guard !aside.isEmpty else { return [] }
        var result: [BlockAnswer] = []
        for table in RegisterTable.allCases {
            for run in runs(for: classes, in: table) {
                let block = Self.block(table, run)
                guard let reason = classes.compactMap({ asideEntry(of: block, $0) }).first else { continue }
                if answers.contains(where: { $0.block.covers(block) }) { continue }
                result.append(BlockAnswer(block: block, outcome: .fault(reason.fault)))
            }
        }
        return result
    }

    /// True when all that could be asked of these classes is put aside.
    package mutating func hasNothingLeft(of classes: Set<PointClass>) -> Bool { !aside.isEmpty && blocks(for: classes).isEmpty }

    /// Indices of the points that the device refuses.
    package var refusedPoints: [Int] {
        guard !aside.isEmpty else { return [] }
        let refused = refused
        guard !refused.isEmpty else { return [] }
        return profile.points.indices.filter { index in
            guard let run = run(of: profile.points[index]) else { return false }
            return refused.contains(Self.block(profile.points[index].block.table, run))
        }
    }

    /// Points that no request within the profile's own limits can read.
    package var unreadable: [Int] {
        profile.points.indices.filter { run(of: profile.points[$0]) == nil }
    }

    /// Learns from what a visit brought, in the order in which it was asked.
    ///
    /// - Parameter classes: that the visit was for.
    /// - Returns: what was newly given up as refused.
    package mutating func learn(from answers: [BlockAnswer], for classes: Set<PointClass>, at now: Uptime) -> [Block] {
        var found: [Block] = []
        let isAlive = answers.contains { if case .words = $0.outcome { true } else { false } }
        for answer in answers {
            switch answer.outcome {
            case .words:
                answered(answer.block, at: now)
            case .fault(.exception(2)):
                if learnRefusal(of: answer.block, at: now) { found.append(answer.block) }
            case .fault(.exception(10)), .fault(.exception(11)):
                missed(answer.block, classes, whileOthersAnswer: isAlive, at: now)
            case .fault(.exception):
                aside[answer.block]?.wasAskedInVain(at: now)
            case .fault(.timeout), .fault(.garbled):
                missed(answer.block, classes, whileOthersAnswer: isAlive, at: now)
                // The rest was not asked.
                return found
            case .fault(.noConnection):
                return found
            }
        }
        return found
    }

    /// The classes of which something got no words that may be had by asking again: not what is refused, by exception 1 or for good.
    package func unread(_ answers: [BlockAnswer], of classes: Set<PointClass>) -> Set<PointClass> {
        classes.filter { pointClass in
            answers.contains { answer in
                guard case .fault(let fault) = answer.outcome, fault != .exception(1), aside[answer.block] == nil else { return false }
                return runs(for: [pointClass], in: answer.block.table).contains {
                    let run = Self.block(answer.block.table, $0)
                    return answer.block.covers(run) && asideEntry(of: run, pointClass) == nil
                }
            }
        }
    }

    /// Asks for everything again: the device was away, it may be another one. What it left unanswered stays aside, but is asked soon.
    package mutating func forgetRefusals(at now: Uptime) {
        guard !aside.isEmpty || wasSplit || isByClass else { return }
        aside = aside.filter { $0.value.reason != .refused }
        for block in aside.keys { aside[block]?.hurry(at: now) }
        cuts = [:]
        alone = []
        wasSplit = false
        isByClass = false
        cache = [:]
    }

    // MARK: - Learning

    private mutating func answered(_ block: Block, at now: Uptime) {
        if suspects.removeValue(forKey: block) != nil { cache = [:] }
        guard let entry = aside.removeValue(forKey: block) else { return }
        cache = [:]
        // Where one register has come, others are likely to.
        guard entry.reason == .refused else { return }
        for other in aside.keys where aside[other]?.reason == .refused { aside[other]?.hurry(at: now) }
    }

    /// Exception 2 (illegal data address): a merged request is cut in two, a single run is given up. True when it was given up now.
    ///
    /// The cut goes where the widest unused gap is, since gaps are what devices refuse; without a gap, in the middle. So a bad register
    /// is found in a few polls while all others go on. Cuts made on the way to a bad run are taken back: the plan goes round it.
    private mutating func learnRefusal(of block: Block, at now: Uptime) -> Bool {
        guard aside[block] == nil else {
            aside[block]?.wasAskedInVain(at: now)
            return false
        }
        defer { cache = [:] }
        let table = block.table
        let inside = runs(for: Set(PointClass.allCases), in: table).map { Self.block(table, $0) }
            .filter { block.covers($0) && aside[$0]?.reason != .refused }
        if alone.contains(block) || inside == [block] {
            aside[block] = Aside(.refused, at: now)
            let near = block.range.lowerBound - 125...block.range.upperBound + 125
            cuts[table] = cuts[table]?.filter { !near.contains($0) }
            return true
        }
        if let cut = cut(between: inside.map(\.range)) {
            cuts[table, default: []].insert(cut)
        } else {
            alone.formUnion(inside)
        }
        wasSplit = true
        return false
    }

    private mutating func missed(_ block: Block, _ classes: Set<PointClass>, whileOthersAnswer isAlive: Bool, at now: Uptime) {
        guard aside[block] == nil else {
            aside[block]?.wasAskedInVain(at: now)
            return
        }
        cache = [:]
        suspects[block, default: 0] += isAlive ? 1 : 0
        let within = classes.filter { pointClass in
            runs(for: [pointClass], in: block.table).contains { block.covers(Self.block(block.table, $0)) }
        }
        let isShared = within.count > 1 && !isByClass
        let allowed = within.contains(.live) && !isShared ? Aside.liveMissesAllowed : Aside.missesAllowed
        guard isAlive, suspects[block, default: 0] >= allowed else {
            let all = candidates(for: Set(PointClass.allCases))
            if suspects.count > ReadPlan.suspectLimit || all.allSatisfy(isSuspect) { suspects = [:] }
            return
        }
        suspects[block] = nil
        // The live points of a request must not be lost for what else is in it.
        if isShared { isByClass = true } else { aside[block] = Aside(.unanswered(within), at: now) }
    }

    // MARK: - Runs

    private func merged(_ classes: Set<PointClass>, where isWanted: (PointDefinition) -> Bool = { _ in true }) -> [Block] {
        let refused = refused
        var result: [Block] = []
        for table in RegisterTable.allCases {
            let runs = runs(for: classes, in: table, where: isWanted).filter { run in
                classes.contains { self.runs(for: [$0], in: table).contains(run) && asideEntry(of: Self.block(table, run), $0) == nil }
            }
            let together = runs.filter { !alone.contains(Self.block(table, $0)) }
            if !together.isEmpty { result += partition(table, avoiding: refused).blocks(for: together) }
            result += runs.map { Self.block(table, $0) }.filter(alone.contains)
        }
        return result
    }

    /// The place of the most urgent class that the block has a point of.
    private func rank(of block: Block, among classes: Set<PointClass>) -> Int {
        PointClass.allCases.firstIndex { pointClass in
            classes.contains(pointClass)
                && runs(for: [pointClass], in: block.table).contains { block.covers(Self.block(block.table, $0)) }
        } ?? PointClass.allCases.count
    }

    private func candidates(for classes: Set<PointClass>) -> [Block] {
        RegisterTable.allCases.flatMap { table in
            runs(for: classes, in: table).map { Self.block(table, $0) }.filter { aside[$0]?.reason != .refused }
        }
    }

    private func isSuspect(_ run: Block) -> Bool {
        suspects.keys.contains { $0.covers(run) } || aside.contains { $0.value.reason != .refused && $0.key.covers(run) }
    }

    /// Why a run is not asked for in common visits for the sake of this class.
    private func asideEntry(of run: Block, _ pointClass: PointClass) -> Aside? {
        if let entry = aside[run], entry.reason == .refused { return entry }
        return aside.first { block, entry in
            guard case .unanswered(let classes) = entry.reason else { return false }
            return classes.contains(pointClass) && block.covers(run)
        }?.value
    }

    /// Registers that must come in one answer, point by point: its own, with its companions where that is possible. Ratios only need to
    /// come in the same poll, so they are runs of their own. Sorted, no doubles.
    private func runs(
        for classes: Set<PointClass>, in table: RegisterTable, where isWanted: (PointDefinition) -> Bool = { _ in true }
    ) -> [Range<Int>] {
        var runs: Set<Range<Int>> = []
        for point in profile.points where classes.contains(point.pointClass) && isWanted(point) {
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
