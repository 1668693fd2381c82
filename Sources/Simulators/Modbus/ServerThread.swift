import Glibc
import Host

/// A thread that serves until it is told to stop. `wake`, a pipe's end, then hangs up.
final class ServerThread: @unchecked Sendable {
    // Safe to share: `thread` is written once before init returns; the rest is a descriptor and a lock.
    private let wakeSource: Int32
    private let wake: Int32
    private var thread = pthread_t()
    private let stopped = Lock(false)

    /// - Parameter body: runs on the thread; must return soon after poll(2) reports anything of `wake`.
    init(name: String, body: @escaping @Sendable (_ wake: Int32) -> Void) throws(SimulatorError) {
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else { throw SimulatorError(.unavailable, "no pipe", errorNumber: errno) }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        let wake = ends[0]
        self.wake = wake
        wakeSource = ends[1]
        let start = Unmanaged.passRetained(ThreadBody(name: name, run: { body(wake) }))
        let failure = pthread_create(
            &thread, nil,
            { argument in
                guard let argument else { return nil }
                let body = Unmanaged<ThreadBody>.fromOpaque(argument).takeRetainedValue()
                nameCurrentThread(body.name)
                body.run()
                return nil
            }, start.toOpaque())
        guard failure == 0 else {
            start.release()
            close(wake)
            close(wakeSource)
            throw SimulatorError(.unavailable, "no thread", errorNumber: failure)
        }
    }

    /// Returns when the thread has ended. Safe to call twice.
    func stop() {
        stopped.withLock { stopped in
            guard !stopped else { return }
            stopped = true
            close(wakeSource)  // hangs up on `wake`
            pthread_join(thread, nil)
            close(wake)
        }
    }
}

private final class ThreadBody {
    let name: String
    let run: @Sendable () -> Void
    init(name: String, run: @escaping @Sendable () -> Void) {
        self.name = name
        self.run = run
    }
}

/// Writes all of it, or says that it could not; never raises SIGPIPE on a socket.
func writeAll(_ descriptor: Int32, _ bytes: [UInt8], socket: Bool) -> Bool {
    var sent = 0
    while sent < bytes.count {
        let count = bytes.withUnsafeBytes { room in
            let rest = UnsafeRawBufferPointer(rebasing: room[sent...])
            return socket
                ? send(descriptor, rest.baseAddress, rest.count, Int32(MSG_NOSIGNAL))
                : write(descriptor, rest.baseAddress, rest.count)
        }
        if count > 0 { sent += count } else if count == 0 || errno != EINTR { return false }
    }
    return true
}
