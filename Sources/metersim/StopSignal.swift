import Glibc

/// SIGTERM and SIGINT, as something to wait for.
enum StopSignal {
    // Safe without a lock: written once, before the handlers that read it are installed.
    nonisolated(unsafe) private static var ends: (read: Int32, write: Int32) = (-1, -1)

    /// Keeps both from ending the process at once. To be called first.
    static func catchAll() {
        var made: [Int32] = [-1, -1]
        guard pipe(&made) == 0 else { return }  // both then end the process, as without us
        for end in made { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        ends = (made[0], made[1])
        for number in [SIGTERM, SIGINT] {
            signal(number) { _ in
                var byte: UInt8 = 1
                _ = write(StopSignal.ends.write, &byte, 1)
            }
        }
    }

    /// Returns when one of them has come. Blocks a thread of its own, not the caller's.
    static func wait() async {
        await withCheckedContinuation { continuation in
            var thread = pthread_t()
            let box = Unmanaged.passRetained(Box(continuation))
            let failure = pthread_create(
                &thread, nil,
                { argument in
                    guard let argument else { return nil }
                    var byte: UInt8 = 0
                    while read(StopSignal.ends.read, &byte, 1) < 0, errno == EINTR {}
                    Unmanaged<Box>.fromOpaque(argument).takeRetainedValue().continuation.resume()
                    return nil
                }, box.toOpaque())
            if failure != 0 { box.takeRetainedValue().continuation.resume() }
        }
    }

    private final class Box {
        let continuation: CheckedContinuation<Void, Never>
        init(_ continuation: CheckedContinuation<Void, Never>) { self.continuation = continuation }
    }
}

/// Writes a line to stdout at once: whoever started us may wait for it on a pipe.
func say(_ line: String) {
    let bytes = Array((line + "\n").utf8)
    var sent = 0
    while sent < bytes.count {
        let count = bytes.withUnsafeBytes { write(STDOUT_FILENO, $0.baseAddress.map { $0 + sent }, bytes.count - sent) }
        if count > 0 { sent += count } else if errno != EINTR { return }
    }
}
