import Glibc
import TestSupport

/// Another program, with its stdout on a pipe; killed when nobody holds it any more.
final class Spawned {
    private let process: pid_t
    private let output: Int32
    private var pending: [UInt8] = []
    private var status: Int32?

    struct CannotStart: Error { var errorNumber: Int32 }

    init(_ path: String, _ arguments: [String]) throws {
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else { throw CannotStart(errorNumber: errno) }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO)
        posix_spawn_file_actions_adddup2(&actions, ends[1], STDERR_FILENO)
        closeInherited(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        var words: [UnsafeMutablePointer<CChar>?] = ([path] + arguments).map { strdup($0) }
        words.append(nil)
        defer { for word in words { free(word) } }
        var made = pid_t()
        let failure = posix_spawn(&made, path, &actions, nil, words, environ)
        close(ends[1])
        guard failure == 0 else {
            close(ends[0])
            throw CannotStart(errorNumber: failure)
        }
        process = made
        output = ends[0]
        _ = fcntl(output, F_SETFD, FD_CLOEXEC)
    }

    deinit {
        if status == nil {
            kill(process, SIGKILL)
            _ = wait()
        }
        close(output)
    }

    /// The next line of its output; nil at its end.
    func line() -> String? {
        while true {
            if let end = pending.firstIndex(of: 0x0A) {
                defer { pending.removeFirst(end + 1) }
                return String(decoding: pending[..<end], as: UTF8.self)
            }
            var chunk = [UInt8](repeating: 0, count: 4096)
            let count = read(output, &chunk, chunk.count)
            if count <= 0 { return nil }
            pending += chunk[..<count]
        }
    }

    func rest() -> String {
        var lines: [String] = []
        while let line = line() { lines.append(line) }
        return lines.joined(separator: "\n")
    }

    func terminate() { kill(process, SIGTERM) }

    /// Its exit status; -1 when a signal ended it.
    func wait() -> Int32 {
        if let status { return status }
        var word: Int32 = 0
        while waitpid(process, &word, 0) < 0, errno == EINTR {}
        let code = word & 0x7F == 0 ? word >> 8 & 0xFF : -1
        status = code
        return code
    }
}
