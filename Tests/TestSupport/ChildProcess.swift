import FoundationEssentials
import Glibc

/// A program under test: started, watched and ended by its process id.
///
///     let daemon = try ChildProcess("meterd", ["--config", file])
///     try await daemon.waitForLine { $0.contains("ready") }
///     daemon.signal(SIGKILL)
///     #expect(await daemon.exit() == .signal(SIGKILL))
///
/// Both outputs go to files in a folder of its own, so that nothing is lost and no pipe fills up.
package final class ChildProcess: @unchecked Sendable {
    // Safe to share: the stored properties do not change after init, but for `ended`, which is touched under `lock`.
    package enum Exit: Equatable, Sendable {
        case code(Int32)
        case signal(Int32)
        /// It did not end within the bound.
        case running
    }

    package struct SpawnError: Error, CustomStringConvertible {
        package var description: String
        package init(description: String) { self.description = description }
    }

    package let processID: pid_t
    package let standardOutput: String
    package let standardError: String
    private var ended: Exit?
    private let lock = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)

    /// - Parameter program: a path, or the name of a product built beside the tests.
    package init(_ program: String, _ arguments: [String], environment: [String: String] = [:], folder: String? = nil) throws {
        pthread_mutex_init(lock, nil)
        let path = program.contains("/") ? program : Products.directory + "/" + program
        let own = try folder ?? TemporaryFolder.make("child")
        standardOutput = own + "/\(Self.lastPart(program)).out"
        standardError = own + "/\(Self.lastPart(program)).err"
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_addopen(&actions, 1, standardOutput, O_WRONLY | O_CREAT | O_APPEND, 0o644)
        posix_spawn_file_actions_addopen(&actions, 2, standardError, O_WRONLY | O_CREAT | O_APPEND, 0o644)
        closeInherited(&actions)
        var variables = environment
        for name in ["PATH", "HOME", "LD_LIBRARY_PATH", "TMPDIR"] where variables[name] == nil {
            if let value = getenv(name) { variables[name] = String(cString: value) }
        }
        // Threads of the pool block all signals, and a child inherits that: SIGTERM would never reach it.
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var noSignals = sigset_t()
        sigemptyset(&noSignals)
        posix_spawnattr_setsigmask(&attributes, &noSignals)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK))
        var child: pid_t = 0
        let failure = withCStrings([path] + arguments) { arguments in
            withCStrings(variables.map { "\($0.key)=\($0.value)" }) { environment in
                posix_spawnp(&child, path, &actions, &attributes, arguments, environment)
            }
        }
        guard failure == 0 else { throw SpawnError(description: "\(path): \(String(cString: strerror(failure)))") }
        processID = child
    }

    deinit {
        // To the very end: the monitor of `processExitsWith` goes round and round for ever over a child that is dead and not waited for.
        if poll() == nil {
            kill(processID, SIGKILL)
            var status: Int32 = 0
            while waitpid(processID, &status, 0) < 0, errno == EINTR {}
        }
        pthread_mutex_destroy(lock)
        lock.deallocate()
    }

    package func signal(_ number: Int32) {
        if poll() == nil { kill(processID, number) }
    }

    /// How it ended; nil while it runs.
    package func poll() -> Exit? {
        pthread_mutex_lock(lock)
        defer { pthread_mutex_unlock(lock) }
        if let ended { return ended }
        var status: Int32 = 0
        guard waitpid(processID, &status, WNOHANG) == processID else { return nil }
        ended = status & 0x7F == 0 ? .code(status >> 8 & 0xFF) : .signal(status & 0x7F)
        return ended
    }

    /// SIGTERM, and waits for the end.
    package func stop() async throws {
        signal(SIGTERM)
        if await exit() == .running { throw SpawnError(description: "\(standardError): it does not end on SIGTERM") }
    }

    /// Waits for its end, at most for `bound`.
    package func exit(within bound: Duration = .seconds(120)) async -> Exit {
        let end = ContinuousClock.now + bound
        while ContinuousClock.now < end {
            if let exit = poll() { return exit }
            try? await Task.sleep(for: .milliseconds(5))
        }
        return poll() ?? .running
    }

    package var output: String { TextFile.content(standardOutput) }
    package var errors: String { TextFile.content(standardError) }

    /// The first line of either output that fits, waiting for it at most for `bound`.
    package func waitForLine(within bound: Duration = .seconds(180), _ fits: (String) -> Bool) async throws -> String {
        let end = ContinuousClock.now + bound
        while ContinuousClock.now < end {
            let over = poll() != nil
            for line in (output + errors).split(separator: "\n") where fits(String(line)) { return String(line) }
            if over { break }
            try await Task.sleep(for: .milliseconds(10))
        }
        throw SpawnError(description: "\(standardError): the line did not come; it said:\n\(output)\(errors)")
    }

    private static func lastPart(_ path: String) -> String { String(path.split(separator: "/").last ?? "child") }
}

