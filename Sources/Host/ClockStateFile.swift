import Glibc
import Metering

/// What the companion publishes for a daemon that may not ask the kernel: one small file, replaced whole, that counts for a short while.
///
///     meterd-clock 1
///     asked_boottime_us 8123456789        when the kernel was asked, by CLOCK_BOOTTIME
///     synchronized yes                    yes, no
///     max_error_us 15000
package struct ClockStateFile: Hashable, Sendable {
    /// The runtime directory of meterd-clock.service, on a tmpfs.
    package static let standardPath = "/run/meterd-clock/state"
    package static let name = "state"
    /// How often the kernel is asked and the file replaced.
    package static let interval: Duration = .seconds(2)
    /// For so long an answer counts: the companion may be late or be restarted, and the kernel's answer changes in minutes.
    package static let validity: Duration = .seconds(30)
    /// Bytes of a file that are read; a longer one is none of ours.
    static let byteLimit = 256

    /// An answer of the kernel and when it was given.
    package struct Entry: Hashable, Sendable {
        package var answer: KernelAnswer
        package var asked: Uptime

        package init(answer: KernelAnswer, asked: Uptime) {
            self.answer = answer
            self.asked = asked
        }
    }

    /// Why the file does not count.
    package enum Fault: Error, Hashable, Sendable {
        case missing
        /// The number is errno's.
        case unreadable(Int32)
        /// A link, a FIFO, a device or a directory stands in its place.
        case notAFile
        case malformed
        /// The machine has not been up for so long as the file says.
        case fromTheFuture
        case old(seconds: Int)
    }

    package let path: String

    package init(path: String = ClockStateFile.standardPath) { self.path = path }

    // MARK: Reading

    /// What the file says, if it counts at this time.
    ///
    /// Whatever stands in its place: nothing is waited for, no link followed, and no more than the limit read.
    package func read(now: () -> Uptime) throws(Fault) -> Entry {
        let bytes = try content()
        guard let entry = Entry(bytes) else { throw .malformed }
        // After the reading: before it, an answer that came in between would be of the future.
        let fault = entry.fault(at: now())
        if let fault { throw fault }
        return entry
    }

    private func content() throws(Fault) -> ArraySlice<UInt8> {
        // O_NONBLOCK: a FIFO would keep us waiting for its writer.
        let file = open(path, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC)
        guard file >= 0 else {
            switch errno {
            case ENOENT, ENOTDIR: throw .missing
            // A link, and a socket.
            case ELOOP, ENXIO: throw .notAFile
            default: throw .unreadable(errno)
            }
        }
        defer { close(file) }
        var facts = stat()
        guard fstat(file, &facts) == 0 else { throw .unreadable(errno) }
        guard facts.st_mode & S_IFMT == S_IFREG else { throw .notAFile }
        // One byte of room more than may be used tells a file that is too long.
        var bytes = [UInt8](repeating: 0, count: ClockStateFile.byteLimit + 1)
        var count = 0
        while count < bytes.count {
            let got = bytes.withUnsafeMutableBytes { Glibc.read(file, $0.baseAddress?.advanced(by: count), $0.count - count) }
            if got < 0, errno == EINTR { continue }
            if got < 0 { throw .unreadable(errno) }
            if got == 0 { break }
            count += got
        }
        guard count < bytes.count else { throw .malformed }
        return bytes[..<count]
    }

    // MARK: Writing

    /// Why the file could not be replaced.
    package struct WriteError: Error, Hashable, Sendable, CustomStringConvertible {
        package var path: String
        /// What failed, in a verb.
        package var action: String
        package var number: Int32

        package init(path: String, action: String, number: Int32) {
            self.path = path
            self.action = action
            self.number = number
        }

        package var description: String { "\(path): cannot \(action): \(String(cString: strerror(number)))" }
    }

    /// Replaces the file by one that everybody may read. A reader sees the old one or the new one.
    package func publish(_ entry: Entry) throws(WriteError) {
        let fresh = path + ".new"
        let file = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC, 0o644)
        guard file >= 0 else { throw WriteError(path: fresh, action: "open", number: errno) }
        let bytes = Array(entry.text.utf8)
        // The mode is asked for again: the process's mask took from the first.
        let isWritten = write(file, bytes, bytes.count) == bytes.count && fchmod(file, 0o644) == 0
        let failure = errno
        close(file)
        guard isWritten else {
            unlink(fresh)
            throw WriteError(path: fresh, action: "write", number: failure)
        }
        guard rename(fresh, path) == 0 else { throw WriteError(path: path, action: "replace", number: errno) }
    }
}

extension ClockStateFile.Entry {
    private static let head = "meterd-clock 1"
    private static let keys = ["asked_boottime_us", "synchronized", "max_error_us"]
    /// Microseconds in nanoseconds of 64 bits: 292 years.
    private static let longest = Int64.max / 1000

    package var text: String {
        let values = ["\(asked.nanoseconds / 1000)", answer.isSynchronized ? "yes" : "no", "\(answer.maxErrorMicroseconds)"]
        return zip(Self.keys, values).reduce(Self.head + "\n") { $0 + "\($1.0) \($1.1)\n" }
    }

    /// Nil unless it is exactly what `text` makes.
    package init?(_ bytes: some Collection<UInt8>) {
        guard let text = String(validating: bytes, as: UTF8.self) else { return nil }
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        guard lines.count == Self.keys.count + 2, lines.first == Self.head[...], lines.last == "" else { return nil }
        var values: [Substring] = []
        for (line, key) in zip(lines.dropFirst(), Self.keys) {
            guard line.hasPrefix(key + " ") else { return nil }
            values.append(line.dropFirst(key.utf8.count + 1))
        }
        guard let asked = Self.number(values[0]), asked <= Self.longest, let error = Self.number(values[2]),
            ["yes", "no"].contains(values[1])
        else { return nil }
        self.init(
            answer: KernelAnswer(isSynchronized: values[1] == "yes", maxErrorMicroseconds: Int(error)),
            asked: Uptime(nanoseconds: asked * 1000))
    }

    private static func number(_ digits: Substring) -> Int64? {
        digits.utf8.allSatisfy { UInt8(ascii: "0")...UInt8(ascii: "9") ~= $0 } ? Int64(digits) : nil
    }

    /// Why it does not count at this time.
    package func fault(at now: Uptime) -> ClockStateFile.Fault? {
        let age = now - asked
        if age < .zero { return .fromTheFuture }
        return age > ClockStateFile.validity ? .old(seconds: Int(age.seconds)) : nil
    }
}

extension ClockStateFile.Fault: CustomStringConvertible {
    /// What is wrong with the file, to stand behind its path.
    package var description: String {
        switch self {
        case .missing: "is not there"
        case .unreadable(let number): "cannot be read (\(String(cString: strerror(number))))"
        case .notAFile: "is no plain file"
        case .malformed: "does not hold what meterd-clock writes"
        case .fromTheFuture: "is dated later than now"
        case .old(let seconds): "was written \(seconds) s ago"
        }
    }
}
