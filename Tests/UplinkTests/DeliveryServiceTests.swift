import Host
import Logging
import Metering
import Store
import Testing

@testable import Uplink

@Suite struct DeliveryServiceTests {
    private let time = HandTime()
    private let log = Lock<[String]>([])

    private func service(
        _ outbox: MemoryOutbox, _ upstream: any Upstream, records: Int = 500, bytes: Int = 1 << 20, time: (any TimeSource)? = nil
    ) -> DeliveryService {
        var settings = DeliverySettings(
            gateway: "gw-017", site: nil, output: "park", journalID: "2f6e", batchRecords: records, batchBytes: bytes)
        settings.stopGrace = .seconds(1)
        let logger = Logger(label: "test") { _ in LogKeeper(lines: log) }
        return DeliveryService(
            settings, outbox: outbox, upstream: upstream,
            decoder: { entry in
                if entry.profile == "broken" { throw MemoryOutbox.Broken() }
                return Plant.decoder
            }, time: time ?? self.time, logger: logger, chance: { 0 })
    }

    /// Runs the service while `body` does, then stops it.
    private func running(_ service: DeliveryService, _ body: () async -> Void) async {
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await service.run() }
            await body()
            group.cancelAll()
        }
    }

    @Test func allThatIsKeptIsHandedOnInOrder() async {
        let outbox = MemoryOutbox((1...1200).map { Plant.poll($0) })
        let upstream = RecordingUpstream()
        await outbox.makeLate(through: 700)
        let service = service(outbox, upstream)
        await running(service) { await outbox.settled(through: 1200) }
        #expect(await upstream.batches.map(\.id) == ["gw-017/2f6e/1-500", "gw-017/2f6e/501-1000", "gw-017/2f6e/1001-1200"])
        #expect(await upstream.batches.map(\.historical) == [true, false, false])
        #expect(await outbox.accepted == 1200)
        #expect(await upstream.closed)
    }

    @Test func newDataWakeIt() async {
        let outbox = MemoryOutbox()
        let upstream = RecordingUpstream()
        await running(service(outbox, upstream)) {
            for seq in Int64(1)...5 {
                await outbox.append([Plant.poll(seq)])
                await outbox.settled(through: seq)
            }
        }
        #expect(await outbox.accepted == 5)
    }

    @Test func onePoisonRecordAmongAThousandIsOneDeadLetterAndAllOthersAreAccepted() async {
        let outbox = MemoryOutbox((1...1000).map { Plant.poll($0) })
        let upstream = RecordingUpstream { batch in
            batch.records.contains { $0.seq == 617 } ? .refused(reason: "422: I do not like it") : .accepted(rejected: [])
        }
        let service = service(outbox, upstream, records: 1000)
        await running(service) { await outbox.settled(through: 1000) }
        #expect(await outbox.deadLetters == [Rejection(seq: 617, reason: "422: I do not like it")])
        #expect(await outbox.accepted == 999)
        #expect(service.status.rejectedRecords == 1)
        #expect(service.status.acceptedRecords == 999)
    }

    @Test func rejectedRecordsAreDeadLettersAndTheOthersAccepted() async {
        let outbox = MemoryOutbox((1...10).map { Plant.poll($0) })
        let upstream = RecordingUpstream { _ in
            .accepted(rejected: [RejectedRecord(seq: 4, reason: "late"), RejectedRecord(seq: 10, reason: "x")])
        }
        await running(service(outbox, upstream)) { await outbox.settled(through: 10) }
        #expect(await outbox.accepted == 8)
        #expect(await outbox.deadLetters.map(\.seq) == [4, 10])
    }

    @Test func whatCannotBeDecodedIsADeadLetterAndHoldsUpNothing() async throws {
        let polls = (1...6).map { Plant.poll($0, entry: CatalogID($0 == 3 || $0 == 6 ? 100 : 1)) }
        let outbox = MemoryOutbox(polls)
        let upstream = RecordingUpstream()
        await running(service(outbox, upstream)) { await outbox.settled(through: 6) }
        #expect(await upstream.batches.flatMap { $0.records.map(\.seq) } == [1, 2, 4, 5])
        #expect(await outbox.accepted == 4)
        #expect(await outbox.deadLetters.map(\.seq) == [3, 6])
        #expect(await outbox.deadLetters.allSatisfy { $0.reason.contains("catalog entry 100 is missing") })
    }

    /// A damaged row is written anew when its device is taken in again: by then nobody starts the daemon anew.
    @Test func whatTheCatalogLackedIsLookedUpAgain() {
        var sources = SourceCache { _ in Plant.decoder }
        guard case .undecodable(let reason) = sources.learn(CatalogID(100), nil) else { return #expect(Bool(false), "it decodes") }
        #expect(reason == "catalog entry 100 is missing from the database or damaged in it")
        #expect(sources.known(CatalogID(100)) == nil)
        _ = sources.learn(CatalogID(100), Plant.entry)
        #expect(sources.known(CatalogID(100)) != nil)
    }

    @Test func aSliceOfWhichNothingCanBeDecodedIsSettledWithoutARequest() async {
        let outbox = MemoryOutbox((1...3).map { Plant.poll($0, entry: CatalogID(100)) })
        let upstream = RecordingUpstream()
        await running(service(outbox, upstream)) { await outbox.settled(through: 3) }
        #expect(await upstream.batches.isEmpty)
        #expect(await outbox.deadLetters.count == 3)
    }

    @Test func batchesStayWithinTheByteCapAndNothingIsLeftOut() async {
        let outbox = MemoryOutbox((1...100).map { Plant.poll($0) })
        let upstream = RecordingUpstream()
        let narrow = NarrowUpstream(inner: upstream)
        await running(service(outbox, narrow, bytes: 3000)) { await outbox.settled(through: 100) }
        var encoder = JSONBatchEncoder()
        let batches = await upstream.batches
        #expect(batches.count > 3)
        for batch in batches { #expect(encoder.encode(batch).count <= 3000) }
        #expect(batches.flatMap { $0.records.map(\.seq) } == Array(1...100))
    }

    @Test func anOutageKeepsTheDataAndSendsTheSameBatchAgain() async {
        let outbox = MemoryOutbox((1...3).map { Plant.poll($0) })
        let upstream = RecordingUpstream { _ in .unavailable(reason: "connection refused", retryAfter: nil) }
        let service = service(outbox, upstream)
        await running(service) {
            for _ in 0..<4 { await time.step() }
            await upstream.received(4)
            #expect(await outbox.cursor == 0)
            #expect(service.status.state == .retrying)
            #expect(service.status.lastError == "connection refused")
            #expect(service.status.failingSince != nil)
            await upstream.obey { _ in .accepted(rejected: []) }
            await time.step()
            await outbox.settled(through: 3)
        }
        #expect(Set(await upstream.batches.map(\.id)) == ["gw-017/2f6e/1-3"])
        #expect(await outbox.accepted == 3)
        #expect(service.status.failingSince == nil)
        #expect(service.status.lastSuccess != nil)
        // A standing fault is told when it starts and when it ends.
        let lines = log.withLock { $0 }
        #expect(lines.filter { $0.hasPrefix("warning output does not deliver") }.count == 1)
        #expect(lines.filter { $0.hasPrefix("info output delivers again") }.count == 1)
    }

    /// It says so under a 2xx, and again after each wait: nothing was delivered, and the alarm goes on.
    @Test func whoPolitelyRejectsEverythingIsNoReceiverThatIsWellAgain() async {
        let outbox = MemoryOutbox((1...12).map { Plant.poll($0) })
        let upstream = RecordingUpstream { batch in
            .accepted(rejected: batch.records.map { RejectedRecord(seq: $0.seq, reason: "unit unknown") })
        }
        let service = service(outbox, upstream)
        await running(service) {
            while service.status.state != .blocked { await Task.yield() }
            while await outbox.deadLetters.count < 12 { await time.step() }
        }
        #expect(service.status.lastSuccess == nil && service.status.state == .blocked)
        #expect(service.status.lastError?.hasSuffix("unit unknown") == true)
        #expect(!log.withLock { $0.contains { $0.hasPrefix("info output delivers again") } })
    }

    @Test func nothingIsSentWhileTheOutputIsSetBackAndNobodyIsBlamed() async {
        let outbox = MemoryOutbox((1...3).map { Plant.poll($0) })
        let upstream = RecordingUpstream { _ in .unavailable(reason: "connection refused", retryAfter: nil) }
        let service = service(outbox, upstream)
        #expect(await service.beginRewind() == nil)
        await running(service) {
            // Idle turns and reloads wake it, and it does not send.
            for _ in 0..<3 {
                service.reload()
                await time.step()
            }
            #expect(await upstream.batches.isEmpty)
            #expect(service.status.lastError == nil)
            await upstream.obey { _ in .accepted(rejected: []) }
            service.rewound()
            await outbox.settled(through: 3)
        }
        #expect(await outbox.accepted == 3)
    }

    @Test func aWrongTokenPausesUntilReload() async {
        let outbox = MemoryOutbox([Plant.poll(1)])
        let upstream = RecordingUpstream { _ in .unauthorized(reason: "401") }
        let service = service(outbox, upstream)
        await running(service) {
            await upstream.received(1)
            while service.status.state != .paused { await Task.yield() }
            await upstream.obey { _ in .accepted(rejected: []) }
            service.reload()  // no time passes
            await outbox.settled(through: 1)
        }
        #expect(await outbox.deadLetters.isEmpty)
        #expect(log.withLock { $0 }.first == "error output does not deliver until someone acts; its data are kept")
    }

    @Test func aStoreThatFailsIsAskedAgainAndNothingIsSettledTwice() async {
        let outbox = MemoryOutbox((1...3).map { Plant.poll($0) })
        await outbox.breakDown(calls: 2)
        let broken = RecordingUpstream()
        let service = service(outbox, broken)
        await running(service) {
            while service.status.state != .retrying { await Task.yield() }
            #expect(service.status.lastError?.contains("the store does not answer") == true)
            await time.step()
            await time.step()
            await outbox.settled(through: 3)
        }
        #expect(await outbox.accepted == 3)
        #expect(service.status.lastError == nil)
    }

    @Test func aFateThatCannotBeWrittenDownIsWrittenLaterWithoutSendingAgain() async {
        let outbox = MemoryOutbox((1...3).map { Plant.poll($0) })
        let upstream = BreakingUpstream(outbox: outbox)
        await running(service(outbox, upstream)) {
            await time.step()
            await outbox.settled(through: 3)
        }
        #expect(await outbox.accepted == 3)
        #expect(await upstream.sent == 1)
    }

    @Test func stoppingSettlesWhatTheReceiverTook() async {
        let outbox = MemoryOutbox((1...3).map { Plant.poll($0) })
        let upstream = SlowUpstream()
        let service = service(outbox, upstream)
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await service.run() }
            await upstream.started.wait()
            group.cancelAll()
            upstream.answer.ring()  // within the grace: no time passes
        }
        #expect(await outbox.accepted == 3)
    }

    @Test func stoppingGivesUpAReceiverThatHangsAndKeepsTheData() async {
        let outbox = MemoryOutbox((1...3).map { Plant.poll($0) })
        let upstream = SlowUpstream()
        let service = service(outbox, upstream)
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await service.run() }
            await upstream.started.wait()
            group.cancelAll()
            await time.step()  // the grace is over
        }
        #expect(await outbox.accepted == 0)
        #expect(await outbox.cursor == 0)
        #expect(service.status.failingSince == nil)
    }

    @Test func aSliceIsSettledAsOneOrNotAtAll() async {
        let outbox = MemoryOutbox((1...8).map { Plant.poll($0) })
        let upstream = RecordingUpstream { batch in
            if batch.records.count > 4 { return .tooLarge(reason: "413") }
            return batch.first == 1
                ? .accepted(rejected: [RejectedRecord(seq: 2, reason: "no")]) : .unavailable(reason: "503", retryAfter: nil)
        }
        await running(service(outbox, upstream)) {
            await upstream.received(3)
            #expect(await outbox.cursor == 0)
        }
        // The second half has no answer: the slice comes again in the same parts with the same ids, so that the receiver can tell what
        // it has. Settling the first half alone would shift the ranges of the rest.
        #expect(await outbox.cursor == 0)
        #expect(await outbox.accepted == 0)
        #expect(await outbox.deadLetters.isEmpty)
    }

    @Test func theHeartbeatMovesWhileWaitingAndIsBoundedWhileSending() async {
        let outbox = MemoryOutbox([Plant.poll(1)])
        let upstream = RecordingUpstream { _ in .unauthorized(reason: "401") }
        let service = service(outbox, upstream)
        await running(service) {
            await upstream.received(1)
            while service.status.state != .paused { await Task.yield() }
            let before = service.status.heartbeat
            await time.step()
            await time.step()
            while service.status.heartbeat == before { await Task.yield() }
            #expect(service.status.isAlive(at: time.uptime()))
            #expect(!service.status.isAlive(at: time.uptime() + .seconds(600)))
        }
    }
}

