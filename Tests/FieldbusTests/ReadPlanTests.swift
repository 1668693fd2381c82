import Metering
import TestSupport
import Testing

@testable import Fieldbus

@Suite struct ReadPlanTests {
    private static let start = Uptime(nanoseconds: 0)
    private let slowLine = BusCost.serial(SerialFormat(baud: 9600))

    @Test func neighboursShareARequest() {
        var plan = ReadPlan(profile: profile([point(.input, 0, 2), point(.input, 2, 2), point(.input, 6, 2)]), cost: slowLine)
        #expect(plan.blocks(for: [.live]) == [Block(.input, 0, count: 8)])
    }

    /// A request more costs 13 characters, two silences and the turnaround, 41 ms; 16 unused registers cost 33 ms, 22 cost 46 ms.
    @Test func gapIsReadAcrossOnlyWhenThatIsCheaper() {
        let limits = ReadLimits(maxGap: 100)
        var near = ReadPlan(profile: profile([point(.input, 0), point(.input, 17)], limits: limits), cost: slowLine)
        var far = ReadPlan(profile: profile([point(.input, 0), point(.input, 23)], limits: limits), cost: slowLine)
        #expect(near.blocks(for: [.live]).count == 1)
        #expect(far.blocks(for: [.live]).count == 2)
        var onNetwork = ReadPlan(profile: profile([point(.input, 0), point(.input, 23)], limits: limits), cost: .tcp())
        #expect(onNetwork.blocks(for: [.live]).count == 1)
    }

    @Test func scaleRegisterComesInTheSameAnswer() {
        var plan = ReadPlan(
            profile: profile([point(40_072, 1, scale: 40_076), point(40_200, 1)], limits: ReadLimits(maxGap: 0)), cost: .tcp())
        #expect(plan.blocks(for: [.live]) == [Block(.holding, 40_072, count: 5), Block(.holding, 40_200, count: 1)])
    }

