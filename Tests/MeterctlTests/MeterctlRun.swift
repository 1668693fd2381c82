import Glibc
import NIOPosix

/// How a run of the real program ended.
struct MeterctlRun {
    var status: Int32
    var output: String
    var error: String
}

enum RunError: Error { case spawn(Int32), pipe(Int32) }

/// Runs the meterctl that was built beside the tests, with nothing in its environment but what is given. The waiting is done on threads
/// that may wait.
func meterctl(_ arguments: [String], environment: [String: String] = [:]) async throws -> MeterctlRun {
    let path = try besideTests("meterctl")
    return try await NIOThreadPool.singleton.runIfActive {
        let output = try Pipe()
        let error = try Pipe()
        let process = try spawn(path, arguments, environment, output, error)
        output.closeWriteEnd()
        error.closeWriteEnd()
        // One after the other is enough: stderr holds a few lines, less than a pipe does.
        let outputText = output.readToEnd()
        let errorText = error.readToEnd()
        var status: Int32 = 0
        while waitpid(process, &status, 0) < 0, errno == EINTR {}
        // The signal in the lower 7 bits, 0 for none; the exit status above them.
        return MeterctlRun(status: status & 0x7f == 0 ? status >> 8 & 0xff : -(status & 0x7f), output: outputText, error: errorText)
    }
}

private func besideTests(_ program: String) throws -> String {
    var room = [CChar](repeating: 0, count: Int(PATH_MAX))
    let count = readlink("/proc/self/exe", &room, room.count)
    guard count > 0 else { throw RunError.spawn(errno) }
    let own = String(decoding: room[..<count].map(UInt8.init(bitPattern:)), as: UTF8.self)
    guard let slash = own.lastIndex(of: "/") else { throw RunError.spawn(ENOENT) }
    return own[...slash] + program
}

private func spawn(
    _ path: String, _ arguments: [String], _ environment: [String: String], _ output: borrowing Pipe, _ error: borrowing Pipe
) throws -> pid_t {
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0)
    posix_spawn_file_actions_adddup2(&actions, output.writeEnd, STDOUT_FILENO)
    posix_spawn_file_actions_adddup2(&actions, error.writeEnd, STDERR_FILENO)
    let argv = ([path] + arguments).map { strdup($0) } + [nil]
    let envp = environment.map { strdup("\($0.key)=\($0.value)") } + [nil]
    defer { for pointer in argv + envp { free(pointer) } }
    var process: pid_t = 0
    let failure = posix_spawn(&process, path, &actions, nil, argv, envp)
    guard failure == 0 else { throw RunError.spawn(failure) }
    return process
}

/// A pipe whose ends other children do not inherit.
private struct Pipe: ~Copyable {
    let readEnd: Int32
    let writeEnd: Int32

    init() throws {
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else { throw RunError.pipe(errno) }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        (readEnd, writeEnd) = (ends[0], ends[1])
    }

    deinit { close(readEnd) }

    func closeWriteEnd() { close(writeEnd) }

    func readToEnd() -> String {
        var received: [UInt8] = []
        var room = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = read(readEnd, &room, room.count)
            if count == 0 || (count < 0 && errno != EINTR) { return String(decoding: received, as: UTF8.self) }
            if count > 0 { received.append(contentsOf: room[..<count]) }
        }
    }
}
