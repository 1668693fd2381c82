import Host
import Logging
import Metering
import Store
import TestSupport
import Testing

@testable import Uplink

/// A backlog keeps to its pace.
@Suite struct PaceTests {
    private let start = Uptime(nanoseconds: 5_000_000_000)

    @Test func theTableOfTheGateHolds() {
        var gate = PaceGate(Pace(records: 5000), now: start)
        #expect(gate.opens(from: start) == start)
        gate.take(records: 500, bytes: 0, at: start)
        #expect(gate.opens(from: start) > start && gate.opens(from: start) < start + .milliseconds(1))
        let later = start + .milliseconds(100)
        #expect(gate.opens(from: later) == later)
        gate.take(records: 4000, bytes: 0, at: later)
        let opens = gate.opens(from: later)
        #expect(opens > later + .milliseconds(699) && opens < later + .milliseconds(701))
        #expect(gate.opens(from: opens) == opens)
    }

    @Test func withoutAPaceItIsAlwaysOpen() {
        var gate = PaceGate(nil, now: start)
        gate.take(records: 1 << 40, bytes: 1 << 40, at: start)
        #expect(gate.opens(from: start) == start && !gate.countsBytes)
    }

    @Test func theStricterOfTwoPacesCounts() {
        var gate = PaceGate(Pace(records: 1000, bytes: 1000), now: start)
        gate.take(records: 10, bytes: 2100, at: start)
        let opens = gate.opens(from: start)
        #expect(opens > start + .milliseconds(1999) && opens < start + .milliseconds(2001))
    }

    /// Whatever is handed on whenever it is open: never more than the rate, the burst and one slice.
    @Test(arguments: [(7, 5), (500, 5000), (8192, 100), (1, 1_000_000)]) func noOneGetsMoreThanThePace(_ slice: Int, _ rate: Int) {
        var generator = SeededGenerator(seed: UInt64(slice * 31 + rate))
        var gate = PaceGate(Pace(records: rate), now: start)
        var (now, handed) = (start, 0)
        for _ in 0..<3000 {
            now = max(gate.opens(from: now), now + .nanoseconds(Int64.random(in: 0...50_000_000, using: &generator)))
            let count = Int.random(in: 1...slice, using: &generator)
            gate.take(records: count, bytes: 0, at: now)
            handed += count
            let most = Double(rate) * ((now - start).seconds + 0.1) + Double(slice) + 1
            #expect(Double(handed) <= most)
        }
    }

    /// Ten thousand polls of backlog at 1000/s, by a clock that only moves when everyone waits: ten seconds, and no less.
    @Test(arguments: [Pace(records: 1000), Pace(bytes: 45_000)]) func aBacklogTakesTheTimeThatThePaceGivesIt(_ pace: Pace) async {
        let time = HandTime()
        let began = time.uptime()
        let outbox = MemoryOutbox((1...10_000).map { Plant.poll($0) })
        await outbox.makeLate(through: 10_000)
        let upstream = SizedUpstream(time: time)
        let service = DeliveryService(
            DeliverySettings(gateway: "gw-017", site: nil, output: "park", journalID: "2f6e", pace: pace), outbox: outbox,
            upstream: upstream, decoder: { _ in Plant.decoder }, time: time,
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await service.run() }
            while await outbox.cursor < 10_000 { await time.step() }
            group.cancelAll()
        }
        let arrivals = await upstream.arrivals
        #expect(arrivals.count == 20)
        for (index, at) in arrivals.enumerated() {
            let waited = (at - began).seconds
            #expect(waited >= Double(index - 1) * 0.5 - 0.15 && waited < Double(index + 1) * 0.5 + 0.5)
        }
    }

    @Test func whatIsFreshIsNotPaced() async {
        let outbox = MemoryOutbox((1...10_000).map { Plant.poll($0) })
        let upstream = RecordingUpstream()
        let service = DeliveryService(
            DeliverySettings(gateway: "gw-017", site: nil, output: "park", journalID: "2f6e", pace: Pace(records: 1, bytes: 1024)),
            outbox: outbox, upstream: upstream, decoder: { _ in Plant.decoder }, time: HandTime(),
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await service.run() }
            await outbox.settled(through: 10_000)
            group.cancelAll()
        }
        #expect(await upstream.batches.allSatisfy { !$0.historical })
    }
}

/// Says that a record has 45 bytes, and remembers when each batch came.
private actor SizedUpstream: Upstream {
    private let time: HandTime
    private(set) var arrivals: [Uptime] = []

    init(time: HandTime) { self.time = time }

    func send(_ batch: Batch) -> Settlement {
        arrivals.append(time.uptime())
        return .accepted(rejected: [])
    }

    func fitting(_ batch: Batch, bytes: Int) -> Int { batch.records.count }
    func size(of batch: Batch) -> Int { batch.records.count * 45 }
    func close() {}
}
