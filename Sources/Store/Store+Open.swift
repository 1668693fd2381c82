import CSQLite
import Host
import Metering

extension Store {
    /// Takes the directory and opens the file in it. Call it again after a failure.
    func start() throws(StoreError) {
        do throws(StoreError) {
            try startOnce()
            isStarted = true
        } catch {
            connection?.closeUntouched()
            connection = nil
            throw error
        }
    }

    private func startOnce() throws(StoreError) {
        let files: DataDirectory
        if let held = self.files { files = held } else { files = try DataDirectory(path: directory) }
        self.files = files
        // Starting writes too.
        if let free = files.freeBytes, free < max(limits.ballastBytes, StoreLimits.roomBytes) { _ = files.dropBallast() }
        try files.finishSettingAside(at: time.wall())
        try openOrReplace(files)
        let connection = try opened()
        let isOlder = try isOlderThanItWas(files, connection)
        openedAt = books.lastSeq
        watchClock()
        try connection.transaction { () throws(StoreError) in
            try connection.run(
                "INSERT INTO run (boot, opened, opened_uptime, first_seq) VALUES (?, ?, ?, ?)", .text(DataDirectory.bootID()),
                .integer(time.wall().milliseconds), .integer(time.uptime().nanoseconds), .integer(books.lastSeq + 1))
            run = try connection.integer("SELECT max(id) FROM run") ?? 0
            if isOlder { try beginAnotherJournal(connection) }
            try writeRestore(connection)
            try writeClockEvents(clockEvents, connection)
            for name in configuredOutputs { try openOutput(name, connection) }
        }
        clockEvents = []
        try loadRestore(connection)
        mark(lastSeq: nil)
        files.clearSuspicion()
        restoreBallast()
        files.sync()
        commits.advance(to: books.lastSeq)
    }

    private func openOrReplace(_ files: DataDirectory) throws(StoreError) {
        // SQLite would take the log to end there, without a word.
        let logDamage = LogFrames(path: files.journal + "-wal").damage
        if let damage = try files.headerDamage() ?? logDamage {
            try replace(files, reason: damage, isLogBroken: logDamage != nil)
            return
        }
        do {
            let connection = try openFile(files, checking: true)
            // The log begins anew, so that what a torn commit left behind in it is never taken for damage.
            do { try connection.checkpoint(SQLITE_CHECKPOINT_RESTART) } catch  where error.code == .full {}
            try load(connection)
        } catch {
            connection?.closeUntouched()
            connection = nil
            // Anything else says nothing about the file: a disk that fails for now, or too little memory.
            guard error.code == .corrupt else { throw error }
            try replace(files, reason: error.cause ?? error.message, isLogBroken: false)
        }
    }

    private func replace(_ files: DataDirectory, reason: String, isLogBroken: Bool) throws(StoreError) {
        try files.holdPlace()
        let salvaged = try salvage(files, isLogBroken: isLogBroken)
        report.reason = reason
        report.salvaged = salvaged
        let name = try files.setAside(at: time.wall(), successor: report.salvaged != nil)
        report.quarantined = name
        logger.error(
            "the journal was damaged and set aside; a new one goes on with what could be read",
            metadata: [
                "store.file": "\(name)", "store.reason": "\(reason)", "store.salvaged_polls": "\(report.salvaged?.polls ?? 0)",
                "store.lost_polls": "\(report.salvaged?.lostPolls ?? 0)",
            ])
        try load(try openFile(files, checking: false))
    }

