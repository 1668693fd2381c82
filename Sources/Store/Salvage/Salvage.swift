import Evidence
import Metering

/// What can still be read in a damaged journal. It looks at every page by itself, so that damage costs what lies in the damaged pages and
/// nothing else: no index, no interior page and not even the first page is needed.
///
/// Polls are taken only from chunks whose checksum holds, catalog rows only where the fingerprint holds; the books (last seq, sums, cursors)
/// have none and are taken as they are, the newest version of each.
struct Salvage {
    struct Found: Hashable {
        var firstSeq: Int64
        var lastSeq: Int64
        var polls: Int
        var readings: Int
        var firstTime: Int64
        var lastTime: Int64
        var bytes: Int
        fileprivate var image: Int
        fileprivate var row: Int

        var seqs: ClosedRange<Int64> { firstSeq...lastSeq }
    }

    struct Journal: Hashable {
        var id: String
        var created: Int64
        var lastSeq: Int64
        var polls: Int64
        var readings: Int64
        var lostPolls: Int64
        var lostReadings: Int64
        var commits: Int64
    }

    /// Rows that go over as they are, by rowid.
    struct Row {
        var values: [SQLValue]
        /// Of two versions of a row the one with the higher age is the newer.
        var age: [Int64]
    }

    private let images: PageImages
    /// In order of seq, no two overlap.
    private(set) var chunks: [Found] = []
    private(set) var journal: Journal?
    private(set) var catalog: [Int64: [SQLValue]] = [:]
    private(set) var runs: [Int64: Row] = [:]
    private(set) var outputs: [Int64: Row] = [:]
    private(set) var losses: [Int64: Row] = [:]
    private(set) var events: [Int64: Row] = [:]
    private(set) var deadLetters: [DeadLetterKey: Row] = [:]

    struct DeadLetterKey: Hashable {
        var output: Int64
        var seq: Int64
    }

    /// Reads the whole of a journal that nobody has open.
    init(path: String) {
        images = PageImages(path: path)
        for index in images.images.indices { look(at: index) }
        settle()
    }

    /// The polls of a chunk as they are stored, and the run they are of.
    func body(of chunk: Found) -> (run: SQLValue, body: [UInt8])? {
        let rows = records(of: chunk.image)
        guard rows.indices.contains(chunk.row), case .blob(let body) = rows[chunk.row].values[7] else { return nil }
        return (rows[chunk.row].values[2], body)
    }

    private func records(of index: Int) -> [RawRecord] {
        let image = images.images[index]
        return RawRecord.all(in: images.bytes(of: image), isFirst: image.page == 1, of: images)
    }

    private mutating func look(at index: Int) {
        let page = images.images[index].page
        for (row, record) in records(of: index).enumerated() {
            let values = record.values
            guard let rowid = record.rowid else {
                keepDeadLetter(values)
                continue
            }
            switch String(values.map(\.kind)) {
            case "niiiiiib": keepChunk(rowid, values, image: index, row: row)
            case "ntiiiiiii" where page == Salvage.journalPage: keepJournal(values)
            case "ntiiiiiiiiit", "ntiiiiiiii",
                "ntiiiiiii" where values.count > 9 || !isCause(values[1]) || page == Salvage.outputPage:
                // A row that was last written before format 3 has no `paused`, one from before format 4 no `filtered` and no `lanes`.
                keep(
                    Row(
                        values: values + [.integer(0), .integer(0), .text("")].suffix(12 - values.count),
                        age: [values[5].number &+ values[6].number, values[2].number, values[3].number]), rowid, \.outputs)
            case "ntiiiiiii", "ntnniiiii": if isCause(values[1]) { keep(Row(values: values, age: [values[8].number]), rowid, \.losses) }
            // Before format 2 without `first_seq`, before format 5 without `restored_from`.
            case "ntii": keep(Row(values: values + [.null, .null], age: [0]), rowid, \.runs)
            case "ntiii", "ntiin": keep(Row(values: values + [.null], age: [1]), rowid, \.runs)
            case "ntiiin", "ntiiit", "ntiinn": keep(Row(values: values, age: [2]), rowid, \.runs)
            case "nitiii": if ClockEvent.Kind(rawValue: values[2].string) != nil { keep(Row(values: values, age: []), rowid, \.events) }
            case "nbtititt": keepCatalog(rowid, values)
            default: break
            }
        }
    }

    /// Roots never move, and the one row of `journal` never leaves its root.
    private static let journalPage: UInt32 = 2
    private static let outputPage: UInt32 = 7

    private func isCause(_ value: SQLValue) -> Bool { Loss.Cause(rawValue: value.string) != nil }

    private mutating func keep(_ row: Row, _ rowid: Int64, _ place: WritableKeyPath<Salvage, [Int64: Row]>) {
        guard rowid > 0, self[keyPath: place].count < Salvage.rowLimit else { return }
        if let known = self[keyPath: place][rowid], row.age.lexicographicallyPrecedes(known.age) { return }
        self[keyPath: place][rowid] = row
    }

