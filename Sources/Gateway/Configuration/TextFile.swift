import Glibc
import Metering

/// Reads text files that people write: bounded, UTF-8, with problems in words.
enum TextFile {
    /// The whole file, or nil with the problem noted.
    static func read(_ path: String, limit: Int, log: TomlReader.ProblemLog) -> String? {
        do throws(Refusal) {
            return try content(path, limit: limit)
        } catch {
            log.add(Problem(file: path, place: nil, key: "", text: error.text))
            return nil
        }
    }

    /// True for a regular file, or a link to one.
    static func isRegular(_ path: String) -> Bool {
        var facts = stat()
        return stat(path, &facts) == 0 && facts.st_mode & S_IFMT == S_IFREG
    }

    private struct Refusal: Error { var text: String }

    private static func content(_ path: String, limit: Int) throws(Refusal) -> String {
        // Without O_NONBLOCK a FIFO would keep us waiting for its writer.
        let file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard file >= 0 else { throw Refusal(text: refusal(errno)) }
        defer { close(file) }
        var facts = stat()
        guard fstat(file, &facts) == 0 else { throw Refusal(text: refusal(errno)) }
        switch facts.st_mode & S_IFMT {
        case S_IFREG: break
        case S_IFDIR: throw Refusal(text: "is a directory; name a file, or give the directory another name")
        default: throw Refusal(text: "is no regular file; remove it, or write a file in its place")
        }
        guard facts.st_size <= limit else {
            throw Refusal(text: "has \(facts.st_size) bytes, and at most \(limit) are read; remove it, or see what has got into it")
        }
        var bytes = [UInt8](repeating: 0, count: Int(facts.st_size))
        var count = 0
        while count < bytes.count {
            let got = bytes.withUnsafeMutableBytes { Glibc.read(file, $0.baseAddress?.advanced(by: count), $0.count - count) }
            if got < 0, errno == EINTR { continue }
            if got < 0 { throw Refusal(text: refusal(errno)) }
            if got == 0 { break }
            count += got
        }
        guard let text = String(validating: bytes[..<count], as: UTF8.self) else {
            throw Refusal(text: "is not UTF-8 text; save it as UTF-8")
        }
        return text
    }

    private static func refusal(_ number: Int32) -> String {
        switch number {
        case ENOENT: "does not exist; create it, or name another file"
        case EACCES, EPERM: "cannot be read: permission denied; give the user that runs meterd the right to read it"
        case ELOOP: "is a link that leads to itself; remove it"
        default: "cannot be read: \(String(cString: strerror(number)))"
        }
    }
}

extension String {
    /// At most so many characters: its middle gives way, so that what is wrong and its cure stay.
    func shortened(to limit: Int) -> String {
        guard count > limit else { return self }
        return "\(prefix(limit / 2)) … \(suffix(limit / 2 - 3))"
    }
}
