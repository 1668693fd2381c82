import CSQLite
import Host

/// A VFS that passes everything on to the default one, but for opening files whose name ends so: that fails as it is told to.
final class FailingDisk: Sendable {
    /// The name to open a store with.
    let name: String
    private let fault = Lock<(suffix: String, status: Int32)?>(nil)

    init?() {
        name = "failing-\(UInt64.random(in: 0 ... .max))"
        guard let base = sqlite3_vfs_find(nil) else { return nil }
        // SQLite holds all of them for ever, so none is freed.
        let own = UnsafeMutablePointer<sqlite3_vfs>.allocate(capacity: 1)
        let lasting = UnsafeMutablePointer<CChar>.allocate(capacity: name.utf8.count + 1)
        for (index, byte) in name.utf8CString.enumerated() { lasting[index] = byte }
        own.initialize(to: base.pointee)
        own.pointee.zName = UnsafePointer(lasting)
        own.pointee.pAppData = Unmanaged.passRetained(self).toOpaque()
        own.pointee.xOpen = { vfs, path, file, flags, outFlags in
            guard let base = sqlite3_vfs_find(nil), let app = vfs?.pointee.pAppData else { return SQLITE_CANTOPEN }
            let disk = Unmanaged<FailingDisk>.fromOpaque(app).takeUnretainedValue()
            if let path, let fault = disk.fault.withLock({ $0 }), String(cString: path).hasSuffix(fault.suffix) {
                file?.pointee.pMethods = nil
                return fault.status
            }
            return base.pointee.xOpen(base, path, file, flags, outFlags)
        }
        guard sqlite3_vfs_register(own, 0) == SQLITE_OK else { return nil }
    }

    func fail(opening suffix: String, with status: Int32) { fault.withLock { $0 = (suffix, status) } }
    func heal() { fault.withLock { $0 = nil } }
}
