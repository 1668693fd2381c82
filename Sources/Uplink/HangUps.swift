/// Counts how often a receiver ended the connection over one and the same batch: some answer in this way what they cannot take, and
/// some die of it. A network that breaks looks the same, so once is no proof.
struct HangUps {
    /// A batch over which the connection was ended so often is taken to be the cause, and cut.
    static let perBatch = 3

    private var batch: (journalID: String, first: Int64, last: Int64)?
    private var count = 0

    /// The connection was ended over this very batch before.
    func suspects(_ batch: Batch) -> Bool { count > 0 && isSame(batch) }

    /// It was ended over this batch; true when that is proof enough.
    mutating func note(_ batch: Batch) -> Bool {
        if !isSame(batch) { clear() }
        self.batch = (batch.journalID, batch.first, batch.last)
        count += 1
        guard count >= HangUps.perBatch else { return false }
        clear()
        return true
    }

    mutating func clear() { (batch, count) = (nil, 0) }

    private func isSame(_ other: Batch) -> Bool {
        batch.map { $0 == (other.journalID, other.first, other.last) } ?? false
    }
}