    private mutating func keepJournal(_ values: [SQLValue]) {
        let found = Journal(
            id: values[1].string, created: values[2].number, lastSeq: values[3].number, polls: values[4].number,
            readings: values[5].number, lostPolls: values[6].number, lostReadings: values[7].number, commits: values[8].number)
        guard found.id.utf8.count == 32, found.polls >= 0, found.lastSeq >= found.polls, found.readings >= 0, found.lostPolls >= 0,
            found.lostReadings >= 0, found.commits >= journal?.commits ?? 0
        else { return }
        journal = found
    }

    private mutating func keepChunk(_ first: Int64, _ values: [SQLValue], image: Int, row: Int) {
        guard case .blob(let body) = values[7], first > 0, chunks.count < Salvage.chunkLimit else { return }
        let (last, polls) = values[1].number.subtractingReportingOverflow(first).overflow ? (0, 0) : (values[1].number, values[3].number)
        guard last >= first, last - first == polls - 1, polls <= Int64(Chunk.decodedPollLimit) else { return }
        guard let decoded = try? ChunkDecoder.decode(body), decoded.count == Int(polls) else { return }
        chunks.append(
            Found(
                firstSeq: first, lastSeq: last, polls: Int(polls), readings: decoded.reduce(0) { $0 + $1.readings },
                firstTime: values[5].number, lastTime: values[6].number, bytes: body.count, image: image, row: row))
    }

    private mutating func keepCatalog(_ rowid: Int64, _ values: [SQLValue]) {
        guard case .blob(let fingerprint) = values[1], rowid > 0, catalog.count < Salvage.rowLimit,
            let role = Role(rawValue: values[4].string),
            let unit = UInt8(exactly: values[3].number)
        else { return }
        let entry = CatalogEntry(
            device: values[2].string, unit: unit, role: role, profile: values[6].string, profileText: values[7].string,
            invert: values[5].number != 0)
        if Fingerprint(of: entry.canonicalText.utf8).bytes == fingerprint { catalog[rowid] = values }
    }

    private mutating func keepDeadLetter(_ values: [SQLValue]) {
        guard (6...7).contains(values.count), String(values.prefix(4).map(\.kind)) == "iiti", deadLetters.count < Salvage.rowLimit else {
            return
        }
        if case .blob(let body) = values[5], (try? ChunkDecoder.decode(body))?.count != 1 { return }
        deadLetters[DeadLetterKey(output: values[0].number, seq: values[1].number)] = Row(
            values: values.count == 7 ? values : values + [.integer(0)], age: [])
    }

    /// Puts the chunks in order and takes out what was found twice, was removed before the damage, or belongs to no known file.
    private mutating func settle() {
        if let journal {
            let first = journal.lastSeq - journal.polls + 1
            chunks.removeAll { $0.firstSeq < first }
        }
        let trusted = Salvage.withoutOverlaps(chunks.filter { images.images[$0.image].isTrusted })
        let others = Salvage.withoutOverlaps(chunks.filter { !images.images[$0.image].isTrusted })
        chunks = (trusted + others.filter { !Salvage.overlaps($0, trusted) }).sorted { $0.firstSeq < $1.firstSeq }
        let last = max(journal?.lastSeq ?? 0, chunks.last?.lastSeq ?? 0)
        outputs = outputs.filter { _, row in
            let values = row.values[2...8].map(\.number)
            let lanes = row.values[11].string
            let horizon = lanes.isEmpty ? values[2] : Lane.read(lanes, after: values[2]).last?.horizon
            return values.allSatisfy { $0 >= 0 } && values[0] <= values[1] && values[0] <= values[2] && horizon.map { $0 <= last } == true
        }
    }

    private static func withoutOverlaps(_ chunks: [Found]) -> [Found] {
        var settled: [Found] = []
        for chunk in chunks.sorted(by: { ($0.firstSeq, $0.image) < ($1.firstSeq, $1.image) })
        where settled.last.map({ chunk.firstSeq > $0.lastSeq }) ?? true { settled.append(chunk) }
        return settled
    }

    /// - Parameter others: in order, without overlaps.
    private static func overlaps(_ chunk: Found, _ others: [Found]) -> Bool {
        var low = 0
        var high = others.count
        while low < high {
            let middle = (low + high) / 2
            if others[middle].lastSeq < chunk.firstSeq { low = middle + 1 } else { high = middle }
        }
        return low < others.count && others[low].firstSeq <= chunk.lastSeq
    }

    /// Rows of one kind that are held in memory.
    static let rowLimit = 20_000
    /// Chunks whose places are held in memory; 20 MiB.
    static let chunkLimit = 1 << 18
}

extension SQLValue {
    fileprivate var kind: Character {
        switch self {
        case .integer: "i"
        case .text: "t"
        case .blob: "b"
        case .null: "n"
        }
    }

    /// 0 for what is no number.
    var number: Int64 { if case .integer(let number) = self { number } else { 0 } }
    /// Empty for what is no text.
    fileprivate var string: String { if case .text(let text) = self { text } else { "" } }
}
