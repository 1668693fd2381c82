import Glibc
import Host
import Logging
import Metering

extension Store {
    /// Opens the journal of a daemon that does not run, to be read: no byte of the directory changes. While it is open no daemon can start
    /// on it, for that would write under the reader's eyes.
    ///
    /// - Throws: `.inUse` when a daemon runs on it; `.directory` when it is not there, may not be read or is of an older format; `.newer` and
    ///   `.foreign`; `.corrupt`, which a start of the daemon mends; `.io`.
    package static func openToRead(directory: String, time: any TimeSource, logger: Logger) async throws(StoreError) -> Store {
        let store = Store(directory: directory, outputs: [], limits: StoreLimits(), time: time, fileSystem: nil, logger: logger)
        try await store.startReading()
        return store
    }

    private func startReading() throws(StoreError) {
        let path = directory + "/journal.db"
        guard access(path, R_OK) == 0 else {
            throw StoreError(
                .directory, "\(path) cannot be read; name the data directory with --data, and run as root or the user meterd runs as",
                cause: lastErrno())
        }
        readLock = try ReadLock(directory: directory)
        let connection = try Connection(reading: path)
        do throws(StoreError) {
            try Schema.check(connection)
            let version = try connection.integer("PRAGMA user_version") ?? 0
            guard version == Schema.migrations.count else {
                throw StoreError(
                    .directory, "\(path) was written by an older meterd (format \(version)); start meterd once, which brings it up")
            }
            try load(connection)
        } catch {
            self.connection = nil
            connection.closeUntouched()
            throw error
        }
        isStarted = true
    }
}

/// Holds off a daemon, as one holds off another, without writing anything.
final class ReadLock {
    private var descriptor: Int32

    init(directory: String) throws(StoreError) {
        descriptor = open(directory + "/lock", O_RDONLY | O_CLOEXEC)
        // A copy of a data directory may lack it.
        guard descriptor >= 0 else { return }
        guard flock(descriptor, LOCK_SH | LOCK_NB) == 0 else {
            close(descriptor)
            descriptor = -1
            throw StoreError(.inUse, "\(directory) is in use by a meterd that does not answer; stop it, or try again")
        }
    }

    deinit { DataDirectory.giveBack(descriptor) }
}
