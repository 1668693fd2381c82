/// Writes batches in one format, record by record. The same batch always gives the same bytes.
protocol BatchEncoder: Sendable {
    /// Bytes of the frame around the records.
    func overhead(of batch: Batch) -> Int
    /// Appends one record; all but the first begin with what divides records.
    mutating func append(_ record: BatchRecord, of batch: Batch, first: Bool, to bytes: inout [UInt8])
    /// The whole content, from records that `records(of:limit:)` gave.
    func frame(_ records: [UInt8], of batch: Batch) -> [UInt8]
}

extension BatchEncoder {
    /// The records of the batch: as many from the first as fit into `limit` bytes together with the frame, and at least 1 if there is one.
    mutating func records(of batch: Batch, limit: Int) -> (bytes: [UInt8], count: Int) {
        let room = limit - overhead(of: batch)
        var bytes: [UInt8] = []
        bytes.reserveCapacity(min(limit, 24 * batch.records.reduce(0) { $0 + $1.readings.count + 4 }))
        for (index, record) in batch.records.enumerated() {
            let before = bytes.count
            append(record, of: batch, first: index == 0, to: &bytes)
            if bytes.count > room, index > 0 {
                bytes.removeLast(bytes.count - before)
                return (bytes, index)
            }
        }
        return (bytes, batch.records.count)
    }

    mutating func encode(_ batch: Batch) -> [UInt8] { frame(records(of: batch, limit: .max).bytes, of: batch) }
}
