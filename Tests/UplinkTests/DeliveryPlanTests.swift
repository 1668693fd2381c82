import Metering
import Testing

@testable import Uplink

/// The plan, driven with time moved by hand.
@Suite struct DeliveryPlanTests {
    let start = Uptime(nanoseconds: 5_000_000_000)

    /// Drives a plan over `count` records against a receiver that answers by rule; gives the parts sent and the dead letters.
    private func run(_ count: Int, limit: Int = 10_000, _ rule: (Range<Int>) -> Settlement) -> (
        sent: [Range<Int>], dead: [Int], now: Uptime
    ) {
        var plan = DeliveryPlan()
        var now = start
        var sent: [Range<Int>] = []
        var dead: [Int] = []
        var action = plan.handle(.loaded(records: count), now: now, chance: 0)
        for _ in 0..<limit {
            switch action {
            case .load: return (sent, dead, now)
            case .send(let part):
                sent.append(part)
                action = plan.handle(.answered(rule(part)), now: now, chance: 0)
            case .settle(let part, let verdict):
                switch verdict {
                case .accepted(let rejected): dead += rejected.map { Int($0.seq) }
                case .deadLetter: dead += Array(part)
                }
                action = plan.handle(.settled, now: now, chance: 0)
            case .wait(let until):
                now = until
                action = plan.handle(.due, now: now, chance: 0)
            }
        }
        Issue.record("the plan did not end")
        return (sent, dead, now)
    }

    @Test func anEmptySliceAsksForTheNext() {
        var plan = DeliveryPlan()
        #expect(plan.handle(.loaded(records: 0), now: start, chance: 0) == .load)
    }

    @Test(arguments: [0, 1, 499, 500, 998, 999])
    func onePoisonRecordAmongAThousandIsTheOnlyDeadLetter(poison: Int) {
        let result = run(1000) { $0.contains(poison) ? .refused(reason: "bad") : .accepted(rejected: []) }
        #expect(result.dead == [poison])
        #expect(result.sent.count <= 21)  // 2 log2 1000 + 1
        #expect(result.now == start)  // no waiting: the receiver is there
    }

    @Test func tooLargeIsHalvedLargerHalfFirst() {
        let result = run(5) { $0.count > 2 ? .tooLarge(reason: "413") : .accepted(rejected: []) }
        #expect(result.sent == [0..<5, 0..<3, 0..<2, 2..<3, 3..<5])
        #expect(result.dead.isEmpty)
    }

    @Test func aRecordTooLargeAloneBecomesADeadLetterAndTheRestGoesOn() {
        let result = run(4) { $0.contains(2) ? .tooLarge(reason: "413") : .accepted(rejected: []) }
        #expect(result.dead == [2])
        #expect(result.sent.last == 3..<4)
    }

    @Test func theSameRecordsGiveTheSamePartsAgain() {
        let rule: (Range<Int>) -> Settlement = { $0.contains(77) ? .refused(reason: "bad") : .accepted(rejected: []) }
        #expect(run(300, rule).sent == run(300, rule).sent)
    }

    @Test func partsAreSettledInOrderWithoutGapOrOverlap() {
        var plan = DeliveryPlan()
        var settled = 0
        var action = plan.handle(.loaded(records: 37), now: start, chance: 0)
        while action != .load {
            switch action {
            case .send(let part):
                let answer: Settlement = part.count > 4 ? .tooLarge(reason: "") : .accepted(rejected: [])
                action = plan.handle(.answered(answer), now: start, chance: 0)
            case .settle(let part, _):
                #expect(part.lowerBound == settled)
                settled = part.upperBound
                action = plan.handle(.settled, now: start, chance: 0)
            case .load, .wait: Issue.record("unexpected \(action)")
            }
        }
        #expect(settled == 37)
    }

    @Test func narrowingSendsThePrefixFirstThenTheRest() {
        var plan = DeliveryPlan()
        #expect(plan.handle(.loaded(records: 10), now: start, chance: 0) == .send(0..<10))
        #expect(plan.handle(.narrowed(records: 4), now: start, chance: 0) == .send(0..<4))
        #expect(plan.handle(.answered(.accepted(rejected: [])), now: start, chance: 0) == .settle(0..<4, .accepted(rejected: [])))
        #expect(plan.handle(.settled, now: start, chance: 0) == .send(4..<10))
    }

