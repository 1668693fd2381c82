import ArgumentParser
import Glibc

/// stdout or stderr, written without a buffer between, so that a line of `--watch` is there when it is printed.
struct Standard: Sendable {
    static let output = Standard(descriptor: STDOUT_FILENO)
    static let error = Standard(descriptor: STDERR_FILENO)

    let descriptor: Int32

    func print(_ text: String) { write(Array("\(text)\n".utf8)) }

    func print(_ lines: [String]) {
        if !lines.isEmpty { print(lines.joined(separator: "\n")) }
    }

    /// Writes all of it. Where nobody reads any more (`meterctl readings --watch | head`), the program ends: SIGPIPE is ignored by the
    /// HTTP library.
    func write(_ bytes: [UInt8]) {
        guard !Standard.write(bytes, to: descriptor) else { return }
        // Of a reader that is gone there is nothing to say; of a full disk there is.
        if errno != EPIPE {
            _ = Standard.write(
                Array("meterctl: the answer cannot be written: \(String(cString: strerror(errno)))\n".utf8), to: STDERR_FILENO)
        }
        Glibc.exit(ExitCode.failure.rawValue)
    }

    /// Writes all of it to a descriptor; false when that cannot be done, and `errno` says why.
    static func write(_ bytes: [UInt8], to descriptor: Int32) -> Bool {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count > 0 {
                rest = rest.dropFirst(count)
            } else if errno != EINTR {
                return false
            }
        }
        return true
    }

    var isTerminal: Bool { isatty(descriptor) == 1 }

    /// Columns of the terminal; nil for a file or pipe.
    var width: Int? { size.map { Int($0.ws_col) } }

    /// Rows of the terminal; nil for a file or pipe.
    var height: Int? { size.map { Int($0.ws_row) } }

    private var size: winsize? {
        var size = winsize()
        guard isTerminal, ioctl(descriptor, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0, size.ws_row > 0 else { return nil }
        return size
    }

    /// Colour on a terminal only, and not where NO_COLOR or TERM=dumb ask for none.
    var coloured: Bool {
        guard isTerminal else { return false }
        if let wish = getenv("NO_COLOR"), wish[0] != 0 { return false }
        guard let terminal = getenv("TERM") else { return false }
        return String(cString: terminal) != "dumb"
    }
}