    @Test func companionsComeInTheSameAnswerAndRatiosInTheSamePoll() {
        var signed = point(149, 2)
        signed.signFlag = SignFlag(block: Block(.holding, 135, count: 1), negative: 1)
        var halves = point(90, 1)
        halves.parts = [Block(.holding, 25, count: 1)]
        var ratio = point(.input, 0, 2)
        ratio.ratios = [Operand(block: Block(.input, 900, count: 1), encoding: .uint16)]
        var plan = ReadPlan(profile: profile([signed, halves, ratio, point(500, 1, .slow)], limits: ReadLimits(maxGap: 0)), cost: .tcp())
        #expect(
            plan.blocks(for: [.live]) == [
                Block(.holding, 25, count: 66), Block(.holding, 135, count: 16), Block(.input, 0, count: 2), Block(.input, 900, count: 1),
            ])
        #expect(plan.blocks(for: [.slow]) == [Block(.holding, 500, count: 1)])
    }

    @Test func requestsStayInsideTheirWindowAndFillIt() {
        let limits = ReadLimits(maxGap: 0, windows: [Block(.holding, 100, count: 50), Block(.holding, 150, count: 50)])
        var plan = ReadPlan(
            profile: profile([point(90), point(100), point(140), point(149), point(150), point(199)], limits: limits), cost: .tcp())
        #expect(
            plan.blocks(for: [.live]) == [
                Block(.holding, 90, count: 1), Block(.holding, 100, count: 50), Block(.holding, 150, count: 50),
            ])
        #expect(plan.unreadable.isEmpty)
        let across = ReadPlan(profile: profile([point(149, 2)], limits: limits), cost: .tcp())
        #expect(across.unreadable == [0])
    }

    @Test func pointThatTheLimitsForbidIsTold() {
        let plan = ReadPlan(
            profile: profile([point(10, 4), point(20, 1)], limits: ReadLimits(forbidden: [Block(.holding, 12, count: 1)])), cost: .tcp())
        #expect(plan.unreadable == [0])
    }

    @Test func onlyDueClassesAreAsked() {
        var plan = ReadPlan(profile: profile([point(0, 2), point(500, 2, .slow), point(900, 2, .once)].map { $0 }), cost: slowLine)
        #expect(plan.blocks(for: [.live]) == [Block(.holding, 0, count: 2)])
        #expect(plan.blocks(for: [.slow, .once]) == [Block(.holding, 500, count: 2), Block(.holding, 900, count: 2)])
    }

    @Test func everyMapIsCoveredExactlyAndWithinItsLimits() {
        var random = SeededGenerator(seed: 7)
        for round in 0..<3000 {
            let border = UInt16.random(in: 20...200, using: &random)
            let windows = Bool.random(using: &random) ? [] : [Block(.holding, border, count: UInt16.random(in: 5...40, using: &random))]
            let limits = ReadLimits(
                maxRegisters: Int.random(in: 4...125, using: &random), maxGap: Int.random(in: 0...20, using: &random),
                forbidden: (0..<Int.random(in: 0...4, using: &random)).map { _ in
                    Block(.holding, UInt16.random(in: 0...250, using: &random), count: UInt16.random(in: 1...5, using: &random))
                }, windows: windows)
            var points: [PointDefinition] = []
            for _ in 0..<Int.random(in: 1...40, using: &random) {
                let table: RegisterTable = Bool.random(using: &random) ? .holding : .input
                let address = UInt16.random(in: 0...250, using: &random)
                let scale = Int.random(in: 0...4, using: &random) == 0 ? address + UInt16.random(in: 4...30, using: &random) : nil
                let pointClass = PointClass.allCases.randomElement(using: &random) ?? .live
                points.append(point(table, address, UInt16.random(in: 1...4, using: &random), pointClass, scale: scale))
            }
            let due: Set<PointClass> = Bool.random(using: &random) ? [.live] : [.live, .slow]
            let cost = Bool.random(using: &random) ? slowLine : .tcp()
            var plan = ReadPlan(profile: profile(points, limits: limits), cost: cost)
            check(plan.blocks(for: due), points, due, limits, Set(plan.unreadable), "round \(round)")
        }
    }

    private func check(
        _ blocks: [Block], _ points: [PointDefinition], _ due: Set<PointClass>, _ limits: ReadLimits, _ unreadable: Set<Int>,
        _ note: Comment
    ) {
        func meet(_ a: Block, _ b: Block) -> Bool { a.table == b.table && a.range.overlaps(b.range) }
        var used: Set<Block> = []
        for point in points {
            for address in point.block.range { used.insert(Block(point.block.table, UInt16(address), count: 1)) }
            if let scale = point.scaleRegister { used.insert(scale) }
        }
        for block in blocks {
            #expect(Int(block.count) <= limits.maxRegisters, note)
            #expect(!limits.forbidden.contains { meet($0, block) }, note)
            #expect(!limits.windows.contains { meet($0, block) && !$0.covers(block) }, note)
            // Both ends of a block are wanted by a point that is due.
            let inside = points.filter { due.contains($0.pointClass) && block.covers($0.block) }
            #expect(!inside.isEmpty, note)
            let lowest = inside.flatMap { [$0.block.range.lowerBound, $0.scaleRegister.map { Int($0.address) } ?? 65_536] }.min()
            #expect(lowest == block.range.lowerBound, note)
            // Unused registers in a row: never more than allowed, but between a point and its scale register.
            var run = 0
            for address in block.range {
                run = used.contains(Block(block.table, UInt16(address), count: 1)) ? 0 : run + 1
                let paired = inside.contains { point in
                    guard let scale = point.scaleRegister else { return false }
                    return min(point.block.range.lowerBound, Int(scale.address)) < address
                        && address < max(point.block.range.upperBound, scale.range.upperBound)
                }
                let inWindow = limits.windows.contains { $0.covers(block) }
                #expect(run <= limits.maxGap || paired || inWindow, note)
            }
        }
        for (index, point) in points.enumerated() where due.contains(point.pointClass) {
            let covering = blocks.filter { $0.covers(point.block) }
            #expect(covering.isEmpty == unreadable.contains(index), note)
            guard let scale = point.scaleRegister else { continue }
            let both = min(point.block.range.lowerBound, scale.range.lowerBound)..<max(point.block.range.upperBound, scale.range.upperBound)
            let possible =
                both.count <= limits.maxRegisters
                && !limits.forbidden.contains { $0.table == point.block.table && $0.range.overlaps(both) }
                && !limits.windows.contains { $0.table == point.block.table && $0.cuts(both) }
            if possible { #expect(covering.contains { $0.covers(scale) }, note) }
        }
    }

    @Test func badRegisterIsFoundAndReadRoundWhileOthersGoOn() {
        // Ten points in a row; the device refuses every request that touches register 6.
        var plan = ReadPlan(profile: profile((0..<10).map { point($0 * 2, 2) }), cost: .tcp())
        #expect(plan.blocks(for: [.live]).count == 1)
        let (polls, found) = settle(&plan) { $0.range.contains(6) }
        #expect(found == [Block(.holding, 6, count: 2)])
        #expect(plan.blocks(for: [.live]) == [Block(.holding, 0, count: 6), Block(.holding, 8, count: 12)])
        #expect(
            plan.unasked(for: [.live], besides: []) == [BlockAnswer(block: Block(.holding, 6, count: 2), outcome: .fault(.exception(2)))])
        #expect(polls <= 6)
        plan.forgetRefusals(at: Self.start)
        #expect(plan.blocks(for: [.live]).count == 1)
    }

    @Test func refusedGapCostsOneRequestMoreAndNoPoint() {
        var plan = ReadPlan(profile: profile([point(0, 2), point(2, 2), point(8, 2), point(10, 2)]), cost: .tcp())
        let (_, found) = settle(&plan) { $0.range.contains(5) }
        #expect(found.isEmpty)
        #expect(plan.blocks(for: [.live]) == [Block(.holding, 0, count: 4), Block(.holding, 8, count: 4)])
    }

    @Test func refusalAmongOverlappingRunsCostsOnlyThatRun() {
        // Three points share a scale register at 10; the device refuses register 2.
        var plan = ReadPlan(profile: profile([point(2, 1, scale: 10), point(5, 1, scale: 10), point(8, 1, scale: 10)]), cost: .tcp())
        let (_, found) = settle(&plan) { $0.range.contains(2) }
        #expect(found == [Block(.holding, 2, count: 9)])
        #expect(plan.blocks(for: [.live]).allSatisfy { !$0.range.contains(2) })
        #expect(plan.blocks(for: [.live]).contains { $0.covers(Block(.holding, 5, count: 6)) })
    }

    /// Polls until nothing is refused any more.
    private func settle(_ plan: inout ReadPlan, refusing: (Block) -> Bool) -> (polls: Int, found: [Block]) {
        var found: [Block] = []
        for polls in 1...20 {
            let answers = plan.blocks(for: [.live]).map { block in
                let words = BlockAnswer.Outcome.words([UInt16](repeating: 0, count: Int(block.count)))
                return BlockAnswer(block: block, outcome: refusing(block) ? .fault(.exception(2)) : words)
            }
            found += plan.learn(from: answers, for: [.live], at: Self.start)
            if answers.allSatisfy({ $0.outcome != .fault(.exception(2)) }) { return (polls, found) }
        }
        Issue.record("twenty polls did not settle it")
        return (20, found)
    }
}
