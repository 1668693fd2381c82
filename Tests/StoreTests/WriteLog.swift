import CSQLite
import Host

@testable import Store

/// What SQLite did to the files, call by call, seen by a VFS of its own that passes everything on to the default one. Only the flushes
/// are not passed on: they are what the log is about, and cost time.
final class WriteLog: Sendable {
    enum Entry: Hashable, Sendable {
        case create(String)
        case delete(String)
        case write(String, offset: Int, bytes: [UInt8])
        case truncate(String, size: Int)
        case sync(String)
    }

    /// What the disk answers to a call on a file whose name ends so, once that many such calls have passed; a write that fails writes
    /// nothing, of a flush that fails nobody knows what is on the disk.
    struct Fault: Hashable, Sendable {
        enum Call: Hashable, Sendable { case write, sync }
        var call: Call
        var suffix: String
        var status: Int32
        var after = 0
        /// So many calls fail, then all is well.
        var times = 1
    }

    /// The name to open a store with.
    let name: String
    private let log = Lock<[Entry]>([])
    private let fault = Lock<Fault?>(nil)
    private let readCalls = Lock(0)

    var entries: [Entry] { log.withLock { $0 } }
    var count: Int { log.withLock { $0.count } }
    /// So often was a page, or a part of one, asked of the disk.
    var reads: Int { readCalls.withLock { $0 } }

    init?() {
        name = "log-" + randomHex(bytes: 6)
        guard let base = sqlite3_vfs_find(nil) else { return nil }
        // SQLite holds both for ever, so neither is freed.
        let own = UnsafeMutablePointer<sqlite3_vfs>.allocate(capacity: 1)
        own.initialize(to: base.pointee)
        own.pointee.zName = LoggedFile.lasting(name)
        own.pointee.pAppData = Unmanaged.passRetained(self).toOpaque()
        own.pointee.szOsFile = base.pointee.szOsFile + Int32(LoggedFile.realOffset)
        own.pointee.xOpen = LoggedFile.open
        own.pointee.xDelete = LoggedFile.delete
        guard sqlite3_vfs_register(own, 0) == SQLITE_OK else { return nil }
    }

    func append(_ entry: Entry) { log.withLock { $0.append(entry) } }
    func countRead() { readCalls.withLock { $0 += 1 } }

    func set(_ fault: Fault?) { self.fault.withLock { $0 = fault } }
    var hasFaultLeft: Bool { fault.withLock { $0 != nil } }

    /// SQLITE_OK, or how the call fails.
    func status(of call: Fault.Call, on file: String) -> Int32 {
        fault.withLock { fault in
            guard let due = fault, due.call == call, file.hasSuffix(due.suffix) else { return SQLITE_OK }
            guard due.after == 0 else {
                fault?.after -= 1
                return SQLITE_OK
            }
            fault?.times -= 1
            if due.times <= 1 { fault = nil }
            return due.status
        }
    }
}

/// The sqlite3_file of a logged file: this head, and behind it the file of the default VFS.
private struct LoggedFile {
    var methods: UnsafePointer<sqlite3_io_methods>?
    var log: Unmanaged<WriteLog>
    /// Its name without the directory, for ever in memory.
    var name: UnsafePointer<CChar>

    static let realOffset = 64

    static func lasting(_ text: String) -> UnsafePointer<CChar> {
        let copy = UnsafeMutablePointer<CChar>.allocate(capacity: text.utf8.count + 1)
        for (index, byte) in text.utf8CString.enumerated() { copy[index] = byte }
        return UnsafePointer(copy)
    }

    static func lastPart(_ path: UnsafePointer<CChar>?) -> String {
        path.map { String(String(cString: $0).split(separator: "/").last ?? "") } ?? ""
    }

    static func head(_ file: UnsafeMutablePointer<sqlite3_file>?) -> LoggedFile? {
        file.map { UnsafeRawPointer($0).load(as: LoggedFile.self) }
    }

    static func real(_ file: UnsafeMutablePointer<sqlite3_file>?) -> UnsafeMutablePointer<sqlite3_file>? {
        file.map { (UnsafeMutableRawPointer($0) + realOffset).assumingMemoryBound(to: sqlite3_file.self) }
    }

    static func note(_ file: UnsafeMutablePointer<sqlite3_file>?, _ entry: (String) -> WriteLog.Entry) {
        guard let head = head(file) else { return }
        head.log.takeUnretainedValue().append(entry(String(cString: head.name)))
    }

    static func status(_ file: UnsafeMutablePointer<sqlite3_file>?, of call: WriteLog.Fault.Call) -> Int32 {
        head(file).map { $0.log.takeUnretainedValue().status(of: call, on: String(cString: $0.name)) } ?? SQLITE_IOERR
    }

