import CSQLite

/// The one connection to the one file. Not safe to share: the store's actor owns it.
final class Connection {
    let path: String
    private var handle: OpaquePointer?
    private var statements: [String: Statement] = [:]

    /// Bytes of a page. Small pages spare flash: a commit writes whole pages, and a chunk wastes part of its last one.
    static let pageSize = 2048
    /// Pages in the WAL before they are copied into the database: 4 MiB, so hot pages are copied once for hundreds of commits.
    static let checkpointPages = 2048

    /// Opens or creates the file; reads nothing yet.
    ///
    /// - Parameters:
    ///   - fileSystem: a registered SQLite VFS; nil for the default one.
    ///   - creating: whether a file that is not there is made.
    init(path: String, fileSystem: String? = nil, creating: Bool = true) throws(StoreError) {
        self.path = path
        let flags = SQLITE_OPEN_READWRITE | (creating ? SQLITE_OPEN_CREATE : 0) | SQLITE_OPEN_NOMUTEX
        let status = sqlite3_open_v2(path, &handle, flags, fileSystem)
        guard status == SQLITE_OK else {
            let failure = error(status, "open")
            sqlite3_close_v2(handle)
            handle = nil
            throw failure
        }
        sqlite3_extended_result_codes(handle, 1)
        // Exclusive: no shared memory file and nobody else; older SQLite may corrupt a WAL that two connections share.
        try execute("PRAGMA locking_mode = EXCLUSIVE")
    }

    /// Opens it to be read, with what stands in its log; no byte of the two files changes, and no other is made.
    init(reading path: String) throws(StoreError) {
        self.path = path
        // SQLite's own locks want a file that may be written; `ReadLock` stands in for them.
        let status = sqlite3_open_v2(path, &handle, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, "unix-none")
        guard status == SQLITE_OK else {
            let failure = error(status, "open")
            sqlite3_close_v2(handle)
            handle = nil
            throw failure
        }
        sqlite3_extended_result_codes(handle, 1)
        try execute("PRAGMA locking_mode = EXCLUSIVE")
        try execute("PRAGMA query_only = ON")
        try execute("PRAGMA mmap_size = 0")
        try execute("PRAGMA cache_size = -1024")
    }

    deinit { close() }

    /// Checkpoints, which takes seconds on a slow card, and closes; the WAL file stays, at its size.
    func close() {
        statements.removeAll()
        sqlite3_close_v2(handle)
        handle = nil
    }

    /// Closes and leaves every byte as it is.
    func closeUntouched() {
        if let handle { csqlite_no_checkpoint_on_close(handle) }
        close()
    }

    /// Sets what durability and flash wear depend on, and reads back what durability depends on.
    func configure() throws(StoreError) {
        try execute("PRAGMA page_size = \(Connection.pageSize)")
        try execute("PRAGMA auto_vacuum = NONE")
        guard try text("PRAGMA journal_mode = WAL") == "wal" else {
            throw StoreError(.io, "\(path): the file system does not support a write-ahead log; use a local one, such as ext4")
        }
        try execute("PRAGMA synchronous = FULL")
        try execute("PRAGMA secure_delete = OFF")
        try execute("PRAGMA mmap_size = 0")
        try execute("PRAGMA journal_size_limit = -1")
        try execute("PRAGMA wal_autocheckpoint = \(Connection.checkpointPages)")
        try execute("PRAGMA cache_size = -1024")
        try execute("PRAGMA temp_store = MEMORY")
        try execute("PRAGMA trusted_schema = OFF")
        try execute("PRAGMA cell_size_check = ON")
        var keep: Int32 = 1
        sqlite3_file_control(handle, "main", SQLITE_FCNTL_PERSIST_WAL, &keep)
        guard try integer("PRAGMA synchronous") == 2 else {
            throw StoreError(.sql, "\(path): SQLite did not accept synchronous = FULL; this build of libsqlite3 cannot be used")
        }
    }

    func execute(_ sql: String) throws(StoreError) {
        let status = sqlite3_exec(handle, sql, nil, nil, nil)
        guard status == SQLITE_OK else { throw error(status, sql) }
    }

