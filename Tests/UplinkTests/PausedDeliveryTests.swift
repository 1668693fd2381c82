import FoundationEssentials
import Host
import Logging
import Metering
import Store
import Testing
import Uplink

struct PausedDeliveryTests {
    /// The batch that the receiver does not take is not tried again while someone has paused the output, and goes out when it is resumed.
    @Test(.timeLimit(.minutes(5))) func aPauseHoldsWhatIsBeingTriedAgainToo() async throws {
        let silent = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        let directory = "/tmp/meterd-paused-\(UInt64.random(in: 0 ... .max))"
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let time = HandTime()
        let store = try await Store.open(directory: directory, outputs: ["park"], time: time, logger: silent)
        let poll = Plant.poll(1, entry: try await store.adopt(Plant.entry)).poll
        _ = try await store.commit([CountedPoll(poll: poll, readings: 2)])
        let upstream = RecordingUpstream { _ in .unavailable(reason: "away", retryAfter: nil) }
        let service = DeliveryService(
            DeliverySettings(gateway: "gw", site: nil, output: "park", journalID: "", batchAge: .zero), outbox: store, upstream: upstream,
            decoder: { _ in Plant.decoder }, time: time, logger: silent)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { await service.run() }
            await upstream.received(1)
            _ = try await store.setPaused(true, output: "park")
            service.setPaused(true)
            let tried = await upstream.batches.count
            // Each step is the end of a wait: the backoff's, then turns of a loop that waits for the resume.
            for _ in 0..<5 { await time.step() }
            #expect(await upstream.batches.count <= tried + 1)
            #expect(service.status.isPaused)
            await upstream.obey { _ in .accepted(rejected: []) }
            _ = try await store.setPaused(false, output: "park")
            service.setPaused(false)
            while await store.outputStates().first?.cursor != 1 { try await Task.sleep(for: .milliseconds(5)) }
            group.cancelAll()
        }
        #expect(!service.status.isPaused)
        await store.close()
    }
}
