import Host
import Logging
import Metering

/// The one owner of the journal's file. Polls go in by `commit`, ranges of them go out by `offer`, their fate comes back by `settle`.
///
/// It blocks in SQLite on a thread of its own. What outputs are handed is always committed; what `commit` returned for survives a cut.
package actor Store {
    let directory: String
    /// Replaced when a reload changes retention or size.
    var limits: StoreLimits
    let time: any TimeSource
    let logger: Logger
    let fileSystem: String?
    /// Wakes whoever waits for something new.
    package nonisolated let commits = CommitSignal()
    /// Damage of the file that was met, whoever met it, until a start mends it; or why there is no file yet, until there is.
    nonisolated let standingFault = Lock<StoreError?>(nil)

    private let thread = ThreadExecutor(name: "store")
    package nonisolated var unownedExecutor: UnownedSerialExecutor { thread.asUnownedSerialExecutor() }

    var files: DataDirectory?
    /// Holds off a daemon while the journal is only read; `files` is nil then, and nothing is written.
    var readLock: ReadLock?
    /// Nil after an I/O error, until the file is opened anew.
    var connection: Connection?
    var isClosed = false
    /// False until the file was opened once; then the outputs, the books and the run are known.
    var isStarted = false
    /// Why it was not, and when that was tried.
    var startFault: (StoreError, at: Uptime)?
    /// Catalog entries that polls name by a number of their own, below 0, until the file can be written; and what they are called there.
    /// Behind a lock, since a bus that finds a map waits for no disk.
    nonisolated let promisedEntries = Lock<[CatalogEntry]>([])
    var keptPromises: [CatalogID: CatalogID] = [:]

    var report = OpenReport()
    var restore: JournalRestore?
    var books = Books()
    /// A commit of which it is not known whether it is in the file.
    var inDoubt: StagedCommit?
    /// Polls that a commit kept although it threw: the first ones that will be handed in again.
    var keptUnknown = 0
    var run: Int64 = 0
    /// The last seq when the file was opened: polls up to here count as old.
    var openedAt: Int64 = 0
    var outboxes: [String: Outbox] = [:]
    /// What each output asked for last.
    var requests: [String: SliceRequest] = [:]
    /// Outputs whose receiver takes what it is sent, while their newest lane is late.
    var forkWishes: Set<String> = []
    let configuredOutputs: [String]
    /// The outputs that are written with each commit, in order: the configured ones that the file knows, and the retired ones until then.
    var outputNames: [String] = []
    /// Outputs that are configured no more.
    var retired: Set<String> = []
    /// Something waits for a commit although no poll does.
    var isDirty = false
    var letterChanges: [DeadLetterChange] = []
    var losses: [Loss] = []
    var clockWatch = ClockWatch()
    var clockEvents: [ClockEvent] = []
    /// As last read; nil when the clock events have changed since.
    var corrections: [TimeCorrection]?
    /// The first seq of this start of the machine.
    var bootSeq: Int64?
    var damagedChunks: Set<Int64> = []
    var damagedEntries: Set<CatalogID> = []
    var commitTimes: [(lastSeq: Int64, at: Uptime)] = []
    var cache: [CachedChunk] = []
    var lastRetention: Uptime?
    /// A run whose clock was right, and the newest time of its chunks that are known to have it.
    var datedRight: (run: Int64, time: Timestamp)?
    /// Bytes that were in use when the disk was found full; nil while there is room.
    var fullLimit: Int?

    init(
        directory: String, outputs: [String], limits: StoreLimits, time: any TimeSource, fileSystem: String?, logger: Logger
    ) {
        self.directory = directory
        configuredOutputs = outputs
        self.limits = limits
        self.time = time
        self.fileSystem = fileSystem
        self.logger = logger
    }

    deinit { thread.stop() }

    /// Takes the directory, opens or makes its `journal.db`, migrates it, and sets a damaged one aside.
    ///
    /// - Parameters:
    ///   - directory: exists and may be written.
    ///   - outputs: names of the configured outputs; a new one starts at the journal's beginning, a known one at its cursor.
    ///   - fileSystem: a registered SQLite VFS that stands between the store and the files: for tests of power cuts.
    ///   - patient: on a full or failing disk the store is returned all the same; it opens its file at the first call that finds it can.
    ///     Until then every call throws why it cannot.
    /// - Throws: `.inUse`, `.directory`, `.newer`, `.foreign`; `.full` and `.io` unless it is patient.
    package static func open(
        directory: String, outputs: [String], time: any TimeSource, limits: StoreLimits = StoreLimits(), fileSystem: String? = nil,
        patient: Bool = false, logger: Logger
    ) async throws(StoreError) -> Store {
        let store = Store(
            directory: directory, outputs: outputs, limits: limits, time: time, fileSystem: fileSystem, logger: logger)
        do throws(StoreError) { try await store.start() } catch {
            guard patient, error.code == .full || error.code == .io else {
                // Not whenever the last reference goes: the caller may open it again at once.
                await store.release()
                throw error
            }
            await store.wait(for: error)
        }
        return store
    }

    private func wait(for fault: StoreError) {
        startFault = (fault, time.uptime())
        standingFault.withLock { $0 = fault }
        logger.error(
            "the journal cannot be opened; polling goes on, the newest polls wait in memory",
            metadata: ["store.error": "\(fault.code.rawValue)", "store.reason": "\(fault)"])
    }

    /// What opening found.
    package var openReport: OpenReport { report }

    /// The end is near: from now on commits flush the log and leave the database alone, however long the log grows. The next start copies
    /// it over, when nobody waits for a stop.
    func hurry() { try? connection?.leaveTheLog() }

    /// Closes the file and gives the directory free, within the time of one flush. Everything later throws `.closed`. What was settled
    /// since the last commit is committed first.
    package func close() {
        guard !isClosed else { return }
        hurry()
        if isDirty, connection != nil { _ = try? commit([]) }
        if connection != nil { mark(lastSeq: books.lastSeq) }
        release()
    }

    private func release() {
        isClosed = true
        connection?.closeUntouched()
        connection = nil
        files?.release()
        files = nil
        readLock = nil
    }

    /// Retention and size from now on; what they force out goes with the next commits.
    package func change(limits: StoreLimits) { self.limits = limits }

    /// The journal in figures; costs no reading.
    package func journalState() -> JournalState {
        JournalState(
            journalID: report.journalID, firstSeq: books.firstSeq, lastSeq: books.lastSeq, polls: books.polls, readings: books.readings,
            bytes: books.usedBytes, lostPolls: books.lostPolls + losses.reduce(0) { $0 + $1.polls },
            lostReadings: books.lostReadings + losses.reduce(0) { $0 + $1.readings },
            lostTimes: losses.reduce(books.lostTimes) { $1.times(and: $0) }, restore: restore)
    }

    /// The configured outputs, in their order; costs no reading.
    package func outputStates() -> [OutputState] {
        activeOutputs.compactMap { outboxes[$0] }.map { outbox in
            let backlog = outbox.backlog(firstKept: books.firstSeq, lastSeq: books.lastSeq)
            return OutputState(
                name: outbox.name, cursor: outbox.cursor, liveCursor: outbox.liveCursor, backlogPolls: Int(backlog.all),
                historicalPolls: Int(backlog.historical), acceptedPolls: outbox.accepted, rejectedPolls: outbox.rejected,
                filteredPolls: outbox.filtered,
                deadLetters: max(0, letterChanges.reduce(outbox.deadLetters) { $0 + ($1.output == outbox.id ? $1.letters : 0) }),
                deadLettersDropped: outbox.deadLettersDropped, isPaused: outbox.isPaused)
        }
    }
}