    /// Makes a new journal beside the damaged one, of what can be read in that. Nil when there is nothing.
    ///
    /// - Parameter isLogBroken: the newest commits may be missing, so that seqs may be given again: it goes on under another id.
    /// - Throws: `.full` and `.io`: the damaged files stay where they are, for another try.
    private func salvage(_ files: DataDirectory, isLogBroken: Bool) throws(StoreError) -> SalvageReport? {
        files.removeSalvaged()
        let found = Salvage(path: files.journal)
        guard found.journal != nil || !found.chunks.isEmpty else { return nil }
        do throws(StoreError) {
            let bytes = min(StoreLimits.salvagedBytes, found.chunks.reduce(0) { $0 + $1.bytes })
            if let free = files.freeBytes, free < bytes { _ = files.dropBallast() }
            // A try in vain would wear the flash.
            if let free = files.freeBytes, free < bytes { throw StoreError(.full, "\(bytes >> 10) KiB are needed") }
            let connection = try Connection(path: files.salvaged, fileSystem: fileSystem)
            do throws(StoreError) {
                try connection.configure()
                let id = isLogBroken ? nil : found.journal?.id
                try Schema.migrate(connection, created: time.wall().milliseconds, journalID: id ?? randomHex(bytes: 16))
                let report = try found.write(to: connection, bytes: StoreLimits.salvagedBytes, now: time.wall())
                try connection.checkpoint(SQLITE_CHECKPOINT_TRUNCATE)
                connection.close()
                files.removeSalvagedLog()
                if isLogBroken { self.report.restoredFrom = found.journal?.id }
                return report
            } catch {
                connection.closeUntouched()
                throw error
            }
        } catch {
            files.removeSalvaged()
            switch error.code {
            case .full:
                throw StoreError(
                    .full,
                    "\(files.journal) is damaged, and there is no space for a new one of what can be read in it; free some, "
                        + "meterd goes on by itself", cause: "\(error)")
            case .io: throw error
            default:
                logger.error("nothing could be salvaged from the damaged journal", metadata: ["store.reason": "\(error)"])
                return nil
            }
        }
    }

    func load(_ opened: Connection) throws(StoreError) {
        connection = opened
        try loadBooks(opened)
        try loadDamage(opened)
        try loadRestore(opened)
    }

    /// Opens, checks, migrates. On failure nothing stays open, and a file that is not ours stays as it was.
    private func openFile(_ files: DataDirectory, checking: Bool) throws(StoreError) -> Connection {
        let connection = try Connection(path: files.journal, fileSystem: fileSystem)
        do {
            try Schema.check(connection)
            try connection.configure()
            report.migratedFrom = try Schema.migrate(
                connection, created: time.wall().milliseconds, journalID: randomHex(bytes: 16))
            if checking { try check(connection, files) }
            return connection
        } catch {
            connection.closeUntouched()
            throw error
        }
    }

    /// Opens the file that was open before, and no other: an empty one in its place would begin a journal that outputs know nothing of.
    private func reopenFile(_ files: DataDirectory) throws(StoreError) -> Connection {
        // SQLite would delete the log beside an empty file.
        guard files.journalBytes > 0 else {
            throw StoreError(
                .io,
                "\(files.journal) is empty or gone, and was not when meterd opened it; put back the file, "
                    + "or restart meterd to begin a new one with what its log holds")
        }
        let connection = try Connection(path: files.journal, fileSystem: fileSystem, creating: false)
        do throws(StoreError) {
            let tables = try connection.integer("SELECT count(*) FROM sqlite_schema WHERE name = 'journal'") ?? 0
            guard tables > 0, try connection.text("SELECT journal_id FROM journal") == report.journalID else {
                throw StoreError(
                    .io,
                    "\(files.journal) is another file than before; put back the one of journal \(report.journalID), "
                        + "or restart meterd to go on with this one")
            }
            try connection.configure()
            return connection
        } catch {
            connection.closeUntouched()
            throw error
        }
    }

    private func check(_ connection: Connection, _ files: DataDirectory) throws(StoreError) {
        guard files.isSuspect || files.journalBytes <= StoreLimits.checkedBytes else { return }
        let found = try connection.text("PRAGMA quick_check(1)")
        guard found == "ok" else {
            throw StoreError(.corrupt, "\(connection.path) is damaged", cause: "quick_check: \(found ?? "no answer")")
        }
    }

    private func loadBooks(_ connection: Connection) throws(StoreError) {
        let statement = try connection.statement(
            "SELECT journal_id, last_seq, polls, readings, lost_polls, lost_readings, commits FROM journal")
        defer { statement.reset() }
        guard try statement.step() else {
            throw StoreError(.corrupt, "\(connection.path) is damaged; restart meterd", cause: "no journal row")
        }
        report.journalID = statement.text(0)
        books.lastSeq = statement.integer(1)
        books.polls = Int(statement.integer(2))
        books.readings = Int(statement.integer(3))
        books.lostPolls = Int(statement.integer(4))
        books.lostReadings = Int(statement.integer(5))
        books.commits = statement.integer(6)
        books.firstSeq = try connection.integer("SELECT min(first_seq) FROM chunk") ?? books.lastSeq + 1
        books.usedBytes = try connection.usedBytes()
        books.lostTimes = nil
        if let first = try connection.integer("SELECT min(first_time) FROM loss"),
            let last = try connection.integer("SELECT max(last_time) FROM loss"), first <= last
        {
            books.lostTimes = Timestamp(milliseconds: first)...Timestamp(milliseconds: last)
        }
    }

