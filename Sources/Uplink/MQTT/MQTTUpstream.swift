import Host
import Metering

/// Publishes batches to an MQTT broker with QoS 1; docs/outputs.md says what. A batch is taken when each of its messages is acknowledged.
package actor MQTTUpstream: Upstream {
    /// How long saying `offline` may take at the end.
    static let farewell: Duration = .milliseconds(300)
    private static let stopped = "stopped before an answer came"

    private let settings: MQTTSettings
    private let time: any TimeSource
    private let line: MQTTLine
    private var encoder: MQTTEncoder
    private var session: MQTTSession?
    /// The batch during which the connection was ended last, once the broker had let us in.
    private var hangUps = HangUps()
    /// What the broker acknowledged before the rest of the batch went wrong: it is not sent again with that rest.
    private var taken = Taken()

    package init(_ settings: MQTTSettings, time: any TimeSource) {
        self.settings = settings
        self.time = time
        line = MQTTLine(name: settings.clientID)
        encoder = MQTTEncoder(settings)
    }

    package func fitting(_ batch: Batch, bytes: Int) -> Int { encoder.fitting(batch, bytes: bytes) }

    package func size(of batch: Batch) -> Int { encoder.size(of: batch) }

    package func send(_ batch: Batch) async -> Settlement {
        let (time, timeout) = (time, settings.timeout)
        let deadline = time.uptime() + timeout
        return await withTaskGroup(of: Settlement?.self) { group in
            group.addTask { await self.deliver(batch) }
            group.addTask {
                try? await time.sleep(until: deadline)
                return nil
            }
            while let first = await group.next() {
                if let settlement = first {
                    group.cancelAll()
                    return settlement
                }
                abandon(.unavailable(Task.isCancelled ? MQTTUpstream.stopped : TransportFault.noAnswer(timeout)))
                // Where it had not begun there was nothing to abandon, and nobody is left to end it.
                group.cancelAll()
            }
            return .unavailable(reason: MQTTUpstream.stopped, retryAfter: nil)
        }
    }

    package func close() async {
        guard let session, session.end == nil else { return abandon(.unavailable("closed")) }
        let (time, farewell) = (time, MQTTUpstream.farewell)
        if let message = encoder.availability("offline", gateway: nil) {
            await withTaskGroup(of: Void.self) { group in
                group.addTask { _ = await session.publish([message]) }
                group.addTask {
                    try? await time.sleep(until: time.uptime() + farewell)
                    session.abandon(.unavailable("closed"))
                }
                await group.next()
                group.cancelAll()
            }
        }
        abandon(.unavailable("closed"))
    }

    // MARK: The connection

    /// Its end blocks, and so has a thread of its own; nobody waits for it.
    private func abandon(_ fault: MQTTFault) {
        guard let session else { return }
        self.session = nil
        session.abandon(fault)
        let line = line
        Task { await line.close(session) }
    }

    private func ready(_ batch: Batch) async throws -> MQTTSession {
        if let session, session.end == nil { return session }
        abandon(.unavailable("closed"))
        encoder.begin(gateway: batch.gateway)
        let new = try MQTTSession(settings, will: encoder.availability("offline", gateway: batch.gateway)?.topic, now: time.wall())
        session = new
        let line = line
        // Connecting blocks, and may for as long as the resolver likes; the wait below is what ends.
        Task { await line.open(new) }
        try await new.opened()
        return new
    }

    /// What was acknowledged before comes again.
    package func endRewind() async { taken = Taken() }

    // MARK: A batch

    private func deliver(_ batch: Batch) async -> Settlement {
        guard !Task.isCancelled else { return .unavailable(reason: MQTTUpstream.stopped, retryAfter: nil) }
        let session: MQTTSession
        do {
            session = try await ready(batch)
        } catch {
            abandon(.unavailable("closed"))
            return settlement(error as? MQTTFault ?? .unavailable("\(error)"))
        }
        var open = batch
        open.records = taken.rest(of: batch)
        let parcels = encoder.parcels(open)
        let preface = encoder.preface(batch)
        let faults = await session.publish(preface + parcels.map(\.message))
        if faults.prefix(preface.count).allSatisfy({ $0 == nil }) { encoder.prefaceIsOut() }
        return settle(zip(parcels, faults.dropFirst(preface.count)).map { ($0, $1) }, faults.prefix(preface.count).compactMap { $0 }, batch)
    }

    private func settle(_ outcomes: [(parcel: MQTTParcel, fault: MQTTFault?)], _ preface: [MQTTFault], _ batch: Batch) -> Settlement {
        if preface.isEmpty, outcomes.allSatisfy({ $0.fault == nil }) {
            hangUps.clear()
            taken.settle(batch)
            return .accepted(rejected: [])
        }
        taken.note(outcomes.filter { $0.fault == nil }.flatMap(\.parcel.seqs), of: batch)
        var rejected: [RejectedRecord] = []
        for fault in preface + outcomes.compactMap(\.fault) {
            switch fault {
            case .configuration, .unavailable: return settlement(fault)
            case .dropped(let words): return dropped(words, batch)
            case .tooLarge, .refused: break
            }
        }
        hangUps.clear()
        for (parcel, fault) in outcomes {
            guard let fault else { continue }
            // Which of several records is bad, halving finds out.
            guard parcel.seqs.count == 1 else { return settlement(fault) }
            rejected += parcel.seqs.map { RejectedRecord(seq: $0, reason: fault.words) }
        }
        taken.settle(batch)
        return .accepted(rejected: rejected)
    }

    /// Brokers answer what they cannot take by ending the connection.
    private func dropped(_ words: String, _ batch: Batch) -> Settlement {
        hangUps.note(batch) ? .tooLarge(reason: "\(words) each time this was sent") : .unavailable(reason: words, retryAfter: nil)
    }

    private func settlement(_ fault: MQTTFault) -> Settlement {
        switch fault {
        case .configuration(let words): .unauthorized(reason: words)
        case .unavailable(let words), .dropped(let words): .unavailable(reason: words, retryAfter: nil)
        case .tooLarge(let words): .tooLarge(reason: words)
        case .refused(let words): .refused(reason: words)
        }
    }
}