/// What opening the store found.
package struct OpenReport: Hashable, Sendable {
    /// Names this database.
    package var journalID = ""
    /// The path that a damaged file now has; nil when there was none.
    package var quarantined: String?
    /// What was wrong with it.
    package var reason: String?
    /// What was brought over from it into the new one; nil when nothing could be.
    package var salvaged: SalvageReport?
    /// The journal's id before this start, when the file was found to be older than the one that was here last, from a backup,
    /// or may be, since its log was broken.
    package var restoredFrom: String?
    /// The format the file had; 0 when it was made new.
    package var migratedFrom = 0

    package init() {}
}

/// The counters, as the last commit left them.
struct Books: Hashable, Sendable {
    /// The lowest seq still kept; `lastSeq` + 1 when there is none.
    var firstSeq: Int64 = 1
    var lastSeq: Int64 = 0
    var polls = 0
    var readings = 0
    var lostPolls = 0
    var lostReadings = 0
    /// The times of what was lost.
    var lostTimes: ClosedRange<Timestamp>?
    var usedBytes = 0
    /// Rises with every commit: tells after an I/O error whether that commit is in the file.
    var commits: Int64 = 0
}

/// What the next commit makes of a dead letter.
enum DeadLetterChange: Hashable, Sendable {
    case keep(PendingDeadLetter)
    /// The receiver took the poll after all.
    case remove(seq: Int64, output: Int64)

    var output: Int64 {
        switch self {
        case .keep(let letter): letter.output
        case .remove(_, let output): output
        }
    }

    /// How many letters it adds.
    var letters: Int {
        switch self {
        case .keep: 1
        case .remove: -1
        }
    }
}

struct PendingDeadLetter: Hashable, Sendable {
    var output: Int64
    var seq: Int64
    var reason: String
    var rejected: Timestamp
    var run: Int64?
    var body: [UInt8]?
}

struct CachedChunk {
    var firstSeq: Int64
    var run: Int64
    var polls: [CountedPoll]
}
