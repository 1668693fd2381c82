import Glibc

/// Keeps a serial port to ourselves: two programs that read one line take each other's answers.
package enum ExclusivePort {
    // Swift's Glibc does not import these; the values are the same on all of Debian's architectures but alpha, mips, ppc and sparc.
    private static let setExclusive: UInt = 0x540C  // TIOCEXCL
    private static let unsetExclusive: UInt = 0x540D  // TIOCNXCL
    /// Locks of other files that are looked at for the holder's name.
    private static let lockTableLimit = 65_536

    /// Locks an open port against programs that look (flock) and those that do not (TIOCEXCL).
    static func claim(_ descriptor: Int32, path: String) throws(BusError) {
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            let failure = errno
            guard failure == EWOULDBLOCK else { throw BusError.system(failure, on: path) }
            throw BusError.busy(path, holder: holder(of: descriptor))
        }
        _ = ioctl(descriptor, setExclusive)
    }

    /// The flag stays with a port that others have open; so it is taken back.
    static func release(_ descriptor: Int32) { _ = ioctl(descriptor, unsetExclusive) }

    /// Name and process of whoever has locked the port at this path, as far as the kernel tells; nobody opens the port for it.
    package static func holder(ofPath path: String) -> String? {
        var status = stat()
        return stat(path, &status) == 0 ? holder(of: status) : nil
    }

    private static func holder(of descriptor: Int32) -> String? {
        var status = stat()
        return fstat(descriptor, &status) == 0 ? holder(of: status) : nil
    }

    private static func holder(of status: stat) -> String? {
        guard let table = text("/proc/locks"), let process = process(locking: status.st_ino, onDevice: status.st_dev, in: table)
        else { return nil }
        let name = text("/proc/\(process)/comm").map { String($0.split(separator: "\n").first ?? "") } ?? "a program"
        return "\(name), process \(process)"
    }

    /// - Source: makedev(3), which packs them.
    package static func numbers(of device: UInt) -> (major: UInt, minor: UInt) {
        ((device >> 8 & 0xFFF) | (device >> 32 & ~0xFFF), (device & 0xFF) | (device >> 12 & ~0xFF))
    }

    /// Who has locked the file of this number on the file system of this device number. Other file systems have files of the same number:
    /// each container has a first pseudo terminal of its own.
    ///
    /// - Source: proc(5), /proc/locks; the device number is the kernel's major and minor number in hexadecimal.
    package static func process(locking inode: UInt, onDevice device: UInt, in table: String) -> Int32? {
        let (major, minor) = numbers(of: device)
        let file = "\(hexadecimal(major)):\(hexadecimal(minor)):\(inode)"
        // 2: FLOCK  ADVISORY  WRITE 4711 00:18:5 0 EOF
        for line in table.split(separator: "\n") {
            let fields = line.split(separator: " ")
            if fields.count >= 6, fields[1] == "FLOCK", fields[5] == file, let process = Int32(fields[4]) { return process }
        }
        return nil
    }

    /// In two digits at least.
    private static func hexadecimal(_ number: UInt) -> String { (number < 16 ? "0" : "") + String(number, radix: 16) }

    private static func text(_ path: String) -> String? {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return nil }
        defer { close(file) }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 4096)
        while bytes.count < lockTableLimit {
            let count = read(file, &buffer, buffer.count)
            guard count > 0 else { break }
            bytes += buffer[..<count]
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
