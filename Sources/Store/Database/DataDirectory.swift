import Glibc
import Host
import Metering

/// The directory that holds the journal's files, held by one process at a time.
final class DataDirectory {
    let path: String
    private var lock: Int32 = -1

    var journal: String { path + "/journal.db" }
    /// Made when damage was met while running; the next start then checks the whole file.
    var suspicion: String { path + "/journal.db.suspect" }

    /// Room that stands by for a full disk.
    var ballast: String { path + "/ballast" }
    /// What was salvaged from a damaged journal, until it takes its place.
    var salvaged: String { path + "/journal.db.new" }

    /// Takes the lock.
    init(path: String) throws(StoreError) {
        self.path = path
        var facts = stat()
        guard stat(path, &facts) == 0, facts.st_mode & S_IFMT == S_IFDIR else {
            throw StoreError(.directory, "\(path) is no directory; create it, owned by the user meterd runs as", cause: lastErrno())
        }
        lock = open(path + "/lock", O_RDWR | O_CREAT | O_CLOEXEC, 0o640)
        guard lock >= 0 else { throw StoreError(directory: path, refusedWith: errno) }
        guard flock(lock, LOCK_EX | LOCK_NB) == 0 else {
            let holder = DataDirectory.head(of: path + "/lock", count: 16).flatMap { Int(String(decoding: $0, as: UTF8.self).trimmed) }
            close(lock)
            lock = -1
            let who = holder.map { "process \($0)" } ?? "another process"
            throw StoreError(.inUse, "\(path) is in use by \(who); stop that meterd first, or set another gateway.data_directory")
        }
        let pid = Array("\(getpid())\n".utf8)
        ftruncate(lock, 0)
        pwrite(lock, pid, pid.count, 0)
    }

    deinit { release() }

    func release() {
        DataDirectory.giveBack(lock)
        lock = -1
    }

    /// Gives the lock back, not only this hold on it: a child that is being started has a copy of the descriptor until it is another
    /// program, and the lock would last as long.
    ///
    /// - Parameter lock: -1 for none.
    static func giveBack(_ lock: Int32) {
        guard lock >= 0 else { return }
        flock(lock, LOCK_UN)
        close(lock)
    }

    /// What is wrong with the file's first 100 bytes; nil for a new file and for one that looks like ours. An empty file beside a full log
    /// is no new one: SQLite would delete that log.
    ///
    /// - Source: SQLite "Database File Format", 1.3: magic at 0, write and read version at 18 and 19, schema format at 44, text
    ///   encoding at 56, user version at 60, application id at 68, big endian.
    /// - Throws: `.newer` and `.foreign`, before SQLite has touched anything.
    func headerDamage() throws(StoreError) -> String? {
        guard let header = DataDirectory.head(of: journal, count: 100), !header.isEmpty else {
            let isOnlyLog = journalBytes == 0 && LogFrames.holdsMore(journal + "-wal")
            return isOnlyLog ? "the database is empty or gone, its write-ahead log is not" : nil
        }
        guard header.count == 100, header.starts(with: Array("SQLite format 3\0".utf8)) else { return "not a database" }
        // What no SQLite ever wrote: it would take such a file for one of a later version, and refuse it.
        guard (1...2).contains(header[18]), (1...2).contains(header[19]) else { return "the database header is damaged" }
        func number(at offset: Int) -> Int64 { header[offset..<offset + 4].reduce(Int64(0)) { $0 << 8 | Int64($1) } }
        // A file that was created and not yet written by its first checkpoint has zeros there.
        guard number(at: 60) != 0 || number(at: 68) != 0 else { return nil }
        // One byte off ours is our own mark, damaged; and no meterd ever wrote a format of more than one byte.
        let difference = UInt32(truncatingIfNeeded: number(at: 68) ^ Schema.applicationID)
        let isOneByteOff = difference != 0 && (0..<4).contains { difference & ~(0xff << (8 * $0)) == 0 }
        guard !isOneByteOff, number(at: 60) <= 255, number(at: 44) <= 4, number(at: 56) <= 3 else {
            return "the database header is damaged"
        }
        try Schema.refuseForeign(number(at: 68), path: journal)
        try Schema.refuseNewer(Int(number(at: 60)), path: journal)
        return nil
    }

    var journalBytes: Int {
        var facts = stat()
        return stat(journal, &facts) == 0 ? Int(facts.st_size) : 0
    }

    /// Gives the damaged files names of their own. Returns the new name of the journal.
    ///
    /// - Parameter successor: whether a salvaged journal stands ready to take its place, and does so here. A cut on the way is no harm:
    ///   without a journal the next start takes the salvaged one.
    func setAside(at time: Timestamp, successor: Bool) throws(StoreError) -> String {
        let target = asideName(at: time)
        // Without a successor the WAL first: a cut between the two must not leave it to be replayed into a new database. With one the
        // journal first: a cut must not leave it without its WAL, as if nothing had been damaged.
        for suffix in successor ? ["", "-wal", "-shm"] : ["-wal", "-shm", ""] { try move(journal + suffix, to: target + suffix) }
        if successor {
            sync()
            try move(salvaged, to: journal)
        }
        unlink(suspicion)
        sync()
        return target
    }