    /// A prepared statement, kept for the life of the connection.
    func statement(_ sql: String) throws(StoreError) -> Statement {
        if let known = statements[sql] { return known }
        var prepared: OpaquePointer?
        let status = sqlite3_prepare_v3(handle, sql, -1, UInt32(SQLITE_PREPARE_PERSISTENT), &prepared, nil)
        guard status == SQLITE_OK, let prepared else { throw error(status, sql) }
        let made = Statement(prepared, sql: sql, connection: self)
        statements[sql] = made
        return made
    }

    /// Runs a statement to its end.
    func run(_ sql: String, _ values: SQLValue...) throws(StoreError) {
        let statement = try statement(sql)
        defer { statement.reset() }
        try statement.bind(values)
        while try statement.step() {}
    }

    /// The first column of the first row; nil when there is none or it is NULL.
    func integer(_ sql: String, _ values: SQLValue...) throws(StoreError) -> Int64? {
        let statement = try statement(sql)
        defer { statement.reset() }
        try statement.bind(values)
        return try statement.step() ? statement.optionalInteger(0) : nil
    }

    func text(_ sql: String) throws(StoreError) -> String? {
        let statement = try statement(sql)
        defer { statement.reset() }
        return try statement.step() ? statement.text(0) : nil
    }

    /// Rows that the last statement changed.
    var changes: Int { Int(sqlite3_changes(handle)) }

    /// All or nothing. When it throws, nothing of it is in the file, except that after `.io` the commit may or may not have been kept.
    func transaction<Result>(_ body: () throws(StoreError) -> Result) throws(StoreError) -> Result {
        try run("BEGIN IMMEDIATE")
        do {
            let result = try body()
            try run("COMMIT")
            return result
        } catch {
            // Some failures roll back by themselves, and after some the file is closed already.
            if let handle, sqlite3_get_autocommit(handle) == 0 { sqlite3_exec(handle, "ROLLBACK", nil, nil, nil) }
            throw error
        }
    }

    /// From now on no commit copies the log into the database: for the last ones before the end, which must come soon.
    func leaveTheLog() throws(StoreError) { try execute("PRAGMA wal_autocheckpoint = 0") }

    /// Copies the WAL into the database, flushes that, and starts the WAL anew.
    ///
    /// - Parameter mode: `SQLITE_CHECKPOINT_RESTART`, or `..._TRUNCATE` to give its room free too.
    func checkpoint(_ mode: Int32) throws(StoreError) {
        let status = sqlite3_wal_checkpoint_v2(handle, nil, mode, nil, nil)
        guard status == SQLITE_OK else { throw error(status, "checkpoint") }
    }

    /// Bytes of the pages that hold something.
    func usedBytes() throws(StoreError) -> Int {
        let pages = try integer("PRAGMA page_count") ?? 0
        let free = try integer("PRAGMA freelist_count") ?? 0
        return Int(pages - free) * Int(try integer("PRAGMA page_size") ?? Int64(Connection.pageSize))
    }

    func error(_ status: Int32, _ doing: String) -> StoreError {
        let said = handle.map { String(cString: sqlite3_errmsg($0)) } ?? String(cString: sqlite3_errstr(status))
        let number = handle.map { sqlite3_system_errno($0) } ?? 0
        return StoreError(sqliteStatus: status, path: path, cause: "SQLite \(status), errno \(number): \(said), at \(doing)")
    }
}

extension StoreError {
    /// - Parameter status: an extended result code of SQLite.
    init(sqliteStatus status: Int32, path: String, cause: String) {
        switch status & 0xff {
        case SQLITE_CORRUPT, SQLITE_NOTADB:
            self.init(.corrupt, "\(path) is damaged; restart meterd: it sets the file aside and begins a new one", cause: cause)
        case SQLITE_FULL:
            self.init(.full, "\(path): no space left; free some, meterd goes on by itself", cause: cause)
        case SQLITE_IOERR, SQLITE_CANTOPEN, SQLITE_READONLY, SQLITE_PERM, SQLITE_NOLFS, SQLITE_AUTH:
            self.init(.io, "\(path) cannot be read or written; check the disk and the file's owner", cause: cause)
        case SQLITE_NOMEM:
            self.init(.io, "\(path) cannot be read or written: out of memory; free some, meterd tries again", cause: cause)
        case SQLITE_BUSY, SQLITE_LOCKED:
            self.init(.inUse, "\(path) is open in another program; close it, or copy the file and look at the copy", cause: cause)
        default:
            self.init(.sql, "\(path): SQLite refuses a statement of ours; report this with the cause", cause: cause)
        }
    }
}
