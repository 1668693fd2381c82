import Fieldbus
import Metering
import Testing

/// Runs a plan whose visits to read counters take as long as the test says, on a clock that is moved by hand.
private struct Sweeps {
    /// A quarter hour's end.
    static let boundary: Int64 = 1_700_000_100
    var plan: PollPlan
    var now = Uptime(nanoseconds: 1_000_000_000)
    var offset: Duration
    var closings: [(device: Int, wall: Double)] = []

    /// Begins `before` a boundary.
    init(_ closing: [Duration?], before: Duration, period: Duration = .seconds(10)) {
        plan = PollPlan(periods: closing.map { _ in [.live: period] }, closing: closing, start: now)
        offset = .seconds(Sweeps.boundary - 1) - before
    }

    private var wall: Double { now.seconds + offset.seconds - Double(Sweeps.boundary) }

    mutating func run(for duration: Duration, visit: Duration, _ outcome: (Int) -> PollPlan.Outcome = { _ in .answered }) {
        let end = now + duration
        while now < end {
            switch plan.next(at: now, wallOffset: offset) {
            case .wait(let until): now = min(max(until, now), end)
            case .reopen: continue
            case .read(let device, _), .probe(let device):
                now = now + .milliseconds(5)
                _ = plan.record(device: device, outcome(device), at: now)
            case .close(let device):
                now = now + visit
                closings.append((device, wall))
                _ = plan.record(device: device, outcome(device), at: now)
            }
        }
    }
}

extension Uptime {
    fileprivate var seconds: Double { Double(nanoseconds) / 1e9 }
}

@Suite struct BoundaryTests {
    @Test func countersOfThirtyMetersAreReadWithinTwoSecondsOfEveryQuarterHour() {
        let visit = Duration.microseconds(82_500)
        var run = Sweeps(Array(repeating: visit, count: 30), before: .seconds(60))
        run.run(for: .seconds(1900), visit: visit)
        #expect(run.closings.count == 90)
        for (index, closing) in run.closings.enumerated() {
            #expect(closing.device == index % 30)
            #expect(abs(closing.wall - Double(index / 30 * 900)) < 1.4)
        }
    }

    /// The expected length is wrong at first: no sweep is broken off or made twice when it is learned.
    @Test func expectationThatWasWrongIsLearnedAndCostsNoRead() {
        for visit in [Duration.milliseconds(10), .milliseconds(300)] {
            var run = Sweeps(Array(repeating: .milliseconds(80), count: 20), before: .seconds(60))
            run.run(for: .seconds(4600), visit: visit)
            #expect(run.closings.count == 120)
            let last = run.closings.suffix(20).map { $0.wall - 4500 }
            if let first = last.first, let end = last.last { #expect(first < 0 && end > 0 && end < 4.1) }
        }
    }

    @Test func silentDeviceHasASecondTurnAfterAllOthersAndAnOfflineOneNone() {
        var run = Sweeps(Array(repeating: .milliseconds(50), count: 3), before: .seconds(60))
        run.run(for: .seconds(59), visit: .milliseconds(50))
        run.run(for: .seconds(5), visit: .milliseconds(50)) { $0 == 0 ? .silent : .answered }
        #expect(run.closings.map(\.device) == [0, 1, 2, 0])
        run.run(for: .seconds(100), visit: .milliseconds(50)) { $0 == 0 ? .silent : .answered }
        #expect(run.plan.state(of: 0) == .offline)
        run.closings = []
        run.run(for: .seconds(850), visit: .milliseconds(50)) { $0 == 0 ? .silent : .answered }
        #expect(run.closings.map(\.device) == [1, 2])
    }

    @Test func boundaryThatTheClockJumpsOverIsNotSwept() {
        var run = Sweeps([.milliseconds(50)], before: .seconds(60))
        run.run(for: .seconds(30), visit: .milliseconds(50))
        run.offset += .seconds(120)
        run.run(for: .seconds(60), visit: .milliseconds(50))
        #expect(run.closings.isEmpty)
    }

    @Test func boundaryThatComesAgainIsSweptAgain() {
        var run = Sweeps([.milliseconds(50)], before: .seconds(10))
        run.run(for: .seconds(11), visit: .milliseconds(50))
        #expect(run.closings.count == 1)
        run.offset -= .seconds(30)
        run.run(for: .seconds(60), visit: .milliseconds(50))
        #expect(run.closings.count == 2)
        #expect(run.closings.allSatisfy { abs($0.wall) < 0.1 })
    }

    @Test func deviceWithoutCountersAndABusThatIsToldNotToHaveNoClosingRead() {
        var run = Sweeps([nil, .milliseconds(50)], before: .seconds(10))
        run.run(for: .seconds(20), visit: .milliseconds(50))
        #expect(run.closings.map(\.device) == [1])
    }

    @Test(arguments: [true, false]) func closingReadAsksForCountersAlone(isOn: Bool) async throws {
        var counter = point(100, 2)
        counter.quantity.kind = .counter
        let map = profile([point(0, 2), counter, point(200, 2), point(1000, 4, .once)])
        let blocks = [Block(.holding, 100, count: 2)]
        let time = ManualTime(wallOffset: .seconds(Sweeps.boundary - 4))
        let result = try await ScriptedBus.run(
            [ScriptedBus.device("main", 1, map, slow: true)], polls: 8, time: time, closesQuarterHours: isOn
        ) { block, _, _ in ScriptedBus.zeros(block) }
        let closings = result.polls.filter { $0.answers.map(\.block) == blocks }
        #expect(closings.count == (isOn ? 1 : 0))
        for poll in closings { #expect(abs(poll.time.milliseconds - Sweeps.boundary * 1000) <= 100) }
        #expect(result.status.devices[0].pollsSkipped == 0)
    }
}