    /// Ends what a cut interrupted: a salvaged journal takes the free place, or goes when the damaged one still stands there.
    func finishSettingAside(at time: Timestamp) throws(StoreError) {
        guard access(salvaged, F_OK) == 0 else { return }
        if access(journal, F_OK) == 0 {
            removeSalvaged()
        } else {
            try move(journal + "-wal", to: asideName(at: time) + "-wal")
            try move(salvaged, to: journal)
            sync()
        }
    }

    /// Makes an empty journal where there is none, so that a salvaged one which is only half made is not taken for its successor.
    func holdPlace() throws(StoreError) {
        let file = open(journal, O_WRONLY | O_CREAT | O_CLOEXEC, 0o640)
        guard file >= 0 else { throw StoreError(directory: path, refusedWith: errno) }
        close(file)
        sync()
    }

    func removeSalvaged() {
        for suffix in ["", "-wal", "-journal"] { unlink(salvaged + suffix) }
    }

    /// Its log is empty once all was copied.
    func removeSalvagedLog() { unlink(salvaged + "-wal") }

    private func asideName(at time: Timestamp) -> String {
        let stamp = time.rfc3339.filter { $0 != "-" && $0 != ":" }
        var target = "\(journal).corrupt-\(stamp)"
        var copy = 1
        while access(target, F_OK) == 0 || access(target + "-wal", F_OK) == 0 {
            copy += 1
            target = "\(journal).corrupt-\(stamp)-\(copy)"
        }
        return target
    }

    private func move(_ source: String, to target: String) throws(StoreError) {
        guard access(source, F_OK) == 0 else { return }
        guard rename(source, target) == 0 else {
            throw StoreError(.directory, "\(source) cannot be renamed; check the owner of \(path)", cause: lastErrno())
        }
    }

    /// Bytes that may still be written; nil when the file system does not say.
    var freeBytes: Int64? {
        var facts = statvfs()
        guard statvfs(path, &facts) == 0 else { return nil }
        return Int64(clamping: UInt64(facts.f_bavail).multipliedReportingOverflow(by: UInt64(facts.f_frsize)).partialValue)
    }

    /// Returns whether there was one.
    func dropBallast() -> Bool { unlink(ballast) == 0 }

    /// All or nothing: half a ballast is none.
    func makeBallast(_ bytes: Int) -> Bool {
        let file = open(ballast, O_WRONLY | O_CREAT | O_CLOEXEC, 0o640)
        guard file >= 0 else { return false }
        let failure = posix_fallocate(file, 0, off_t(bytes))
        close(file)
        if failure != 0 { unlink(ballast) }
        return failure == 0
    }

    var hasBallast: Bool { access(ballast, F_OK) == 0 }

    func markSuspect() {
        let file = open(suspicion, O_WRONLY | O_CREAT | O_CLOEXEC, 0o640)
        if file >= 0 { close(file) }
    }

    var isSuspect: Bool { access(suspicion, F_OK) == 0 }
    func clearSuspicion() { unlink(suspicion) }

    /// Makes new names in the directory survive a power cut.
    func sync() {
        let directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard directory >= 0 else { return }
        fsync(directory)
        close(directory)
    }

    /// The first bytes of a file; nil when it cannot be read.
    static func head(of path: String, count: Int) -> [UInt8]? {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return nil }
        defer { close(file) }
        var bytes = [UInt8](repeating: 0, count: count)
        let got = read(file, &bytes, count)
        return got < 0 ? nil : Array(bytes[..<got])
    }

    /// Names this start of the machine; empty where the kernel does not say.
    static func bootID() -> String {
        head(of: "/proc/sys/kernel/random/boot_id", count: 64).map { String(decoding: $0, as: UTF8.self).trimmed } ?? ""
    }
}

func lastErrno() -> String { String(cString: strerror(errno)) }

extension StoreError {
    /// No file can be made in the directory.
    package init(directory path: String, refusedWith error: Int32) {
        let cause = String(cString: strerror(error))
        switch error {
        case ENOSPC, EDQUOT: self.init(.full, "\(path): no space left; free some, meterd goes on by itself", cause: cause)
        case EROFS:
            let cure = "check the disk, and that the unit allows the place (ReadWritePaths=): sudo meterctl doctor"
            self.init(.io, "\(path) is read-only; \(cure); meterd tries again", cause: cause)
        case EIO: self.init(.io, "\(path) cannot be written; check the disk, meterd tries again", cause: cause)
        default: self.init(.directory, "\(path) cannot be written; give it to the user meterd runs as", cause: cause)
        }
    }
}

extension String {
    fileprivate var trimmed: String { String(filter { !$0.isWhitespace && $0 != "\0" }) }
}