    static let open:
        @convention(c) (
            UnsafeMutablePointer<sqlite3_vfs>?, UnsafePointer<CChar>?, UnsafeMutablePointer<sqlite3_file>?, Int32,
            UnsafeMutablePointer<Int32>?
        ) -> Int32 = { vfs, path, file, flags, outFlags in
            guard let base = sqlite3_vfs_find(nil), let file, let app = vfs?.pointee.pAppData, let real = real(file) else {
                return SQLITE_CANTOPEN
            }
            let log = Unmanaged<WriteLog>.fromOpaque(app)
            var exists: Int32 = 0
            _ = base.pointee.xAccess(base, path, SQLITE_ACCESS_EXISTS, &exists)
            let status = base.pointee.xOpen(base, path, real, flags, outFlags)
            let name = lastPart(path)
            if status == SQLITE_OK, exists == 0, !name.isEmpty { log.takeUnretainedValue().append(.create(name)) }
            let methods = status == SQLITE_OK ? UnsafePointer(LoggedFile.methods) : nil
            UnsafeMutableRawPointer(file).storeBytes(
                of: LoggedFile(methods: methods, log: log, name: lasting(name)), as: LoggedFile.self)
            return status
        }

    static let delete: @convention(c) (UnsafeMutablePointer<sqlite3_vfs>?, UnsafePointer<CChar>?, Int32) -> Int32 = { vfs, path, sync in
        guard let base = sqlite3_vfs_find(nil), let app = vfs?.pointee.pAppData else { return SQLITE_IOERR }
        Unmanaged<WriteLog>.fromOpaque(app).takeUnretainedValue().append(.delete(lastPart(path)))
        return base.pointee.xDelete(base, path, 0)
    }

    /// Version 1: no shared memory and no mapping, which the store uses neither of.
    nonisolated(unsafe) static let methods: UnsafeMutablePointer<sqlite3_io_methods> = {
        let own = UnsafeMutablePointer<sqlite3_io_methods>.allocate(capacity: 1)
        own.initialize(to: sqlite3_io_methods())
        own.pointee.iVersion = 1
        own.pointee.xClose = { real($0).map { $0.pointee.pMethods.pointee.xClose($0) } ?? SQLITE_IOERR }
        own.pointee.xRead = { file, bytes, count, offset in
            head(file)?.log.takeUnretainedValue().countRead()
            return real(file).map { $0.pointee.pMethods.pointee.xRead($0, bytes, count, offset) } ?? SQLITE_IOERR
        }
        own.pointee.xWrite = { file, bytes, count, offset in
            let status = status(file, of: .write)
            guard status == SQLITE_OK else { return status }
            let copy = [UInt8](UnsafeRawBufferPointer(start: bytes, count: Int(count)))
            note(file) { .write($0, offset: Int(offset), bytes: copy) }
            return real(file).map { $0.pointee.pMethods.pointee.xWrite($0, bytes, count, offset) } ?? SQLITE_IOERR
        }
        own.pointee.xTruncate = { file, size in
            note(file) { .truncate($0, size: Int(size)) }
            return real(file).map { $0.pointee.pMethods.pointee.xTruncate($0, size) } ?? SQLITE_IOERR
        }
        own.pointee.xSync = { file, _ in
            note(file) { .sync($0) }
            return status(file, of: .sync)
        }
        own.pointee.xFileSize = { file, size in real(file).map { $0.pointee.pMethods.pointee.xFileSize($0, size) } ?? SQLITE_IOERR }
        own.pointee.xLock = { file, level in real(file).map { $0.pointee.pMethods.pointee.xLock($0, level) } ?? SQLITE_IOERR }
        own.pointee.xUnlock = { file, level in real(file).map { $0.pointee.pMethods.pointee.xUnlock($0, level) } ?? SQLITE_IOERR }
        own.pointee.xCheckReservedLock = { file, isHeld in
            real(file).map { $0.pointee.pMethods.pointee.xCheckReservedLock($0, isHeld) } ?? SQLITE_IOERR
        }
        own.pointee.xFileControl = { file, operation, argument in
            real(file).map { $0.pointee.pMethods.pointee.xFileControl($0, operation, argument) } ?? SQLITE_IOERR
        }
        own.pointee.xSectorSize = { real($0).map { $0.pointee.pMethods.pointee.xSectorSize($0) } ?? 4096 }
        own.pointee.xDeviceCharacteristics = { real($0).map { $0.pointee.pMethods.pointee.xDeviceCharacteristics($0) } ?? 0 }
        return own
    }()
}
