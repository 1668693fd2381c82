/// The tables, and how an older file becomes a newer one. docs/storage.md describes every column.
enum Schema {
    /// `metd`: tells our files from other programs' databases.
    static let applicationID: Int64 = 0x6d65_7464

    /// The file's `user_version` is the number of steps done. A step that was ever released never changes; new ones are added at the end.
    static let migrations = [
        """
        CREATE TABLE journal (
            one INTEGER PRIMARY KEY CHECK (one = 1),
            journal_id TEXT NOT NULL,
            created INTEGER NOT NULL,
            last_seq INTEGER NOT NULL,
            polls INTEGER NOT NULL,
            readings INTEGER NOT NULL,
            lost_polls INTEGER NOT NULL,
            lost_readings INTEGER NOT NULL,
            commits INTEGER NOT NULL
        ) STRICT;
        CREATE TABLE run (
            id INTEGER PRIMARY KEY,
            boot TEXT NOT NULL,
            opened INTEGER NOT NULL,
            opened_uptime INTEGER NOT NULL
        ) STRICT;
        CREATE TABLE catalog (
            id INTEGER PRIMARY KEY,
            fingerprint BLOB NOT NULL UNIQUE,
            device TEXT NOT NULL,
            unit INTEGER NOT NULL,
            role TEXT NOT NULL,
            invert INTEGER NOT NULL,
            profile TEXT NOT NULL,
            profile_text TEXT NOT NULL
        ) STRICT;
        CREATE TABLE chunk (
            first_seq INTEGER PRIMARY KEY,
            last_seq INTEGER NOT NULL,
            run INTEGER NOT NULL,
            polls INTEGER NOT NULL,
            readings INTEGER NOT NULL,
            first_time INTEGER NOT NULL,
            last_time INTEGER NOT NULL,
            body BLOB NOT NULL
        ) STRICT;
        CREATE TABLE output (
            id INTEGER PRIMARY KEY,
            name TEXT NOT NULL UNIQUE,
            cursor INTEGER NOT NULL,
            pending_end INTEGER NOT NULL,
            horizon INTEGER NOT NULL,
            accepted INTEGER NOT NULL,
            rejected INTEGER NOT NULL,
            dead_letters INTEGER NOT NULL,
            dead_letters_dropped INTEGER NOT NULL
        ) STRICT;
        CREATE TABLE dead_letter (
            output INTEGER NOT NULL,
            seq INTEGER NOT NULL,
            reason TEXT NOT NULL,
            rejected INTEGER NOT NULL,
            run INTEGER,
            body BLOB,
            PRIMARY KEY (output, seq)
        ) STRICT, WITHOUT ROWID;
        CREATE TABLE loss (
            id INTEGER PRIMARY KEY,
            cause TEXT NOT NULL,
            first_seq INTEGER,
            last_seq INTEGER,
            polls INTEGER NOT NULL,
            readings INTEGER NOT NULL,
            first_time INTEGER NOT NULL,
            last_time INTEGER NOT NULL,
            recorded INTEGER NOT NULL
        ) STRICT;
        """,
        """
        ALTER TABLE run ADD COLUMN first_seq INTEGER;
        UPDATE run SET first_seq = (SELECT min(first_seq) FROM chunk WHERE chunk.run = run.id);
        CREATE TABLE event (
            id INTEGER PRIMARY KEY,
            run INTEGER NOT NULL,
            kind TEXT NOT NULL,
            uptime INTEGER NOT NULL,
            wall INTEGER NOT NULL,
            step INTEGER NOT NULL
        ) STRICT;
        """,
        """
        ALTER TABLE output ADD COLUMN paused INTEGER NOT NULL DEFAULT 0;
        ALTER TABLE dead_letter ADD COLUMN replay INTEGER NOT NULL DEFAULT 0;
        """,
        """
        ALTER TABLE output ADD COLUMN filtered INTEGER NOT NULL DEFAULT 0;
        ALTER TABLE output ADD COLUMN lanes TEXT NOT NULL DEFAULT '';
        """,
        // From here on chunks may be of version 2, which an older meterd would take for damage.
        """
        ALTER TABLE run ADD COLUMN restored_from TEXT;
        """,
    ]

    static var version: Int { migrations.count }

    /// Refuses what is not ours to write. Call it before anything is written.
    ///
    /// - Throws: `.newer`, `.foreign`.
    static func check(_ connection: Connection, steps: [String] = migrations) throws(StoreError) {
        let tables = try connection.integer("SELECT count(*) FROM sqlite_schema") ?? 0
        if tables > 0 { try refuseForeign(try connection.integer("PRAGMA application_id") ?? 0, path: connection.path) }
        try refuseNewer(Int(try connection.integer("PRAGMA user_version") ?? 0), known: steps.count, path: connection.path)
    }

    /// Brings the file to the newest version, each step in a transaction of its own. Returns the version it had; 0 is a new file.
    ///
    /// - Parameter steps: the product's, or a test's.
    @discardableResult
    static func migrate(
        _ connection: Connection, created: Int64, journalID: String, steps: [String] = migrations
    ) throws(StoreError) -> Int {
        let version = Int(try connection.integer("PRAGMA user_version") ?? 0)
        try checkWhole(connection, steps: Array(steps.prefix(version)))
        for step in version..<max(version, steps.count) {
            try connection.transaction { () throws(StoreError) in
                try connection.execute(steps[step])
                if step == 0 {
                    try connection.execute("PRAGMA application_id = \(applicationID)")
                    try connection.run(
                        "INSERT INTO journal VALUES (1, ?, ?, 0, 0, 0, 0, 0, 0)", .text(journalID), .integer(created))
                }
                try connection.execute("PRAGMA user_version = \(step + 1)")
            }
        }
        return version
    }

    /// Holds the tables and columns of a file against those that its steps made.
    ///
    /// - Throws: `.corrupt` when one is missing: that, and not just any refusal of a statement, is damage.
    private static func checkWhole(_ connection: Connection, steps: [String]) throws(StoreError) {
        guard !steps.isEmpty else { return }
        let model = try Connection(path: ":memory:")
        defer { model.close() }
        for step in steps { try model.execute(step) }
        let missing = try columns(of: model).subtracting(try columns(of: connection))
        guard let first = missing.min() else { return }
        throw StoreError(
            .corrupt, "\(connection.path) is damaged; restart meterd: it sets the file aside and begins a new one",
            cause: "\(first) is missing or another")
    }

    /// `table.column TYPE`, the primary key marked.
    private static func columns(of connection: Connection) throws(StoreError) -> Set<String> {
        let statement = try connection.statement(
            """
            SELECT tables.name || '.' || columns.name || ' ' || columns.type || CASE WHEN columns.pk > 0 THEN ' key' ELSE '' END
            FROM sqlite_schema AS tables JOIN pragma_table_info(tables.name) AS columns WHERE tables.type = 'table'
            """)
        defer { statement.reset() }
        var found: Set<String> = []
        while try statement.step() { found.insert(statement.text(0)) }
        return found
    }

    static func refuseNewer(_ version: Int, known: Int = migrations.count, path: String) throws(StoreError) {
        guard version > known else { return }
        throw StoreError(
            .newer,
            "\(path) has format \(version), this meterd knows up to \(known); install the newer meterd again, "
                + "or move the file away to begin a new one")
    }

    static func refuseForeign(_ application: Int64, path: String) throws(StoreError) {
        guard application != applicationID else { return }
        throw StoreError(.foreign, "\(path) is a database of another program; set gateway.data_directory to a directory of its own")
    }
}
