import Testing

@testable import Store

/// The ranges an output is handed: a receiver tells a repeat by its range, so no two ranges ever sent may overlap without being equal.
struct OutboxTests {
    private struct World {
        var generator: SeededGenerator
        var lastSeq: Int64
        var outbox: Outbox
        var written: (outbox: Outbox, lastSeq: Int64, firstKept: Int64)
        var sent: [Int64: ClosedRange<Int64>] = [:]
        var lanesSeen = 1
        var firstKept: Int64 = 1
        let records: Int
        /// Whether polls are forced out, or ranges are narrowed by bytes. Both at once are beyond the promise: how far a range is
        /// narrowed hangs on what is in it.
        let isForcedOut: Bool
        /// Whether new polls overtake, again and again.
        let forks: Bool

        init(seed: UInt64, records: Int, isForcedOut: Bool, forks: Bool) {
            self.isForcedOut = isForcedOut
            self.forks = forks
            generator = SeededGenerator(seed: seed)
            lastSeq = 0
            outbox = Outbox(id: 1, name: "park", cursor: 0, pendingEnd: 0, horizon: 0)
            written = (outbox, 0, 1)
            self.records = records
        }

        mutating func commit() {
            lastSeq += Int64.random(in: 0...40, using: &generator)
            var next = outbox
            let isForked = next.commit(lastSeq: lastSeq, forking: forks && Int.random(in: 0...3, using: &generator) == 0)
            // Rarely everything old is forced out.
            if isForcedOut, Int.random(in: 0...30, using: &generator) == 0 { firstKept = max(firstKept, lastSeq - 25) }
            written = (next, lastSeq, firstKept)
            outbox.adopt(horizon: next.horizon, forked: isForked)
            lanesSeen = max(lanesSeen, outbox.lanes.count)
        }

        mutating func crash() {
            lastSeq = written.lastSeq
            firstKept = written.firstKept
            let (first, others) = (written.outbox.first, Lane.text(of: written.outbox.lanes.dropFirst()))
            outbox = Outbox(
                id: 1, name: "park", cursor: first.cursor, pendingEnd: first.pendingEnd, horizon: first.horizon,
                lanes: Lane.read(others, after: first.horizon))
        }

        /// Sends the next batch; the answer may be long in coming, or be lost.
        mutating func send() -> String? {
            _ = outbox.skip(to: firstKept, records: records)
            let lane = Int.random(in: outbox.lanes.indices, using: &generator)
            guard let range = outbox.next(records: records, lane: lane) else { return nil }
            // A cap in bytes narrows some ranges, always in the same way.
            let narrowed = range.lowerBound...min(range.upperBound, range.lowerBound + narrowing(range.lowerBound))
            for seq in narrowed {
                if let before = sent[seq], before != narrowed { return "\(seq) was in \(before), is now in \(narrowed)" }
                sent[seq] = narrowed
            }
            if Int.random(in: 0...3, using: &generator) != 0 {
                outbox.settle(through: narrowed.upperBound, accepted: narrowed.count, rejected: 0)
            }
            return nil
        }

        func fault() -> String? {
            for (lane, next) in zip(outbox.lanes, outbox.lanes.dropFirst()) where lane.horizon > next.cursor || lane.available <= 0 {
                return "lanes out of order: \(outbox.lanes)"
            }
            return nil
        }

        mutating func drain() -> String? {
            for _ in 0..<10_000 where outbox.cursor < lastSeq {
                if let fault = send() ?? fault() { return fault }
                if outbox.lanes.allSatisfy({ $0.available == 0 }) { commit() }
            }
            if outbox.cursor < lastSeq { return "stuck at \(outbox.lanes)" }
            // What was forced out was perhaps never sent.
            let missing = (firstKept...max(firstKept, lastSeq)).first { sent[$0] == nil && $0 <= lastSeq }
            return missing.map { "\($0) counts as settled and was never sent" }
        }

        private func narrowing(_ seq: Int64) -> Int64 { !isForcedOut && seq % 3 == 0 ? seq % 7 : .max / 2 }
    }

    @Test(arguments: [1, 7, 10, 1000], [(false, false), (false, true), (true, false), (true, true)])
    func noCrashMakesABatchOverlapAnother(_ records: Int, _ ways: (isForcedOut: Bool, forks: Bool)) {
        var lanes = 1
        for seed in 1...60 {
            var world = World(seed: UInt64(seed * 7919), records: records, isForcedOut: ways.isForcedOut, forks: ways.forks)
            for _ in 0..<120 {
                switch Int.random(in: 0...9, using: &world.generator) {
                case 0...3: world.commit()
                case 4...8: if let overlap = world.send() { Issue.record("seed \(seed): \(overlap)") }
                default: world.crash()
                }
                if let fault = world.fault() { Issue.record("seed \(seed): \(fault)") }
            }
            if let fault = world.drain() { Issue.record("seed \(seed): \(fault)") }
            lanes = max(lanes, world.lanesSeen)
        }
        #expect(ways.forks ? lanes > 2 : lanes == 1)
    }

