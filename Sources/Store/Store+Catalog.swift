import Evidence
import Metering

extension Store {
    /// Keeps what decodes a device's polls. The same content is the same row, for ever; one that was damaged is written anew, so that what was
    /// read before can be decoded again.
    ///
    /// - Returns: the ids, in the order of the entries.
    /// - Throws: `.full`, `.io`, `.corrupt`, `.closed`.
    package func adopt(_ entries: [CatalogEntry]) throws(StoreError) -> [CatalogID] {
        let connection = try opened()
        do {
            var ids: [CatalogID] = []
            for entry in entries {
                let fingerprint = Fingerprint(of: entry.canonicalText.utf8).bytes
                if let id = try known(fingerprint, connection) {
                    if try content(of: id, connection) != entry { try heal(id, entry, connection) }
                    ids.append(id)
                } else {
                    ids.append(try insert(entry, fingerprint, connection))
                }
            }
            return ids
        } catch {
            fail(error)
            throw error
        }
    }

    /// As `adopt`, whatever the disk does: where nothing can be written now the ids are numbers of this run, below 0, which a commit
    /// replaces by those of the rows it makes then.
    ///
    /// - Throws: `.corrupt`, `.closed`, `.sql`.
    package func promise(_ entries: [CatalogEntry]) throws(StoreError) -> [CatalogID] {
        do {
            return try adopt(entries)
        } catch {
            guard error.code == .full || error.code == .io else { throw error }
            return entries.map(promiseAtOnce)
        }
    }

    /// As `promise`, without waiting for anything: the row is made with the next commit, before the polls that name it. The same entry
    /// has the same number.
    package nonisolated func promiseAtOnce(_ entry: CatalogEntry) -> CatalogID {
        promisedEntries.withLock { entries in
            if let known = entries.firstIndex(of: entry) { return CatalogID(-Int64(known) - 1) }
            entries.append(entry)
            return CatalogID(-Int64(entries.count))
        }
    }

    /// The newest entry of a device with a profile of this name; nil when there is none.
    package func newestEntry(device: String, profile: String) throws(StoreError) -> CatalogEntry? {
        let statement = try opened().statement("SELECT max(id) FROM catalog WHERE device = ? AND profile = ?")
        defer { statement.reset() }
        try statement.bind([.text(device), .text(profile)])
        guard try statement.step(), let id = statement.optionalInteger(0) else { return nil }
        return try entry(CatalogID(id))
    }

    /// Makes the rows of the entries that were promised. Call it before a commit.
    func keepPromises() throws(StoreError) {
        let promised = promisedEntries.withLock { $0 }
        guard keptPromises.count < promised.count else { return }
        for (index, id) in try adopt(promised).enumerated() { keptPromises[CatalogID(-Int64(index) - 1)] = id }
    }

    package func adopt(_ entry: CatalogEntry) throws(StoreError) -> CatalogID {
        guard let id = try adopt([entry]).first else { throw StoreError(.sql, "the catalog gave no id; report this") }
        return id
    }

    /// - Returns: nil when there is no such row, when this meterd does not know what is in it, or when it is damaged, which is logged once.
    package func entry(_ id: CatalogID) throws(StoreError) -> CatalogEntry? {
        let connection = try opened()
        guard let entry = try content(of: id, connection) else { return nil }
        // As the index has it, which also names the row when the fingerprint in it is what was hit.
        guard try known(Fingerprint(of: entry.canonicalText.utf8).bytes, connection) == id else {
            if damagedEntries.insert(id).inserted {
                logger.error(
                    "a catalog row is damaged; its polls cannot be decoded until its device is configured as it was then",
                    metadata: ["store.catalog_id": "\(id.rawValue)", "device.name": "\(entry.device)", "profile": "\(entry.profile)"])
            }
            return nil
        }
        return entry
    }

    private func content(of id: CatalogID, _ connection: Connection) throws(StoreError) -> CatalogEntry? {
        let statement = try connection.statement("SELECT device, unit, role, profile, profile_text, invert FROM catalog WHERE id = ?")
        defer { statement.reset() }
        try statement.bind([.integer(id.rawValue)])
        guard try statement.step(), let unit = UInt8(exactly: statement.integer(1)), let role = Role(rawValue: statement.text(2)) else {
            return nil
        }
        return CatalogEntry(
            device: statement.text(0), unit: unit, role: role, profile: statement.text(3), profileText: statement.text(4),
            invert: statement.integer(5) != 0)
    }

    private func heal(_ id: CatalogID, _ entry: CatalogEntry, _ connection: Connection) throws(StoreError) {
        try connection.run(
            "UPDATE catalog SET device = ?, unit = ?, role = ?, invert = ?, profile = ?, profile_text = ? WHERE id = ?",
            .text(entry.device), .integer(Int64(entry.unit)), .text(entry.role.rawValue), .integer(entry.invert ? 1 : 0),
            .text(entry.profile), .text(entry.profileText), .integer(id.rawValue))
        damagedEntries.remove(id)
        logger.warning(
            "a damaged catalog row was written anew",
            metadata: ["store.catalog_id": "\(id.rawValue)", "device.name": "\(entry.device)", "profile": "\(entry.profile)"])
    }

    private func known(_ fingerprint: [UInt8], _ connection: Connection) throws(StoreError) -> CatalogID? {
        try connection.integer("SELECT id FROM catalog WHERE fingerprint = ?", .blob(fingerprint)).map(CatalogID.init)
    }

    private func insert(_ entry: CatalogEntry, _ fingerprint: [UInt8], _ connection: Connection) throws(StoreError) -> CatalogID {
        try connection.transaction { () throws(StoreError) -> CatalogID in
            try connection.run(
                """
                INSERT INTO catalog (fingerprint, device, unit, role, invert, profile, profile_text) VALUES (?, ?, ?, ?, ?, ?, ?)
                """, .blob(fingerprint), .text(entry.device), .integer(Int64(entry.unit)), .text(entry.role.rawValue),
                .integer(entry.invert ? 1 : 0), .text(entry.profile), .text(entry.profileText))
            guard let id = try known(fingerprint, connection) else {
                throw StoreError(.sql, "\(connection.path): a catalog row vanished; report this")
            }
            return id
        }
    }
}
