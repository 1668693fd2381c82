import Metering

/// The decoders of the catalog entries in use: each profile is parsed once, and its records share one `RecordSource`.
struct SourceCache {
    /// Entries kept; beyond it all are forgotten and read again.
    static let limit = 1024

    enum Lookup {
        case source(RecordSource)
        /// No record of this entry can be decoded by this program, however often it is tried.
        case undecodable(reason: String)
        /// The filter leaves nothing of it.
        case unwanted
    }

    private var known: [CatalogID: Lookup] = [:]
    /// The text of each profile, once for all entries that have it.
    private var texts: Set<String> = []
    /// Those of the known entries that are unwanted.
    private(set) var unwanted: Set<CatalogID> = []
    private let decoder: @Sendable (CatalogEntry) throws -> ReadingDecoder
    private let filter: OutputFilter?

    init(filter: OutputFilter? = nil, decoder: @escaping @Sendable (CatalogEntry) throws -> ReadingDecoder) {
        self.filter = filter
        self.decoder = decoder
    }

    func known(_ id: CatalogID) -> Lookup? { known[id] }

    /// - Parameter entry: what the catalog has for the id; nil when it has none.
    mutating func learn(_ id: CatalogID, _ entry: CatalogEntry?) -> Lookup {
        if known.count >= SourceCache.limit {
            known.removeAll(keepingCapacity: true)
            texts.removeAll()
            unwanted.removeAll(keepingCapacity: true)
        }
        let lookup = look(at: entry, id)
        if case .unwanted = lookup { unwanted.insert(id) }
        // A row that is damaged is written anew when its device is taken in again.
        if entry != nil { known[id] = lookup }
        return lookup
    }

    private mutating func look(at entry: CatalogEntry?, _ id: CatalogID) -> Lookup {
        guard var entry else { return .undecodable(reason: "catalog entry \(id.rawValue) is missing from the database or damaged in it") }
        entry.profileText = texts.insert(entry.profileText).memberAfterInsert
        if let filter, !filter.devices.contains(entry.device) { return .unwanted }
        do {
            let whole = try decoder(entry)
            let wanted = filter?.decoder(of: entry.device, whole) ?? whole
            return filter != nil && wanted.selected.isEmpty ? .unwanted : .source(RecordSource(entry: entry, decoder: wanted))
        } catch {
            return .undecodable(reason: "the profile \(entry.profile) of catalog entry \(id.rawValue) cannot be read: \(error)")
        }
    }
}