    @Test func anUnreachableReceiverIsTriedAgainLaterAndLaterWithTheSamePart() {
        var plan = DeliveryPlan()
        var action = plan.handle(.loaded(records: 3), now: start, chance: 0.5)
        for delay in [1500, 2500, 4500, 8500] {
            #expect(action == .send(0..<3))
            action = plan.handle(.answered(.unavailable(reason: "refused", retryAfter: nil)), now: start, chance: 0.5)
            #expect(action == .wait(until: start + .milliseconds(delay)))
            action = plan.handle(.due, now: start, chance: 0.5)
        }
        _ = plan.handle(.answered(.accepted(rejected: [])), now: start, chance: 0.5)
        #expect(plan.attempts == 0)
    }

    @Test func retryAfterIsObeyed() {
        var plan = DeliveryPlan()
        _ = plan.handle(.loaded(records: 3), now: start, chance: 0)
        let action = plan.handle(.answered(.unavailable(reason: "429", retryAfter: .seconds(42))), now: start, chance: 0)
        #expect(action == .wait(until: start + .seconds(42)))
    }

    @Test func unauthorizedPausesFiveMinutesAndKeepsEverything() {
        var plan = DeliveryPlan()
        _ = plan.handle(.loaded(records: 3), now: start, chance: 0)
        #expect(plan.handle(.answered(.unauthorized(reason: "401")), now: start, chance: 0.9) == .wait(until: start + .seconds(300)))
        #expect(plan.state == .paused(until: start + .seconds(300)))
        // A reload ends the pause early.
        #expect(plan.handle(.due, now: start + .seconds(2), chance: 0) == .send(0..<3))
    }

    @Test func aReceiverThatRefusesEverythingCannotBurnTheBacklog() {
        let result = run(30) { _ in .refused(reason: "400") }
        #expect(result.dead == Array(0..<30))
        // Ten at once, then one dead letter every five minutes.
        #expect(result.now == start + .seconds(21 * 300))
    }

    /// So it is when it says so record by record, under a 2xx.
    @Test func aReceiverThatPolitelyRejectsEverythingCannotBurnTheBacklog() {
        func all(_ part: Range<Int>) -> [RejectedRecord] { part.map { RejectedRecord(seq: Int64($0), reason: "no") } }
        let result = run(400) { .accepted(rejected: all($0)) }
        #expect(result.dead == Array(0..<400))
        #expect(result.now == start + .seconds(391 * 300))
        let mended = run(400) { .accepted(rejected: $0.lowerBound < 11 ? all($0) : []) }
        #expect(mended.dead == Array(0..<11) && mended.now == start + .seconds(2 * 300))
    }

    /// At the end of a slice, too, a reload is followed by a request at once.
    @Test func aBlockedOutputTriesTheNextSliceAfterOneWait() {
        var plan = DeliveryPlan()
        var action = plan.handle(.loaded(records: DeliveryPlan.refusalRun), now: start, chance: 0)
        while action != .wait(until: start + DeliveryPlan.pause) {
            switch action {
            case .send: action = plan.handle(.answered(.refused(reason: "400")), now: start, chance: 0)
            case .settle: action = plan.handle(.settled, now: start, chance: 0)
            case .load, .wait:
                Issue.record("unexpected \(action)")
                return
            }
        }
        #expect(plan.state == .blocked(until: start + DeliveryPlan.pause))
        #expect(plan.handle(.due, now: start, chance: 0) == .load)
        #expect(plan.handle(.loaded(records: 3), now: start, chance: 0) == .send(0..<3))
    }

    @Test func aRunOfRefusalsEndsWithTheFirstRecordTaken() {
        let result = run(40) { part in
            part.allSatisfy { $0 % 8 == 0 } || part.count > 1
                ? (part.allSatisfy { $0 % 8 == 0 } ? .accepted(rejected: []) : .refused(reason: "")) : .refused(reason: "")
        }
        #expect(result.dead == (0..<40).filter { $0 % 8 != 0 })
        #expect(result.now == start)
    }
}
