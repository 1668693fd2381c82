import Metering
import Store
import Uplink

/// Looks after the outputs of a running gateway: what is to last goes to the store, and the delivery is told.
package struct OutputDesk: OutputControl {
    private let store: Store
    private let deliveries: @Sendable () -> [(String, DeliveryService)]

    /// - Parameter deliveries: those that run now, by the names of their outputs; a reload changes them.
    package init(store: Store, deliveries: @escaping @Sendable () -> [(String, DeliveryService)]) {
        self.store = store
        self.deliveries = deliveries
    }

    package func deadLetters(output: String, from seq: Int64, limit: Int) async throws(OutputControlError) -> DeadLettersReport {
        let letters = try await kept(output) { () throws(StoreError) in
            try await store.deadLetters(output: output, from: seq, limit: limit + 1)
        }
        var reports: [DeadLetterReport] = []
        for letter in letters.prefix(limit) { reports.append(await report(letter)) }
        return DeadLettersReport(output: output, deadLetters: reports, next: letters.count > limit ? letters.last?.seq : nil)
    }

    package func deadLetter(output: String, seq: Int64) async throws(OutputControlError) -> DeadLetterReport {
        let letters = try await kept(output) { () throws(StoreError) in
            try await store.deadLetters(output: output, from: seq, limit: 1)
        }
        guard let letter = letters.first, letter.seq == seq else { throw .unknownLetters(output, [seq]) }
        var report = await report(letter)
        if let poll = letter.poll { report.record = await store.recordText(StoredPoll(seq: letter.seq, poll: poll)) }
        return report
    }

    package func replay(output: String, seqs: [Int64]?) async throws(OutputControlError) -> Int {
        let delivery = try delivery(output)
        let count = try await kept(output) { () throws(StoreError) in
            try await store.replayDeadLetters(output: output, seqs: seqs)
        }
        if count == 0, let seqs { try await requireLetter(output, seqs) }
        delivery.reload()
        return count
    }

    package func drop(output: String, seqs: [Int64]?) async throws(OutputControlError) -> Int {
        let count = try await kept(output) { () throws(StoreError) in try await store.dropDeadLetters(output: output, seqs: seqs) }
        if count == 0, let seqs { throw .unknownLetters(output, seqs) }
        return count
    }

    /// One that is on its way already, or has no copy of its poll, is there all the same.
    private func requireLetter(_ output: String, _ seqs: [Int64]) async throws(OutputControlError) {
        for seq in seqs {
            let letters = try await kept(output) { () throws(StoreError) in
                try await store.deadLetters(output: output, from: seq, limit: 1)
            }
            if letters.first?.seq == seq { return }
        }
        throw .unknownLetters(output, seqs)
    }

    package func setPaused(_ isPaused: Bool, output: String) async throws(OutputControlError) {
        let delivery = try delivery(output)
        _ = try await kept(output) { () throws(StoreError) in try await store.setPaused(isPaused, output: output) }
        delivery.setPaused(isPaused)
    }

    package func rewind(output: String, to place: RewindPlace) async throws(OutputControlError) -> Int64 {
        let seq = try await kept(output) { () throws(StoreError) in
            let seq = try await firstSeq(of: place)
            try await store.checkRewind(output: output, to: seq)
            return seq
        }
        // Only now: the search takes a while, and a reload may have put another in its place.
        let delivery = try delivery(output)
        if let reason = await delivery.beginRewind() { throw .unavailable("output \(output) stays where it is: \(reason)") }
        do throws(StoreError) {
            let cursor = try await store.rewind(output: output, to: seq)
            delivery.rewound()
            return cursor + 1
        } catch {
            await delivery.abandonRewind()
            throw OutputDesk.told(error)
        }
    }

    private func firstSeq(of place: RewindPlace) async throws(StoreError) -> Int64 {
        switch place {
        case .seq(let seq): return seq
        case .time(let time):
            guard let seq = try await store.firstSeq(since: time) else {
                throw StoreError(.misuse, "nothing was read since \(time.rfc3339); outputs are only ever set back")
            }
            return seq
        }
    }

    package func journal() async throws(OutputControlError) -> JournalDetailReport {
        do throws(StoreError) {
            let losses = try await store.recordedLosses()
            let times = try await store.keptTimes()
            let state = await store.journalState()
            return JournalDetailReport(
                journalID: state.journalID, journal: GatewayState.report(state), firstTime: times?.lowerBound, lastTime: times?.upperBound,
                losses: losses.map { loss in
                    LossReport(
                        cause: loss.cause.rawValue, firstSeq: loss.seqs?.lowerBound, lastSeq: loss.seqs?.upperBound, polls: loss.polls,
                        readings: loss.readings, firstTime: loss.firstTime, lastTime: loss.lastTime)
                })
        } catch {
            throw OutputDesk.told(error)
        }
    }

    package func exportableDevices() async throws(OutputControlError) -> [String] {
        do throws(StoreError) { return try await store.keptDevices() } catch { throw OutputDesk.told(error) }
    }

    package func export(_ export: JournalExport, write: ([UInt8]) async throws -> Void) async throws {
        try await export.run(on: store, write: write)
    }

    private func report(_ letter: DeadLetter) async -> DeadLetterReport {
        var device: String?
        if let poll = letter.poll { device = try? await store.entry(poll.entry)?.device }
        return DeadLetterReport(
            seq: letter.seq, rejected: letter.time, reason: letter.reason, replaying: letter.isReplaying, device: device,
            time: letter.poll?.time)
    }

    private func delivery(_ output: String) throws(OutputControlError) -> DeliveryService {
        let deliveries = deliveries()
        guard let delivery = deliveries.first(where: { $0.0 == output })?.1 else {
            throw .unknownOutput(output, known: deliveries.map(\.0))
        }
        return delivery
    }

    private func kept<Result: Sendable>(
        _ output: String, _ body: () async throws(StoreError) -> Result
    ) async throws(OutputControlError) -> Result {
        _ = try delivery(output)
        do throws(StoreError) { return try await body() } catch { throw OutputDesk.told(error) }
    }

    private static func told(_ error: StoreError) -> OutputControlError {
        error.code == .misuse ? .refused(error.message) : .unavailable("\(error)")
    }
}
