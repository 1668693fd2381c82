import Metering
import Testing

@testable import Fieldbus

/// Runs a plan against a clock that is moved by hand; a visit takes as long as the test says.
private struct Rehearsal {
    var plan: PollPlan
    var now: Uptime
    var offset = Duration.zero
    var visits: [(device: Int, at: Uptime, classes: Set<PointClass>)] = []
    var probes: [(device: Int, at: Uptime)] = []
    var reopens = 0
    var changes: [PollPlan.Change] = []

    init(_ periods: [[PointClass: Duration]], start: Duration = .seconds(100)) {
        now = Uptime(nanoseconds: start.nanoseconds)
        plan = PollPlan(periods: periods, start: now)
    }

    mutating func run(
        for duration: Duration, visits visitTime: [Duration] = [], _ outcome: (Int) -> PollPlan.Outcome = { _ in .answered }
    ) {
        let end = now + duration
        while now < end {
            switch plan.next(at: now, wallOffset: offset) {
            case .wait(let until):
                now = min(max(until, now), end)
            case .reopen:
                reopens += 1
            case .read(let device, let classes):
                visits.append((device, now, classes))
                now = now + (visitTime.isEmpty ? .milliseconds(10) : visitTime[device % visitTime.count])
                if let change = plan.record(device: device, outcome(device), classes: classes, at: now) { changes.append(change) }
            case .close:
                Issue.record("no closing reads were asked for")
                return
            case .probe(let device):
                probes.append((device, now))
                now = now + (visitTime.isEmpty ? .milliseconds(10) : visitTime[device % visitTime.count])
                if let change = plan.record(device: device, outcome(device), at: now) { changes.append(change) }
            }
        }
    }
}

@Suite struct PollPlanTests {
    @Test func firstVisitReadsEverythingAndThenEachClassKeepsItsPeriod() {
        var run = Rehearsal([[.live: .seconds(1), .slow: .seconds(60), .once: .zero]])
        run.run(for: .seconds(200))
        #expect(run.visits.first?.classes == [.live, .slow, .once])
        #expect(run.visits.filter { $0.classes.contains(.live) }.count == 200)
        #expect(run.visits.filter { $0.classes.contains(.slow) }.count == 3)
        #expect(run.visits.filter { $0.classes.contains(.once) }.count == 1)
        #expect(run.plan.slots(of: 0).skipped == 0)
    }