    private func loadDamage(_ connection: Connection) throws(StoreError) {
        let statement = try connection.statement("SELECT first_seq FROM loss WHERE cause = 'damaged'")
        defer { statement.reset() }
        while try statement.step() { damagedChunks.insert(statement.integer(0)) }
    }

    func openOutput(_ name: String, _ connection: Connection) throws(StoreError) {
        try connection.run(
            """
            INSERT INTO output (name, cursor, pending_end, horizon, accepted, rejected, dead_letters, dead_letters_dropped)
            VALUES (?1, ?2, ?2, ?3, 0, 0, 0, 0) ON CONFLICT DO NOTHING
            """, .text(name), .integer(books.firstSeq - 1), .integer(books.lastSeq))
        let statement = try connection.statement(
            """
            SELECT id, cursor, pending_end, horizon, accepted, rejected, dead_letters, dead_letters_dropped, paused,
            (SELECT count(*) FROM dead_letter WHERE output = output.id AND replay <> 0), filtered, lanes FROM output WHERE name = ?
            """)
        defer { statement.reset() }
        try statement.bind([.text(name)])
        guard try statement.step() else { return }
        outboxes[name] = Outbox(
            id: statement.integer(0), name: name, cursor: statement.integer(1), pendingEnd: statement.integer(2),
            horizon: statement.integer(3), lanes: Lane.read(statement.text(11), after: statement.integer(3)),
            accepted: Int(statement.integer(4)), rejected: Int(statement.integer(5)), filtered: Int(statement.integer(10)),
            deadLetters: Int(statement.integer(6)), deadLettersDropped: Int(statement.integer(7)),
            isPaused: statement.integer(8) != 0, replays: Int(statement.integer(9)))
        if !outputNames.contains(name) { outputNames.append(name) }
    }

    /// The connection; after an I/O error a new one, once everything that the old one may have written is known to be on the disk.
    func opened() throws(StoreError) -> Connection {
        if let connection { return connection }
        guard !isClosed else { throw StoreError(.closed, "the store is closed; open it again") }
        guard isStarted else { return try startLate() }
        guard let files else { throw StoreError(.closed, "the store is closed; open it again") }
        let connection = try reopenFile(files)
        // The kernel forgets pages whose flush failed, so what the WAL seems to hold may not be on the disk. Copied into the database
        // and flushed there it is; then the WAL begins anew.
        do {
            do { try connection.checkpoint(SQLITE_CHECKPOINT_TRUNCATE) } catch  where error.code == .full && files.dropBallast() {
                try connection.checkpoint(SQLITE_CHECKPOINT_TRUNCATE)
            }
            try settleDoubt(connection)
            try countLetters(connection)
        } catch {
            connection.closeUntouched()
            throw error
        }
        self.connection = connection
        logger.info("the journal is open again", metadata: ["store.file": "\(files.journal)"])
        return connection
    }

    /// Another try at a start that the disk did not allow, now and then: each costs it writes.
    private func startLate() throws(StoreError) -> Connection {
        let now = time.uptime()
        if let (fault, at) = startFault, now - at < StoreLimits.startRetry { throw fault }
        do throws(StoreError) { try start() } catch {
            // A try that reads a whole damaged journal may take longer than the pause.
            startFault = (error, time.uptime())
            throw error
        }
        startFault = nil
        standingFault.withLock { $0 = nil }
        logger.notice("the journal is open, later than meterd", metadata: ["store.directory": "\(directory)"])
        guard let connection else { throw StoreError(.closed, "the store is closed; open it again") }
        return connection
    }

    /// Whether the commit that failed is in the file after all.
    private func settleDoubt(_ connection: Connection) throws(StoreError) {
        guard let staged = inDoubt else { return }
        let isKept = try connection.integer("SELECT commits FROM journal") == staged.books.commits
        inDoubt = nil
        guard isKept else { return }
        // The file may fail again before the commit is asked for again, and what is asked for then may fail too.
        keptUnknown += staged.count
        if staged.isRemoval { adopt(removal: staged) } else { adopt(staged) }
    }
}

extension StoreLimits {
    /// A start that found no room is tried again after this at the earliest.
    static let startRetry: Duration = .seconds(2)
}

func randomHex(bytes count: Int) -> String {
    let digits = Array("0123456789abcdef".utf8)
    var generator = SystemRandomNumberGenerator()
    return String(decoding: (0..<2 * count).map { _ in digits[Int.random(in: 0..<16, using: &generator)] }, as: UTF8.self)
}
