// Uplink: how we hand on what is kept, until it is taken.
//
// Encoders, transports, delivery plan. It never deletes what was not accepted or rejected.

import Metering

/// One destination that takes batches.
///
/// Conformers: `HTTPUpstream`, and a recording one in tests. `send` ends soon after its task is cancelled.
package protocol Upstream: Sendable {
    /// Returns once the fate of the batch is known: the response was read, not the socket written. Never throws: a failure is an answer.
    func send(_ batch: Batch) async -> Settlement
    /// How many records of the batch, from its first, this upstream can put into one request of at most `bytes` before compression.
    ///
    /// At least 1, however small `bytes`: one record is the least that can be sent. The same batch always gives the same number.
    func fitting(_ batch: Batch, bytes: Int) async -> Int
    /// The bytes of the batch's records before compression, as `fitting` counts them.
    func size(of batch: Batch) async -> Int
    /// Someone sets the output back: what was taken before comes again, and is to be taken again. Until the rewind is ended nothing is
    /// taken, so that a kill at any moment leaves no memory of what comes again.
    ///
    /// - Returns: why that cannot be now, and then nothing has begun; nil when it can.
    func beginRewind() async -> String?
    /// One that was begun is written down, or is not to be after all.
    func endRewind() async
    func close() async
}

extension Upstream {
    /// For an upstream that has no use for bytes.
    package func size(of batch: Batch) async -> Int { 0 }
    /// For one that remembers nothing of what it took.
    package func beginRewind() async -> String? { nil }
    package func endRewind() async {}
}

/// What one request carries: a contiguous range of the journal. The same range has the same id, whenever it is sent.
package struct Batch: Sendable {
    package var gateway: String
    package var site: String?
    package var output: String
    package var journalID: String
    package var first: Int64
    package var last: Int64
    /// True for backlog: not the newest data of this output.
    package var historical: Bool
    package var records: [BatchRecord]
    /// The mark of the output's filter: of one range each filter makes another batch. Nil when nothing is left out.
    package var filter: String?
    /// Dead letters that someone had handed on again: what comes behind them in the journal was perhaps taken before.
    package var isReplay = false

    package init(
        gateway: String, site: String?, output: String, journalID: String, first: Int64, last: Int64, historical: Bool,
        records: [BatchRecord]
    ) {
        self.gateway = gateway
        self.site = site
        self.output = output
        self.journalID = journalID
        self.first = first
        self.last = last
        self.historical = historical
        self.records = records
    }

    /// `gw-017/2f6e.../1041-1043`, with `.<filter>` behind it when there is one; receivers drop repeats by it.
    package var id: String { "\(gateway)/\(journalID)/\(first)-\(last)" + (filter.map { "." + $0 } ?? "") }
}

/// One poll of one device, decoded.
package struct BatchRecord: Sendable {
    package var seq: Int64
    package var time: Timestamp
    package var clock: TimeQuality
    package var source: RecordSource
    package var readings: [Reading]

    package init(seq: Int64, time: Timestamp, clock: TimeQuality, source: RecordSource, readings: [Reading]) {
        self.seq = seq
        self.time = time
        self.clock = clock
        self.source = source
        self.readings = readings
    }
}

/// The catalog entry behind a record, ready to decode and to name its points. One object for all records of an entry.
package final class RecordSource: Sendable {
    package let entry: CatalogEntry
    package let decoder: ReadingDecoder

    package init(entry: CatalogEntry, decoder: ReadingDecoder) {
        self.entry = entry
        self.decoder = decoder
    }
}

/// The fate of a batch.
package enum Settlement: Hashable, Sendable {
    /// Taken, but for these records; empty when all were.
    case accepted(rejected: [RejectedRecord])
    /// The receiver refuses the content (400, 415, 422 ...): some record of it is bad.
    case refused(reason: String)
    /// 413: it must be cut smaller.
    case tooLarge(reason: String)
    /// 401, 403: nothing will be taken until someone mends it.
    case unauthorized(reason: String)
    /// Network, 408, 429, 5xx, or an answer that cannot be understood: try again.
    case unavailable(reason: String, retryAfter: Duration?)

    /// What was said of content that is not taken; nil when all of it was, or nothing is known of it.
    var refusal: String? {
        switch self {
        case .accepted(let rejected): rejected.first?.reason
        case .refused(let reason), .tooLarge(let reason): reason
        case .unauthorized, .unavailable: nil
        }
    }
}

package struct RejectedRecord: Hashable, Sendable {
    package var seq: Int64
    package var reason: String

    package init(seq: Int64, reason: String) {
        self.seq = seq
        self.reason = reason
    }
}
