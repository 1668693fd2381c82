import Glibc

/// A thread that runs a body and ends; nobody waits for it. For C that may block long and that nobody can break off.
package enum DetachedThread {
    private final class Body: Sendable {
        let name: String
        let run: @Sendable () -> Void
        init(_ name: String, _ run: @escaping @Sendable () -> Void) {
            self.name = name
            self.run = run
        }
    }

    /// - Returns: false when the process can have no more threads; the body is then not run.
    package static func start(name: String, stackSize: Int = 256 * 1024, _ run: @escaping @Sendable () -> Void) -> Bool {
        var attributes = pthread_attr_t()
        pthread_attr_init(&attributes)
        defer { pthread_attr_destroy(&attributes) }
        pthread_attr_setstacksize(&attributes, stackSize)
        pthread_attr_setdetachstate(&attributes, Int32(PTHREAD_CREATE_DETACHED))
        var thread = pthread_t()
        let body = Unmanaged.passRetained(Body(name, run))
        let failure = pthread_create(
            &thread, &attributes,
            { argument in
                guard let argument else { return nil }
                let body = Unmanaged<Body>.fromOpaque(argument).takeRetainedValue()
                nameCurrentThread(body.name)
                body.run()
                return nil
            }, body.toOpaque())
        if failure != 0 { body.release() }
        return failure == 0
    }

    /// Runs the body on a thread of its own and waits for what it gives; nil when the process can have no more threads.
    package static func value<Value: Sendable>(name: String, _ body: @escaping @Sendable () -> Value) async -> Value? {
        await withCheckedContinuation { continuation in
            if !start(name: name, { continuation.resume(returning: body()) }) { continuation.resume(returning: nil) }
        }
    }
}
