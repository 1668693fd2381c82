import Host
import Logging
import Metering
import Store
import Testing

@testable import Uplink

/// What an output leaves out, and that leaving out is no delivery.
@Suite struct OutputFilterTests {
    @Test(
        arguments: [
            ([], "main", true), (["main"], "main", true), (["main"], "mains", false), (["m*"], "main", true), (["*in"], "main", true),
            (["*a*n"], "main", true), (["*"], "", true), (["roof-*"], "roof", false), (["roof-*", "main"], "main", true),
            (["!main"], "main", false), (["!main"], "roof", true), (["roof-*", "!roof-2"], "roof-2", false),
            (["roof-*", "!roof-2"], "roof-1", true), (["!*"], "main", false), (["a*a*a*a*b"], "aaaaaaaaaaaaaaaaaaaaaaaaaaaa", false),
        ] as [([String], String, Bool)]
    ) func namesFitTheirPatterns(_ patterns: [String], _ name: String, _ fits: Bool) {
        #expect(NamePatterns(patterns).contains(name) == fits)
    }

    @Test func anyTwoFiltersMarkTheirBatchesApart() {
        let filters = [
            OutputFilter(devices: NamePatterns(["a"])), OutputFilter(quantities: NamePatterns(["a"])),
            OutputFilter(devices: NamePatterns(["a", "b"])), OutputFilter(devices: NamePatterns(["!a"])), OutputFilter(classes: [.live]),
            OutputFilter(classes: [.slow]), OutputFilter(devices: NamePatterns(["a"]), classes: [.live]),
        ]
        #expect(Set(filters.map(\.mark)).count == filters.count)
        #expect(filters.allSatisfy { $0.mark.utf8.count == 8 })
        // In whatever order it was written, today and after an update.
        #expect(OutputFilter(devices: NamePatterns(["b", "a"])).mark == filters[2].mark)
        #expect(filters[4].mark == "3564a851")
    }

    private static let meter = ReadingDecoder(
        profile: Plant.profile(
            ([
                ("voltage_l1", 0, .live), ("energy_active_import", 1, .live), ("energy_active_export", 2, .slow), ("frequency", 3, .slow),
            ] as [(String, UInt16, PointClass)]).map { id, address, pointClass in
                var point = PointDefinition(quantity: Plant.quantity(id), block: Block(.input, address, count: 1), encoding: .uint16)
                point.pointClass = pointClass
                return point
            }))

    private func outbox(_ polls: [StoredPoll]) -> MemoryOutbox { MemoryOutbox(polls) }

