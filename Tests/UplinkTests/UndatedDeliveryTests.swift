import FoundationEssentials
import Host
import Logging
import Metering
import Store
import Testing
import Uplink

/// What a gateway without a clock battery sends: nothing of 1970, and the right times once it knows them.
struct UndatedDeliveryTests {
    /// A machine whose wall clock nobody has set; its uptime is real.
    private final class ColdTime: TimeSource {
        private let clocks = SystemTime()
        /// What the wall clock shows at uptime 0; and an uptime that is moved ahead.
        private let state = Lock((zero: Timestamp(milliseconds: 0), ahead: Duration.zero, quality: TimeQuality.unknown))

        func uptime() -> Uptime { clocks.uptime() + state.withLock { $0.ahead } }
        func wall() -> Timestamp { state.withLock { $0.zero }.advanced(by: .nanoseconds(uptime().nanoseconds)) }
        func clockState() -> ClockState { ClockState(quality: state.withLock { $0.quality }, maxErrorMilliseconds: 1) }
        func sleep(until deadline: Uptime) async throws {
            // Looks again soon: the time is moved under its feet.
            while uptime() < deadline { try await clocks.sleep(until: min(deadline, clocks.uptime() + .milliseconds(20))) }
        }

        func synchronise(_ wall: Timestamp) {
            let uptime = uptime().nanoseconds / 1_000_000
            state.withLock {
                $0.zero = Timestamp(milliseconds: wall.milliseconds - uptime)
                $0.quality = .synchronized
            }
        }

        func moveAhead(_ duration: Duration) { state.withLock { $0.ahead += duration } }
    }

    private let silent = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

    private func run(_ body: @escaping @Sendable (ColdTime, Store, DeliveryService, RecordingUpstream, Poll) async throws -> Void)
        async throws
    {
        let directory = "/tmp/meterd-undated-\(UInt64.random(in: 0 ... .max))"
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let time = ColdTime()
        let store = try await Store.open(directory: directory, outputs: ["park"], time: time, logger: silent)
        var poll = Plant.poll(1, entry: try await store.adopt(Plant.entry)).poll
        (poll.time, poll.uptime, poll.clock) = (time.wall(), time.uptime(), .unknown)
        _ = try await store.commit([CountedPoll(poll: poll, readings: 2)])
        let upstream = RecordingUpstream()
        let settings = DeliverySettings(gateway: "gw", site: nil, output: "park", journalID: "", batchAge: .zero)
        let service = DeliveryService(
            settings, outbox: store, upstream: upstream, decoder: { _ in Plant.decoder }, time: time, logger: silent)
        let read = poll
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { await service.run() }
            while service.status.holdingSince == nil { try await Task.sleep(for: .milliseconds(5)) }
            #expect(await upstream.batches.isEmpty)
            try await body(time, store, service, upstream, read)
            group.cancelAll()
        }
        await store.close()
    }

    @Test(.timeLimit(.minutes(5))) func theFirstSynchronisationDatesWhatWaitedForIt() async throws {
        try await run { time, store, service, upstream, read in
            let now = Timestamp(milliseconds: 1_795_459_200_000)
            time.synchronise(now)
            _ = try await store.commit([])
            time.moveAhead(.seconds(30))  // it looks again after that
            await upstream.received(1)
            let record = try #require(await upstream.batches.first?.records.first)
            // Both clocks were read within the time this test took.
            #expect(record.time <= now && record.time.milliseconds > now.milliseconds - 60_000)
            #expect(record.clock == .informative && record.readings.allSatisfy { $0.quality == .good })
            #expect(await upstream.batches.first?.id.contains(store.journalState().journalID) == true)
        }
    }

    @Test(.timeLimit(.minutes(5))) func withoutOneItLeavesAfterADayAndSaysWhatItsTimeIsWorth() async throws {
        try await run { time, _, service, upstream, read in
            time.moveAhead(.seconds(86_400))
            await upstream.received(1)
            let record = try #require(await upstream.batches.first?.records.first)
            #expect(record.time == Store.earliestDate.advanced(by: .milliseconds(read.uptime.nanoseconds / 1_000_000)))
            #expect(record.clock == .relative)
            #expect(!record.readings.isEmpty && record.readings.allSatisfy { $0.quality.contains(.timeUnsynchronized) })
            #expect(service.status.holdingSince == nil)
        }
    }
}
