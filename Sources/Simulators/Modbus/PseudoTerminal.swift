import Glibc

/// A pty pair that stands for an RS-485 line: our end, and a path that a reader opens like /dev/ttyUSB0.
struct PseudoTerminal {
    /// Our end.
    let descriptor: Int32
    /// The reader's end, e.g. /dev/pts/4.
    let path: String
    /// A symbolic link to it under a name that stays, if one was wanted.
    let link: String?

    // TIOCSPTLCK and TIOCGPTN, what unlockpt and ptsname use; Swift imports neither these macros nor those functions.
    private static let setLock: UInt = 0x4004_5431
    private static let getNumber: UInt = 0x8004_5430

    /// - Parameter link: replaced if it is a symbolic link; anything else there is an error.
    init(link: String?) throws(SimulatorError) {
        let descriptor = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC)
        guard descriptor >= 0 else { throw SimulatorError(.unavailable, "cannot make a pty", errorNumber: errno) }
        var unlocked: Int32 = 0
        var number: UInt32 = 0
        guard ioctl(descriptor, PseudoTerminal.setLock, &unlocked) == 0, ioctl(descriptor, PseudoTerminal.getNumber, &number) == 0 else {
            let failure = errno
            close(descriptor)
            throw SimulatorError(.unavailable, "cannot make a pty", errorNumber: failure)
        }
        // Raw from the start: in the kernel's default mode the line would echo what we send.
        var settings = termios()
        tcgetattr(descriptor, &settings)
        cfmakeraw(&settings)
        tcsetattr(descriptor, TCSANOW, &settings)
        self.descriptor = descriptor
        path = "/dev/pts/\(number)"
        self.link = link
        if let link {
            do throws(SimulatorError) {
                try PseudoTerminal.place(link, to: path)
            } catch {
                close(descriptor)
                throw error
            }
        }
    }

    private static func place(_ link: String, to path: String) throws(SimulatorError) {
        var status = stat()
        if lstat(link, &status) == 0 {
            guard status.st_mode & S_IFMT == S_IFLNK else {
                throw SimulatorError(.unavailable, "\(link) is there and no symbolic link; choose another name")
            }
            unlink(link)
        }
        guard symlink(path, link) == 0 else { throw SimulatorError(.unavailable, "cannot make the link \(link)", errorNumber: errno) }
    }

    /// Removes the link, if it is still ours, and hangs up.
    func end() {
        if let link {
            var target = [UInt8](repeating: 0, count: 128)
            let count = target.withUnsafeMutableBytes { room in
                room.bindMemory(to: CChar.self).baseAddress.map { readlink(link, $0, room.count) } ?? -1
            }
            if count > 0, String(decoding: target[..<count], as: UTF8.self) == path { unlink(link) }
        }
        close(descriptor)
    }
}