    @Test func afterAStartTheOldChainIsWalkedToItsEndFirst() {
        var outbox = Outbox(id: 1, name: "park", cursor: 50, pendingEnd: 50, horizon: 100)
        commit(&outbox, 150)
        #expect(outbox.horizon == 100)
        #expect(next(&outbox, 500) == 51...100)
        outbox.settle(through: 100, accepted: 50, rejected: 0)
        #expect(next(&outbox, 500) == nil)
        commit(&outbox, 150)
        #expect(next(&outbox, 500) == 101...150)
    }

    @Test func whatWasOutIsOfferedAgainAsItWas() {
        var outbox = Outbox(id: 1, name: "park", cursor: 50, pendingEnd: 62, horizon: 100)
        #expect(next(&outbox, 500) == 51...62)
        outbox.settle(through: 55, accepted: 5, rejected: 0)
        #expect(next(&outbox, 10) == 56...65)
    }

    @Test func skippingKeepsToTheRangesThatWouldHaveBeen() {
        var outbox = Outbox(id: 1, name: "park", cursor: 0, pendingEnd: 0, horizon: 95)
        let isMoved = outbox.skip(to: 35, records: 10)
        #expect(isMoved)
        #expect(next(&outbox, 10) == 31...40)
        outbox.settle(through: 40, accepted: 0, rejected: 0)
        let isMovedAgain = outbox.skip(to: 200, records: 10)
        #expect(isMovedAgain)
        #expect(outbox.cursor == 95)
    }

    @Test func aForkLetsNewPollsPassAndTheBacklogEndWhereItWouldHave() {
        var outbox = Outbox(id: 1, name: "park", cursor: 10, pendingEnd: 10, horizon: 100)
        commit(&outbox, 120, forking: true)
        #expect(outbox.lanes.map(\.cursor) == [10, 100] && outbox.lanes.map(\.horizon) == [100, 120])
        #expect(outbox.backlog(firstKept: 1, lastSeq: 130) == (120, 90))
        #expect(next(&outbox, 40, lane: 1) == 101...120)
        outbox.settle(through: 120, accepted: 20, rejected: 0)
        #expect(outbox.cursor == 10 && outbox.liveCursor == 120)
        #expect([10, 11, 100, 101, 120, 121].map { outbox.hasSettled($0) } == [true, false, false, true, true, false])
        #expect([11...100, 12...90, 95...101, 130...140].map { outbox.owesAll($0) } == [true, true, false, true])
        #expect(next(&outbox, 80) == 11...90)
        outbox.settle(through: 90, accepted: 80, rejected: 0)
        #expect(next(&outbox, 80) == 91...100)
        outbox.settle(through: 100, accepted: 10, rejected: 0)
        #expect(outbox.lanes.count == 1 && outbox.cursor == 120)
    }

    @Test func lanesAreBoundedAndAForkOfNothingIsNone() {
        var outbox = Outbox(id: 1, name: "park", cursor: 0, pendingEnd: 0, horizon: 0)
        commit(&outbox, 10, forking: true)
        #expect(outbox.lanes.count == 1)
        commit(&outbox, 10, forking: true)
        #expect(outbox.lanes.count == 1)
        for commit in 2...40 { self.commit(&outbox, Int64(commit * 10), forking: true) }
        #expect(outbox.lanes.count == Outbox.laneLimit && outbox.horizon == 400)
    }

    /// Cursors 10, 100 (settled to 120), horizons 100 and 130.
    private var forked: Outbox {
        var outbox = Outbox(id: 1, name: "park", cursor: 10, pendingEnd: 10, horizon: 100)
        commit(&outbox, 130, forking: true)
        _ = next(&outbox, 20, lane: 1)
        outbox.settle(through: 120, accepted: 20, rejected: 0)
        return outbox
    }

    @Test(
        arguments: [
            (5, [5], [130]), (50, [10], [130]), (100, [10, 100], [100, 130]), (110, [10, 110], [100, 130]), (120, [10, 120], [100, 130]),
        ] as [(Int64, [Int64], [Int64])])
    func settingBackSkipsNothingOfTheBacklog(_ seq: Int64, _ cursors: [Int64], _ horizons: [Int64]) {
        var outbox = forked
        outbox.rewind(to: seq)
        #expect(outbox.lanes.map(\.cursor) == cursors && outbox.lanes.map(\.horizon) == horizons)
    }

    @Test func lanesOfAnotherHandAreNone() {
        let text = Lane.text(of: forked.lanes.dropFirst())
        #expect(text == "120-120-130")
        #expect(Lane.read(text, after: 100).map(\.cursor) == [120])
        for bad in ["120-120", "90-95-130", "120-119-130", "120-125-124", "a-b-c", "120-120-130,", "120-120-130,125-130-140"] {
            #expect(Lane.read(bad, after: 100).isEmpty, "\(bad)")
        }
    }

    private func commit(_ outbox: inout Outbox, _ lastSeq: Int64, forking: Bool = false) {
        _ = outbox.commit(lastSeq: lastSeq, forking: forking)
    }

    /// `#expect` cannot call what mutates.
    private func next(_ outbox: inout Outbox, _ records: Int, lane: Int = 0) -> ClosedRange<Int64>? {
        outbox.next(records: records, lane: lane)
    }
}
