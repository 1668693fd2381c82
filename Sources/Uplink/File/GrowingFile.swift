import Glibc

/// A file that grows by whole pieces: a piece is on the disk for good when `append` returns, and not in the file when it throws.
struct GrowingFile: ~Copyable {
    let path: String
    private(set) var length: Int
    private let descriptor: Int32

    /// Opens it, or makes it.
    init(path: String) throws(FileFault) {
        self.path = path
        descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o640)
        guard descriptor >= 0 else { throw FileFault("opened", path) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else {
            let fault = FileFault("opened", path)
            close(descriptor)
            throw fault
        }
        length = Int(status.st_size)
    }

    deinit { close(descriptor) }

    mutating func append(_ bytes: [UInt8]) throws(FileFault) {
        var written = 0
        while written < bytes.count {
            let count = bytes.withUnsafeBytes {
                pwrite(descriptor, $0.baseAddress?.advanced(by: written), $0.count - written, length + written)
            }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw undo(FileFault("written", path, count == 0 ? ENOSPC : errno)) }
            written += count
        }
        guard fdatasync(descriptor) == 0 else { throw undo(FileFault("flushed", path)) }
        length += bytes.count
    }

    /// Cuts it; what is cut off is gone for good.
    mutating func cut(to newLength: Int) throws(FileFault) {
        guard ftruncate(descriptor, off_t(newLength)) == 0, fdatasync(descriptor) == 0 else { throw FileFault("cut", path) }
        length = newLength
    }

    /// What stands from `offset` on: so many bytes, or what there is up to the end.
    func bytes(at offset: Int, limit: Int) throws(FileFault) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: max(0, min(limit, length - offset)))
        var count = 0
        while count < bytes.count {
            let got = bytes.withUnsafeMutableBytes {
                pread(descriptor, $0.baseAddress?.advanced(by: count), $0.count - count, off_t(offset + count))
            }
            if got < 0, errno == EINTR { continue }
            guard got > 0 else { throw FileFault("read", path, got == 0 ? EIO : errno) }
            count += got
        }
        return bytes
    }

    private func undo(_ fault: FileFault) -> FileFault {
        _ = ftruncate(descriptor, off_t(length))
        return fault
    }
}

/// What the file system said.
struct FileFault: Error, CustomStringConvertible {
    var done: String
    var path: String
    var code: Int32

    init(_ done: String, _ path: String, _ code: Int32 = errno) {
        self.done = done
        self.path = path
        self.code = code
    }

    var description: String { "\(path) cannot be \(done): \(String(cString: strerror(code)))" }

    /// The file would become larger than files may be.
    var isTooLarge: Bool { code == EFBIG }

    /// Full disks are emptied and broken ones come back; for these someone must mend the configuration.
    var isConfigurationFault: Bool { [EACCES, EPERM, ENOENT, ENOTDIR, EISDIR, ELOOP, ENAMETOOLONG, EROFS].contains(code) }
}