    @Test func slotsAreMultiplesOfThePeriodOnTheWallClock() {
        var run = Rehearsal([[.live: .seconds(5)]])
        run.offset = .milliseconds(1_700_000_000_321)
        run.run(for: .seconds(60))
        for visit in run.visits.dropFirst() { #expect((visit.at.nanoseconds + run.offset.nanoseconds) % 5_000_000_000 == 0) }
    }

    @Test func overloadedLineStarvesNobodyAndCountsWhatItSkips() {
        // Thirty devices a second, each visit 100 ms: three times what fits.
        var run = Rehearsal(Array(repeating: [.live: .seconds(1)], count: 30))
        run.run(for: .seconds(300), visits: [.milliseconds(100)])
        for device in 0..<30 {
            let times = run.visits.filter { $0.device == device }.map(\.at)
            #expect((98...102).contains(times.count))
            for (a, b) in zip(times, times.dropFirst()) { #expect(b - a < .seconds(4.1)) }
            #expect((190...205).contains(run.plan.slots(of: device).skipped))
        }
    }

    /// 9600 8N1, 20 registers each, 20 ms turnaround: 82.5 ms a visit, 1.08 s a visit to the silent one.
    @Test func thirtyMetersOnALineKeepTheirPeriodWhenOneIsSilent() {
        var run = Rehearsal(Array(repeating: [.live: .seconds(5)], count: 30))
        let visits = (0..<30).map { $0 == 16 ? Duration.milliseconds(1080) : .microseconds(82_500) }
        run.run(for: .seconds(900), visits: visits) { $0 == 16 ? .silent : .answered }
        #expect(run.plan.state(of: 16) == .offline)
        for device in 0..<30 where device != 16 {
            #expect(run.plan.slots(of: device).skipped == 0)
            #expect(run.visits.filter { $0.device == device }.count == 180)
        }
    }

    @Test func slotsServedLateAreCounted() {
        // The first takes 600 ms: the second begins so long after it was due, each second.
        var run = Rehearsal([[.live: .seconds(1)], [.live: .seconds(1)]])
        run.run(for: .seconds(60), visits: [.milliseconds(600), .milliseconds(300)])
        #expect(run.plan.slots(of: 0) == SlotCount(served: 60, late: 0, skipped: 0))
        #expect(run.plan.slots(of: 1) == SlotCount(served: 60, late: 60, skipped: 0))
    }

    @Test func slowClassOfABusyLineIsServedToo() {
        var run = Rehearsal([[.live: .seconds(1)], [.slow: .seconds(60)]])
        run.run(for: .seconds(600), visits: [.milliseconds(1200), .milliseconds(100)])
        #expect(run.visits.filter { $0.device == 1 }.count >= 9)
    }

    @Test func deviceIsOfflineAfterThreeSecondsAndTwoVisits() {
        var quick = Rehearsal([[.live: .milliseconds(500)], [.live: .seconds(1)]])
        quick.run(for: .seconds(2.9)) { $0 == 0 ? .silent : .answered }
        #expect(quick.plan.state(of: 0) == .starting)
        quick.run(for: .seconds(1)) { $0 == 0 ? .silent : .answered }
        #expect(quick.plan.state(of: 0) == .offline)

        var slow = Rehearsal([[.live: .seconds(60)], [.live: .seconds(1)]])
        slow.run(for: .seconds(10)) { $0 == 0 ? .silent : .answered }
        #expect(slow.plan.state(of: 0) == .starting)
        slow.run(for: .seconds(80)) { $0 == 0 ? .silent : .answered }
        #expect(slow.plan.state(of: 0) == .offline)
    }

    @Test func probesGrowRareAndNeighboursKeepTheirPeriod() {
        var run = Rehearsal([[.live: .seconds(1)], [.live: .seconds(1)]])
        run.run(for: .seconds(3600), visits: [.milliseconds(100), .milliseconds(20)]) { $0 == 0 ? .silent : .answered }
        let gaps = zip(run.probes, run.probes.dropFirst()).map { ($1.at - $0.at).seconds }
        #expect(gaps.first.map { $0 > 0.9 && $0 < 1.3 } == true)
        #expect(gaps.max().map { $0 > 299 && $0 < 302 } == true)
        #expect(run.probes.count < 50)
        #expect(run.visits.filter { $0.device == 1 }.count == 3600)
        #expect(run.plan.slots(of: 1).skipped == 0)
    }

    @Test func oneAnswerBringsADeviceBackAndEverythingIsRead() {
        var run = Rehearsal([[.live: .seconds(1), .slow: .seconds(60), .once: .zero], [.live: .seconds(1)]])
        run.run(for: .seconds(2))
        run.run(for: .seconds(8)) { $0 == 0 ? .silent : .answered }
        #expect(run.plan.state(of: 0) == .offline)
        run.visits = []
        run.run(for: .seconds(15))
        #expect(run.plan.state(of: 0) == .online)
        #expect(run.changes == [.cameOnline, .cameOnline, .wentOffline, .cameOnline])
        #expect(run.visits.first { $0.device == 0 }?.classes == [.live, .slow, .once])
    }

    @Test func silentBusIsReopenedAndOneAnswerWakesAll() {
        var run = Rehearsal(Array(repeating: [.live: .seconds(1)], count: 5))
        run.run(for: .seconds(600)) { _ in .silent }
        #expect(run.plan.isSilent)
        // At most one in thirty seconds, and none without a probe to follow.
        #expect((4...20).contains(run.reopens) && run.reopens <= run.probes.count)
        let before = run.now
        run.run(for: .seconds(301))
        #expect((0..<5).allSatisfy { run.plan.state(of: $0) == .online })
        let back = (0..<5).compactMap { device in run.probes.last { $0.device == device && $0.at >= before }?.at }
        #expect(back.count == 5)
        if let first = back.min(), let last = back.max() { #expect(last - first < .seconds(1)) }
    }

    @Test func missingPortIsTriedEveryTenSeconds() {
        var run = Rehearsal([[.live: .seconds(1)]])
        run.run(for: .seconds(600)) { _ in .unreachable }
        let gaps = zip(run.probes, run.probes.dropFirst()).map { ($1.at - $0.at).seconds }
        #expect(gaps.max().map { $0 < 11 } == true)
    }

    @Test(arguments: [-86_400.0, -3.7, -0.4, 0.4, 3.7, 86_400, 1_700_000_000])
    func clockStepNeitherStopsNorBurstsPolls(step: Double) {
        var run = Rehearsal([[.live: .seconds(1)], [.slow: .seconds(10)]])
        run.run(for: .seconds(30))
        run.offset += .seconds(step)
        run.run(for: .seconds(30))
        let times = run.visits.filter { $0.device == 0 }.map(\.at)
        #expect((59...61).contains(times.count))
        for (a, b) in zip(times, times.dropFirst()) { #expect(b - a >= .seconds(0.5) && b - a <= .seconds(1.5)) }
        let slow = run.visits.filter { $0.device == 1 }.map(\.at)
        for (a, b) in zip(slow, slow.dropFirst()) { #expect(b - a >= .seconds(5) && b - a <= .seconds(15.1)) }
    }

    @Test func slewingClockGivesOnePollASlot() {
        var run = Rehearsal([[.live: .seconds(1)]])
        for _ in 0..<600 {
            run.run(for: .milliseconds(500))
            run.offset += .microseconds(250)
        }
        #expect((299...301).contains(run.visits.count))
    }

    @Test func failedIdentityIsAskedAgainWithTheNextVisit() {
        var run = Rehearsal([[.live: .seconds(1), .once: .zero]])
        run.run(for: .milliseconds(500)) { _ in .silent }
        run.run(for: .seconds(3))
        #expect(run.visits.map { $0.classes.contains(.once) } == [true, true, false, false])
    }

    @Test func probeDelayIsTheWrittenSeries() {
        var delay = ProbeDelay()
        var series = [delay.current]
        for _ in 0..<25 { series.append(delay.next()) }
        #expect(series.prefix(4) == [.seconds(0.5), .seconds(1), .seconds(1.5), .seconds(2)])
        #expect(series[19...25] == [.seconds(10), .seconds(20), .seconds(40), .seconds(80), .seconds(160), .seconds(300), .seconds(300)])
    }
}
