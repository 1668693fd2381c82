import Metering

/// One way to talk to an HTTP receiver: what is posted, and what its answers mean for the batch.
protocol HTTPDialect: BatchEncoder {
    /// Header fields beside those every request has.
    func headers(for batch: Batch) -> [(String, String)]
    /// No answer but one that says so, and can be understood, moves the cursor.
    mutating func settlement(of answer: HTTPAnswer, to batch: Batch, now: Timestamp) -> Settlement
}

/// Our own JSON batches; docs/http-output.md is the contract.
struct JSONDialect: HTTPDialect {
    private var encoder = JSONBatchEncoder()

    func headers(for batch: Batch) -> [(String, String)] {
        [("Content-Type", "application/json"), ("Idempotency-Key", batch.id), ("Accept", "application/json")]
    }

    func settlement(of answer: HTTPAnswer, to batch: Batch, now: Timestamp) -> Settlement { answer.settlement(of: batch, now: now) }

    func overhead(of batch: Batch) -> Int { encoder.overhead(of: batch) }
    mutating func append(_ record: BatchRecord, of batch: Batch, first: Bool, to bytes: inout [UInt8]) {
        encoder.append(record, of: batch, first: first, to: &bytes)
    }
    func frame(_ records: [UInt8], of batch: Batch) -> [UInt8] { encoder.frame(records, of: batch) }
}
