import Metering

extension Store {
    /// Takes an output in while the store is open, or makes one that is there ready to be handed other ranges.
    ///
    /// A known one goes on at its cursor, a new one starts at the journal's beginning. Where the output stands is on the disk when this
    /// returns: ranges follow from what was last written, and the ones behind it may have another length from now on.
    /// - Throws: `.full` and `.io`, which heal; `.corrupt`; `.closed`. Then nothing changed.
    package func prepare(output name: String) throws(StoreError) {
        let connection = try opened()
        do throws(StoreError) {
            if let outbox = outboxes[name] {
                try writePosition(of: outbox, connection)
            } else {
                try connection.transaction { () throws(StoreError) in try openOutput(name, connection) }
            }
        } catch {
            fail(error)
            throw error
        }
        retired.remove(name)
    }

    /// Lets an output go: nothing is kept for it any more, and where it stands is written with the next commit.
    package func retire(output name: String) {
        guard outboxes[name] != nil else { return }
        retired.insert(name)
        isDirty = true
    }

    /// The configured outputs, in order.
    var activeOutputs: [String] { outputNames.filter { !retired.contains($0) } }

    /// Forgets the retired outputs of which everything is on the disk.
    func dropRetired(written: [String: Outbox]) {
        for name in retired {
            guard let outbox = outboxes[name], written[name]?.lanes.map(\.cursor) == outbox.lanes.map(\.cursor),
                !letterChanges.contains(where: { $0.output == outbox.id })
            else { continue }
            outboxes[name] = nil
            outputNames.removeAll { $0 == name }
            retired.remove(name)
        }
    }

    /// The cursor and the dead letters that belong to it go together.
    private func writePosition(of outbox: Outbox, _ connection: Connection) throws(StoreError) {
        var written = outbox
        let own = letterChanges.filter { $0.output == outbox.id }
        try connection.transaction { () throws(StoreError) in
            for change in own { try make(change, &written, connection) }
            try write(written, connection)
        }
        outboxes[outbox.name] = written
        letterChanges.removeAll { $0.output == outbox.id }
    }
}
