import Testing

@testable import Store

/// The ranges an output is handed: a receiver tells a repeat by its range, so no two ranges ever sent may overlap without being equal.
struct OutboxTests {
    private struct World {
        var generator: SeededGenerator
        var lastSeq: Int64
        var outbox: Outbox
        var written: (cursor: Int64, pendingEnd: Int64, horizon: Int64, lastSeq: Int64, firstKept: Int64)
        var sent: [Int64: ClosedRange<Int64>] = [:]
        var firstKept: Int64 = 1
        let records: Int
        /// Whether polls are forced out, or ranges are narrowed by bytes. Both at once are beyond the promise: how far a range is
        /// narrowed hangs on what is in it.
        let isForcedOut: Bool

        init(seed: UInt64, records: Int, isForcedOut: Bool) {
            self.isForcedOut = isForcedOut
            generator = SeededGenerator(seed: seed)
            lastSeq = 0
            outbox = Outbox(id: 1, name: "park", cursor: 0, pendingEnd: 0, horizon: 0)
            written = (0, 0, 0, 0, 1)
            self.records = records
        }

        mutating func commit() {
            lastSeq += Int64.random(in: 0...40, using: &generator)
            let horizon = outbox.horizon(after: lastSeq)
            // Rarely everything old is forced out.
            if isForcedOut, Int.random(in: 0...30, using: &generator) == 0 { firstKept = max(firstKept, lastSeq - 25) }
            written = (outbox.cursor, outbox.pendingEnd, horizon, lastSeq, firstKept)
            outbox.committed(horizon: horizon)
        }

        mutating func crash() {
            lastSeq = written.lastSeq
            firstKept = written.firstKept
            outbox = Outbox(id: 1, name: "park", cursor: written.cursor, pendingEnd: written.pendingEnd, horizon: written.horizon)
        }

        /// Sends the next batch; the answer may be long in coming, or be lost.
        mutating func send() -> String? {
            _ = outbox.skip(to: firstKept, records: records)
            guard let range = outbox.next(records: records) else { return nil }
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

        private func narrowing(_ seq: Int64) -> Int64 { !isForcedOut && seq % 3 == 0 ? seq % 7 : .max / 2 }
    }

    @Test(arguments: [1, 7, 10, 1000], [false, true]) func noCrashMakesABatchOverlapAnother(_ records: Int, _ isForcedOut: Bool) {
        for seed in 1...400 {
            var world = World(seed: UInt64(seed * 7919), records: records, isForcedOut: isForcedOut)
            for _ in 0..<120 {
                switch Int.random(in: 0...9, using: &world.generator) {
                case 0...3: world.commit()
                case 4...8: if let overlap = world.send() { Issue.record("seed \(seed): \(overlap)") }
                default: world.crash()
                }
            }
        }
    }

    @Test func afterAStartTheOldChainIsWalkedToItsEndFirst() {
        var outbox = Outbox(id: 1, name: "park", cursor: 50, pendingEnd: 50, horizon: 100)
        #expect(outbox.horizon(after: 150) == 100)
        #expect(next(&outbox, 500) == 51...100)
        outbox.settle(through: 100, accepted: 50, rejected: 0)
        #expect(next(&outbox, 500) == nil)
        outbox.committed(horizon: outbox.horizon(after: 150))
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

    /// `#expect` cannot call what mutates.
    private func next(_ outbox: inout Outbox, _ records: Int) -> ClosedRange<Int64>? { outbox.next(records: records) }
}
