import Metering

/// Makes the quarter hours of devices from what the journal keeps, a page at a time, so that memory stays flat and commits get in between.
///
///     let listing = IntervalListing(devices: ["main"], from: start, until: end)
///     let result = try await listing.run(on: store, now: time.wall()) { for interval in $0 { show(interval) } }
package struct IntervalListing: Sendable {
    package struct Progress: Hashable, Sendable {
        package var polls = 0
        package var intervals = 0
        /// Polls whose catalog entry is missing or cannot be read any more.
        package var undecodable = 0
    }

    /// Nil for all.
    package var devices: Set<String>?
    /// Intervals that begin at this time or later, and before `until`.
    package var from: Timestamp
    package var until: Timestamp
    /// Devices that have their intervals even where nothing was read.
    package var known: [CatalogEntry]

    package init(devices: Set<String>? = nil, from: Timestamp, until: Timestamp, known: [CatalogEntry] = []) {
        self.devices = devices
        self.from = from
        self.until = until
        self.known = known
    }

    /// What was read so long before is looked at as well: where the counters stood when the first interval began.
    package static let lead = Duration.seconds(2 * 3600)
    /// And so long after: what closes the last one.
    static let tail = Duration.seconds(1800)
    /// Intervals that `write` is handed at a time.
    package static let handful = 64

    /// In order of their time, but for a device whose next poll came late. Cancelling the task ends it with `CancellationError`.
    ///
    /// - Parameters:
    ///   - now: no interval is told of that begins later; the one it is in is not complete.
    ///   - write: takes intervals as they are known; what it throws ends the listing.
    /// - Throws: `StoreError` `.io`, `.corrupt`, `.closed`, and what `write` throws.
    @discardableResult
    package func run(on store: Store, now: Timestamp, write: ([Interval]) async throws -> Void) async throws -> Progress {
        var progress = Progress()
        let start = from.advanced(by: .zero - IntervalListing.lead)
        let end = until.advanced(by: IntervalListing.tail)
        let corrections = try await store.timeCorrections()
        let runs = try await store.keptRuns()
        var benches = Benches(listing: self, start: max(start, try await store.keptTimes()?.lowerBound ?? now))
        for run in runs {
            guard let seqs = try await store.seqs(of: run, from: start, until: end, corrections: corrections) else { continue }
            var seq = seqs.lowerBound - 1
            while seq < seqs.upperBound {
                try Task.checkCancellation()
                let page = try await store.exportPage(
                    after: seq, through: seqs.upperBound, from: start, until: end, corrections: corrections)
                for stored in page.polls {
                    let isKnown = try await benches.prepare(stored.poll.entry, store)
                    guard isKnown else {
                        progress.undecodable += 1
                        continue
                    }
                    if benches.take(stored.poll, boot: run.boot) { progress.polls += 1 }
                }
                seq = page.through
                benches.pass()
                try await benches.hand(to: write, &progress)
            }
        }
        benches.finish(at: min(now, end))
        try await benches.hand(to: write, &progress)
        return progress
    }
}

/// A builder for each device.
private struct Benches {
    private let listing: IntervalListing
    private var builders: [String: IntervalBuilder] = [:]
    /// By what each was last set up.
    private var settings: [String: CatalogID] = [:]
    private var entries: [CatalogID: (device: String, unit: UInt8, decoder: ReadingDecoder)?] = [:]
    private var ready = IntervalRuns()
    private var newest: Timestamp?
    private var passed: Int64?

    /// - Parameter start: nothing is told of earlier.
    init(listing: IntervalListing, start: Timestamp) {
        self.listing = listing
        for entry in listing.known where listing.devices?.contains(entry.device) ?? true {
            guard let decoder = Benches.decoder(of: entry) else { continue }
            var builder = IntervalBuilder(device: entry.device, from: start)
            builder.use(decoder, unit: entry.unit)
            builders[entry.device] = builder
        }
    }

    private static func decoder(of entry: CatalogEntry) -> ReadingDecoder? {
        guard let profile = try? Profile(toml: entry.profileText, file: entry.profile + ".toml") else { return nil }
        return ReadingDecoder(profile: profile, invert: entry.invert)
    }

    /// False for what cannot be decoded.
    mutating func prepare(_ id: CatalogID, _ store: Store) async throws -> Bool {
        if let known = entries[id] { return known != nil }
        var found: (device: String, unit: UInt8, decoder: ReadingDecoder)?
        if let entry = try await store.entry(id), let decoder = Benches.decoder(of: entry) { found = (entry.device, entry.unit, decoder) }
        if entries.count >= ExportText.entryLimit { entries = [:] }
        entries[id] = .some(found)
        return found != nil
    }

    /// False for a device that was not asked for.
    mutating func take(_ poll: Poll, boot: Int) -> Bool {
        newest = max(newest ?? poll.time, poll.time)
        guard case let (device, unit, decoder)?? = entries[poll.entry], listing.devices?.contains(device) ?? true else { return false }
        var builder = builders.removeValue(forKey: device) ?? IntervalBuilder(device: device)
        if settings.updateValue(poll.entry, forKey: device) != poll.entry { builder.use(decoder, unit: unit) }
        builder.take(poll, boot: boot) { keep($0) }
        builders[device] = builder
        return true
    }

    /// Brings devices on that are silent while others are not, once a quarter hour.
    mutating func pass() {
        guard let newest, Interval.number(of: newest.advanced(by: .seconds(-60))) != passed else { return }
        passed = Interval.number(of: newest.advanced(by: .seconds(-60)))
        forEach { $0.pass(newest, emit: $1) }
    }

    mutating func finish(at time: Timestamp) { forEach { $0.finish(at: time, emit: $1) } }

    private mutating func forEach(_ body: (inout IntervalBuilder, (Interval) -> Void) -> Void) {
        for device in builders.keys.sorted() {
            guard var builder = builders.removeValue(forKey: device) else { continue }
            body(&builder) { keep($0) }
            builders[device] = builder
        }
    }

    private mutating func keep(_ interval: Interval) {
        if interval.start >= listing.from, interval.start < listing.until { ready.append(interval) }
    }

    mutating func hand(
        to write: ([Interval]) async throws -> Void, _ progress: inout IntervalListing.Progress
    ) async throws {
        let runs = ready
        ready = IntervalRuns()
        var handful: [Interval] = []
        for interval in runs {
            handful.append(interval)
            guard handful.count >= IntervalListing.handful else { continue }
            try Task.checkCancellation()
            progress.intervals += handful.count
            try await write(handful)
            handful.removeAll(keepingCapacity: true)
        }
        guard !handful.isEmpty else { return }
        progress.intervals += handful.count
        try await write(handful)
    }
}
