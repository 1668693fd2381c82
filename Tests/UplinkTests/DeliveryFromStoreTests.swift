import FoundationEssentials
import Glibc
import Host
import Logging
import Metering
import Store
import Testing

@testable import Uplink

/// The service on a real store in a real directory.
@Suite struct DeliveryFromStoreTests {
    @Test func aPoisonRecordAndATightByteCapLeaveOneDeadLetterAndAllOthersAccepted() async throws {
        let directory = "/tmp/meterd-uplink-store-\(getpid())-\(UInt64.random(in: 0 ... .max))"
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        let time = SystemTime()
        let store = try await Store.open(directory: directory, outputs: ["park"], time: time, logger: logger)
        let id = try await store.adopt(Plant.entry)
        let journalID = await store.openReport.journalID
        let polls = (1...1000).map { CountedPoll(poll: Plant.poll($0, entry: id).poll, readings: 2) }
        _ = try await store.commit(polls)
        let upstream = RecordingUpstream { batch in
            batch.records.contains { $0.seq == 617 } ? .refused(reason: "422: no") : .accepted(rejected: [])
        }
        let settings = DeliverySettings(
            gateway: "gw-017", site: nil, output: "park", journalID: journalID, batchRecords: 300, batchBytes: 20_000, batchAge: .zero)
        let service = DeliveryService(
            settings, outbox: store, upstream: NarrowUpstream(inner: upstream), decoder: { _ in Plant.decoder },
            time: time,
            logger: logger)
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await service.run() }
            while await store.outputStates().first?.cursor != 1000, !Task.isCancelled { await Task.yield() }
            group.cancelAll()
        }
        let state = try #require(await store.outputStates().first)
        #expect(state.acceptedPolls == 999)
        #expect(state.rejectedPolls == 1)
        _ = try await store.commit([])
        let letters = try await store.deadLetters(output: "park", limit: 10)
        #expect(letters.map(\.seq) == [617])
        await store.close()
    }
}