/// Runs a program to its end.
package func runToEnd(
    _ program: String, _ arguments: [String], environment: [String: String] = [:], within bound: Duration = .seconds(180)
) async throws -> (exit: ChildProcess.Exit, output: String, errors: String) {
    let child = try ChildProcess(program, arguments, environment: environment)
    let exit = await child.exit(within: bound)
    return (exit, child.output, child.errors)
}

/// Where the programs stand that were built with the tests.
package enum Products {
    /// `METERD_PROGRAMS` when set, else the folder of the test bundle.
    package static let directory: String = {
        if let named = getenv("METERD_PROGRAMS") { return String(cString: named) }
        var buffer = [CChar](repeating: 0, count: 4096)
        let count = readlink("/proc/self/exe", &buffer, buffer.count - 1)
        let executable = String(decoding: buffer.prefix(max(0, count)).map { UInt8(bitPattern: $0) }, as: UTF8.self)
        return executable.split(separator: "/").dropLast().reduce("") { $0 + "/" + $1 }
    }()

    /// The top of the repository.
    package static let repository: String = {
        "/" + #filePath.split(separator: "/").dropLast(3).joined(separator: "/")
    }()
}

package enum TemporaryFolder {
    /// A new folder under TMPDIR.
    package static func make(_ name: String) throws -> String {
        let base = getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp"
        var template = Array("\(base)/meterd-\(name)-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw ChildProcess.SpawnError(description: "mkdtemp: \(String(cString: strerror(errno)))") }
        return String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    package static func remove(_ path: String) {
        try? FileManager.default.removeItem(atPath: path)
    }
}

package enum TextFile {
    /// The whole file, or nothing when it cannot be read.
    package static func content(_ path: String) -> String {
        guard let file = fopen(path, "r") else { return "" }
        defer { fclose(file) }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65536)
        while true {
            let count = fread(&buffer, 1, buffer.count, file)
            if count == 0 { break }
            bytes += buffer[..<count]
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    package static func write(_ text: String, to path: String) throws {
        guard let file = fopen(path, "w") else {
            throw ChildProcess.SpawnError(description: "\(path): \(String(cString: strerror(errno)))")
        }
        defer { fclose(file) }
        fputs(text, file)
    }
}

/// Lets the child start without the descriptors of the tests: NIO opens sockets without O_CLOEXEC, and a listening socket that a child
/// holds stays open when the test closes it.
package func closeInherited(_ actions: inout posix_spawn_file_actions_t) {
    for descriptor in Int32(3)..<1024 { posix_spawn_file_actions_addclose(&actions, descriptor) }
}

private func withCStrings<Result>(_ strings: [String], _ body: (UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>) -> Result) -> Result {
    var pointers = strings.map { strdup($0) } + [nil]
    defer { for pointer in pointers { free(pointer) } }
    return pointers.withUnsafeMutableBufferPointer { buffer in
        guard let base = buffer.baseAddress else { preconditionFailure("the list has at least its end") }
        return body(base)
    }
}

/// Makes a folder, with its parents; true when it is there afterwards.
package func makeDirectory(_ path: String) -> Bool {
    (try? FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)) != nil
}