/// The records of a batch that a broker has acknowledged one by one, for as long as that batch, or a part of it, is tried again.
struct Taken {
    private var batch: (journalID: String, seqs: ClosedRange<Int64>)?
    private var seqs: Set<Int64> = []

    func rest(of other: Batch) -> [BatchRecord] {
        holds(other) ? other.records.filter { !seqs.contains($0.seq) } : other.records
    }

    mutating func note(_ taken: [Int64], of other: Batch) {
        if !holds(other) {
            seqs = []
            batch = (other.journalID, other.first...max(other.first, other.last))
        }
        seqs.formUnion(taken)
    }

    /// This batch is settled: once its end is, nothing of it comes again.
    mutating func settle(_ other: Batch) {
        if !holds(other) || other.last == batch?.seqs.upperBound { self = Taken() }
    }

    private func holds(_ other: Batch) -> Bool {
        guard let batch, batch.journalID == other.journalID else { return false }
        return batch.seqs.contains(other.first) && batch.seqs.contains(other.last)
    }
}

/// Where libmosquitto may block: name resolution, connecting, and the end of its thread.
actor MQTTLine {
    private let thread: ThreadExecutor
    nonisolated var unownedExecutor: UnownedSerialExecutor { thread.asUnownedSerialExecutor() }

    init(name: String) { thread = ThreadExecutor(name: "mqtt-\(name)") }

    deinit { thread.stop() }

    func open(_ session: MQTTSession) {
        guard session.end == nil else { return }
        do throws(MQTTFault) {
            try session.open()
        } catch {
            session.abandon(error)
        }
    }

    func close(_ session: MQTTSession) { session.close() }
}
