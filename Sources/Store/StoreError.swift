/// What went wrong with the store: a code for machines, a sentence with the cure for people, SQLite's own words behind it.
package struct StoreError: Error, Hashable, Sendable {
    package enum Code: String, Hashable, Sendable, CaseIterable {
        /// Another process holds the data directory.
        case inUse = "store_in_use"
        /// The data directory is missing, no directory, or may not be written.
        case directory = "store_directory"
        /// The file was written by a newer meterd; nothing was touched.
        case newer = "store_newer"
        /// The file is a database of another program; nothing was touched.
        case foreign = "store_foreign"
        /// The file is damaged, or lacks a table. The next start sets it aside and begins a new one.
        case corrupt = "store_corrupt"
        /// No space left. The same call works again once there is.
        case full = "store_full"
        /// Reading, writing or flushing failed. The store reopens the file before it does anything else.
        case io = "store_io"
        /// The caller named an output that was never opened, or settled what was not offered.
        case misuse = "store_misuse"
        /// SQLite refuses one of our own statements.
        case sql = "store_sql"
        /// `close()` was called.
        case closed = "store_closed"
    }

    package var code: Code
    /// Names the file and the cure.
    package var message: String
    /// What SQLite or the kernel said, if anything.
    package var cause: String?

    package init(_ code: Code, _ message: String, cause: String? = nil) {
        self.code = code
        self.message = message
        self.cause = cause
    }
}

extension StoreError: CustomStringConvertible {
    package var description: String { cause.map { "\(message) (\($0))" } ?? message }
}