    private func run(
        _ filter: OutputFilter, _ outbox: MemoryOutbox, through last: Int64, records: Int = 500
    ) async -> RecordingUpstream {
        let upstream = RecordingUpstream()
        let service = DeliveryService(
            DeliverySettings(gateway: "gw-017", site: nil, output: "park", journalID: "2f6e", batchRecords: records, filter: filter),
            outbox: outbox, upstream: upstream, decoder: { _ in OutputFilterTests.meter }, time: HandTime(),
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await service.run() }
            await outbox.settled(through: last)
            group.cancelAll()
        }
        return upstream
    }

    private func poll(_ seq: Int64, entry: Int64 = 1, _ blocks: [Block]) -> StoredPoll {
        StoredPoll(
            seq: seq,
            poll: Poll(
                entry: CatalogID(entry), time: Timestamp(milliseconds: 1_795_459_200_000 + seq), uptime: Uptime(nanoseconds: seq),
                clock: .synchronized,
                answers: blocks.map { BlockAnswer(block: $0, outcome: .words((0..<$0.count).map { UInt16($0) + 100 })) }))
    }

    @Test(
        arguments: [
            (OutputFilter(quantities: NamePatterns(["energy_*"])), [[1, 2], [2]]),
            (OutputFilter(classes: [.live]), [[0, 1], []]), (OutputFilter(classes: [.slow]), [[2, 3], [2, 3]]),
            (OutputFilter(quantities: NamePatterns(["!energy_*"]), classes: [.live]), [[0], []]),
            (OutputFilter(devices: NamePatterns(["main"])), [[0, 1, 2, 3], [2, 3]]),
            (OutputFilter(devices: NamePatterns(["roof"])), [[], []]),
        ]
    ) func onlyWhatIsWantedIsHandedOnAndTheRestCountsAsFiltered(_ filter: OutputFilter, _ points: [[Int]]) async {
        let outbox = outbox([poll(1, [Block(.input, 0, count: 4)]), poll(2, [Block(.input, 2, count: 2)])])
        let upstream = await run(filter, outbox, through: 2)
        let records = await upstream.batches.flatMap(\.records)
        #expect(records.map { $0.readings.map(\.point) } == points.filter { !$0.isEmpty })
        #expect(records.map(\.seq) == points.indices.filter { !points[$0].isEmpty }.map { Int64($0 + 1) })
        let filtered = points.count { $0.isEmpty }
        #expect(await outbox.filtered == filtered)
        #expect(await outbox.accepted == 2 - filtered)
        #expect(await upstream.batches.allSatisfy { $0.id == "gw-017/2f6e/\($0.first)-\($0.last).\(filter.mark)" })
    }

    /// One wanted poll in a hundred: requests are for what is wanted, not for what is looked through.
    @Test func aLongRunOfUnwantedPollsCostsNoRequests() async {
        let filter = OutputFilter(quantities: NamePatterns(["voltage_l1"]))
        let polls = (Int64(1)...8000).map { poll($0, [$0 % 100 == 0 ? Block(.input, 0, count: 1) : Block(.input, 2, count: 2)]) }
        let outbox = outbox(polls)
        let upstream = await run(filter, outbox, through: 8000, records: 100)
        #expect(await upstream.batches.map { $0.records.count } == Array(repeating: 8, count: 10))
        #expect(await outbox.accepted == 80)
        #expect(await outbox.filtered == 7920)
    }

    @Test func aSliceOfMoreThanABatchIsCutIntoBatches() async {
        let filter = OutputFilter(quantities: NamePatterns(["voltage_l1"]))
        let outbox = outbox((Int64(1)...1000).map { poll($0, [Block(.input, 0, count: 1)]) })
        let upstream = await run(filter, outbox, through: 1000, records: 300)
        #expect(await upstream.batches.map { $0.records.count } == [300, 300, 300, 100])
        #expect(await outbox.accepted == 1000)
    }

    @Test func aDeadLetterThatTheFilterLeavesOutStaysOne() async throws {
        let store = LetterOutbox(poll(7, [Block(.input, 2, count: 2)]))
        let upstream = RecordingUpstream()
        let service = DeliveryService(
            DeliverySettings(
                gateway: "gw-017", site: nil, output: "park", journalID: "2f6e",
                filter: OutputFilter(quantities: NamePatterns(["voltage_l1"]))),
            outbox: store, upstream: upstream, decoder: { _ in OutputFilterTests.meter }, time: HandTime(),
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await service.run() }
            await store.settled()
            group.cancelAll()
        }
        #expect(await store.rejected.map(\.seq) == [7])
        #expect(await store.rejected.first?.reason.contains("filter of output park") == true)
        #expect(await upstream.batches.isEmpty)
    }
}

/// One dead letter that is to be handed on again.
private actor LetterOutbox: Outbox {
    private var letter: StoredPoll?
    private(set) var rejected: [Rejection] = []
    private var watcher: CheckedContinuation<Void, Never>?

    init(_ letter: StoredPoll) { self.letter = letter }

    func offer(output: String, _ request: SliceRequest) -> SliceOffer { .empty }
    func settle(output: String, through: Int64, accepted: Int, rejected: [Rejection], filtered: Int) {}
    func entry(_ id: CatalogID) -> CatalogEntry? { Plant.entry }
    func lastSeq() -> Int64 { 9 }
    func waitForCommit(after seq: Int64) async {}
    func offerReplay(output: String, records: Int) -> JournalSlice? {
        letter.map { JournalSlice(first: $0.seq, last: $0.seq, polls: [$0]) }
    }

    func settleReplay(output: String, accepted: [Int64], rejected: [Rejection]) {
        letter = nil
        self.rejected += rejected
        watcher?.resume()
        watcher = nil
    }

    func settled() async {
        if letter == nil { return }
        await withCheckedContinuation { watcher = $0 }
    }
}
