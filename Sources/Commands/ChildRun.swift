import Glibc
import Host
import Metering

/// Runs another program, without a shell: every argument reaches it as it is.
enum ChildRun {
    struct Refusal: Error {
        var text: String
    }

    /// What the program says on stdout.
    ///
    /// - Parameters:
    ///   - path: of the program; it is not looked for.
    ///   - limit: bytes that are read; a program that says more is ended.
    ///   - bound: how long it may take.
    static func output(of path: String, _ arguments: [String], limit: Int, bound: Duration) throws(Refusal) -> [UInt8] {
        guard access(path, X_OK) == 0 else { throw Refusal(text: "there is no \(path)") }
        var ends: [Int32] = [0, 0]
        guard pipe(&ends) == 0 else { throw Refusal(text: String(cString: strerror(errno))) }
        defer { close(ends[0]) }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0)
        posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO)
        posix_spawn_file_actions_addclose(&actions, ends[0])
        posix_spawn_file_actions_addclose(&actions, ends[1])
        // Threads of the pool block all signals, and a child inherits that.
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var none = sigset_t()
        sigemptyset(&none)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK))
        var child: pid_t = 0
        let failure = withWords([path] + arguments) { words in
            withWords(["LC_ALL=C", "PATH=/usr/bin:/bin"]) { posix_spawn(&child, path, &actions, &attributes, words, $0) }
        }
        close(ends[1])
        guard failure == 0 else { throw Refusal(text: "\(path): \(String(cString: strerror(failure)))") }
        let (bytes, isWhole) = drain(ends[0], limit: limit, bound: bound)
        if !isWhole { kill(child, SIGKILL) }
        var status: Int32 = 0
        while waitpid(child, &status, 0) < 0, errno == EINTR {}
        if isWhole, status != 0 { throw Refusal(text: "\(path) ended with \(status >> 8 & 0xFF)") }
        return bytes
    }

    private static func drain(_ descriptor: Int32, limit: Int, bound: Duration) -> (bytes: [UInt8], isWhole: Bool) {
        let time = SystemTime()
        let end = time.uptime() + bound
        var bytes: [UInt8] = []
        var room = [UInt8](repeating: 0, count: 65_536)
        while bytes.count < limit {
            let left = (end - time.uptime()).milliseconds
            var ready = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            guard left > 0, poll(&ready, 1, Int32(clamping: left)) >= 0 || errno == EINTR else { return (bytes, false) }
            guard ready.revents != 0 else { continue }
            let count = read(descriptor, &room, room.count)
            if count == 0 { return (bytes, true) }
            if count < 0, errno != EINTR { return (bytes, false) }
            if count > 0 { bytes += room[..<count] }
        }
        return (bytes, false)
    }

    private static func withWords<Result>(
        _ words: [String], _ body: (UnsafePointer<UnsafeMutablePointer<CChar>?>) -> Result
    ) -> Result {
        var pointers: [UnsafeMutablePointer<CChar>?] = words.map { strdup($0) } + [nil]
        defer { for pointer in pointers { free(pointer) } }
        return pointers.withUnsafeMutableBufferPointer { buffer in
            guard let base = buffer.baseAddress else { preconditionFailure("an array with a nil in it has a first element") }
            return body(UnsafePointer(base))
        }
    }
}