/// Measures as the JSON encoder does, and passes on to a recording upstream.
struct NarrowUpstream: Upstream {
    let inner: RecordingUpstream
    func send(_ batch: Batch) async -> Settlement { await inner.send(batch) }
    func close() async {}
    func fitting(_ batch: Batch, bytes: Int) async -> Int {
        var encoder = JSONBatchEncoder()
        return encoder.records(of: batch, limit: bytes).count
    }
}

/// Takes everything, and breaks the store for the settlement that follows.
private actor BreakingUpstream: Upstream {
    private(set) var sent = 0
    let outbox: MemoryOutbox
    init(outbox: MemoryOutbox) { self.outbox = outbox }
    func send(_ batch: Batch) async -> Settlement {
        sent += 1
        await outbox.breakDown(calls: 1)
        return .accepted(rejected: [])
    }
    func fitting(_ batch: Batch, bytes: Int) -> Int { batch.records.count }
    func close() {}
}

/// Answers when it is rung for, or says so when it is cancelled.
private struct SlowUpstream: Upstream {
    let started = Bell()
    let answer = Bell()
    func send(_ batch: Batch) async -> Settlement {
        started.ring()
        await answer.wait()
        return Task.isCancelled ? .unavailable(reason: "stopped", retryAfter: nil) : .accepted(rejected: [])
    }
    func fitting(_ batch: Batch, bytes: Int) async -> Int { batch.records.count }
    func close() async {}
}
