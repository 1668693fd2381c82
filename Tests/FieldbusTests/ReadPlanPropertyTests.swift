import Fieldbus
import Metering
import TestSupport
import Testing

/// What holds for the read plan of any map: with parts, terms, sign flags and ratios in all tables, with forbidden runs and windows, and on
/// devices that refuse some registers.
@Suite struct ReadPlanPropertyTests {
    private static let seed: UInt64 = 20_261_124

    private struct Map {
        var points: [PointDefinition]
        var limits: ReadLimits

        func allows(_ run: Range<Int>, _ table: RegisterTable) -> Bool {
            run.count <= (table.isBits ? 2000 : limits.maxRegisters)
                && !limits.forbidden.contains { $0.table == table && $0.range.overlaps(run) }
                && !limits.windows.contains { $0.table == table && $0.cuts(run) }
        }

        /// What must come in one answer for the point; nil when nothing may.
        func need(_ point: PointDefinition) -> Block? {
            for run in [point.run, point.block.range] where allows(run, point.block.table) {
                return Block(point.block.table, UInt16(run.lowerBound), count: UInt16(run.count))
            }
            return nil
        }

        func wanted(_ due: Set<PointClass>) -> [Block] {
            points.filter { due.contains($0.pointClass) }.flatMap { point in
                [need(point)].compactMap { $0 } + point.ratios.map(\.block).filter { allows($0.range, $0.table) }
            }
        }
    }

    private func random(_ random: inout SeededGenerator) -> Map {
        func block(_ table: RegisterTable, near base: Int, _ count: Int) -> Block {
            Block(table, UInt16(max(0, base + Int.random(in: -12...12, using: &random))), count: UInt16(count))
        }
        let limits = ReadLimits(
            maxRegisters: Int.random(in: 4...125, using: &random), maxGap: Int.random(in: 0...20, using: &random),
            forbidden: (0..<Int.random(in: 0...4, using: &random)).map { _ in
                block(RegisterTable.allCases.randomElement(using: &random) ?? .holding, near: Int.random(in: 0...250, using: &random), 3)
            },
            windows: Bool.random(using: &random) ? [] : [Block(.holding, UInt16.random(in: 20...200, using: &random), count: 30)])
        let points = (0..<Int.random(in: 1...30, using: &random)).map { number in
            let table = RegisterTable.allCases.randomElement(using: &random) ?? .holding
            let base = Int.random(in: 0...250, using: &random)
            var point = PointDefinition(
                quantity: Quantity(id: "x_test_\(number)", unit: "", kind: .gauge),
                block: block(table, near: base, table.isBits ? 1 : Int.random(in: 1...4, using: &random)), encoding: .uint16,
                pointClass: PointClass.allCases.randomElement(using: &random) ?? .live)
            if Int.random(in: 0...3, using: &random) == 0 { point.parts = [block(table, near: base, 1)] }
            if Int.random(in: 0...3, using: &random) == 0 { point.terms = [Operand(block: block(table, near: base, 1), encoding: .uint16)] }
            if Int.random(in: 0...5, using: &random) == 0 { point.signFlag = SignFlag(block: block(table, near: base, 1), negative: 1) }
            if Int.random(in: 0...5, using: &random) == 0 {
                point.ratios = [Operand(block: block(.holding, near: 100, 1), encoding: .uint16)]
            }
            return point
        }
        return Map(points: points, limits: limits)
    }

    private func plan(_ map: Map, _ random: inout SeededGenerator) -> ReadPlan {
        let profile = Profile(name: "t", version: 1, vendor: "t", models: [], source: "test", limits: map.limits, points: map.points)
        return ReadPlan(profile: profile, cost: Bool.random(using: &random) ? .tcp() : .serial(SerialFormat(baud: 9600)))
    }

    @Test func anyMapIsReadInFullAndNothingElseIs() {
        var random = SeededGenerator(seed: Self.seed)
        for round in 0..<600 {
            let map = self.random(&random)
            let due: Set<PointClass> = Bool.random(using: &random) ? [.live] : Set(PointClass.allCases)
            var plan = plan(map, &random)
            let blocks = plan.blocks(for: due)
            let wanted = map.wanted(due)
            let note: Comment = "round \(round) of seed \(Self.seed)"
            for block in blocks {
                #expect(map.allows(block.range, block.table), note)
                // Each end is asked for by something that is due.
                let inside = wanted.filter { block.covers($0) }
                #expect(inside.map(\.range.lowerBound).min() == block.range.lowerBound, note)
                #expect(inside.map(\.range.upperBound).max() == block.range.upperBound, note)
            }
            for block in wanted { #expect(blocks.contains { $0.covers(block) }, note) }
            #expect(Set(blocks).count == blocks.count, note)
            #expect(plan.unreadable == map.points.indices.filter { map.need(map.points[$0]) == nil }, note)
        }
    }

    /// The device refuses up to three registers: all that can be had without them is still read, and what is lost is named.
    @Test func whatADeviceRefusesIsReadRoundAndNamed() {
        var random = SeededGenerator(seed: Self.seed)
        for round in 0..<60 {
            let map = self.random(&random)
            let due = Set(PointClass.allCases)
            var plan = plan(map, &random)
            let bad = (0..<Int.random(in: 1...3, using: &random)).map { _ in Int.random(in: 0...250, using: &random) }
            let note: Comment = "round \(round) of seed \(Self.seed), refused \(bad)"
            func isRefused(_ block: Block) -> Bool { bad.contains { block.range.contains($0) } }
            var isSettled = false
            for _ in 0..<200 where !isSettled {
                let answers = plan.blocks(for: due).map { block in
                    let words = BlockAnswer.Outcome.words([UInt16](repeating: 0, count: Int(block.count)))
                    return BlockAnswer(block: block, outcome: isRefused(block) ? .fault(.exception(2)) : words)
                }
                _ = plan.learn(from: answers, for: due, at: Uptime(nanoseconds: 0))
                isSettled = !answers.contains { $0.outcome == .fault(.exception(2)) }
            }
            #expect(isSettled, note)
            let blocks = plan.blocks(for: due)
            for (index, point) in map.points.enumerated() {
                guard let need = map.need(point) else { continue }
                #expect(blocks.contains { $0.covers(need) } != isRefused(need), note)
                #expect(plan.refusedPoints.contains(index) == isRefused(need), note)
            }
        }
    }
}
