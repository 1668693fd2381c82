import CHost
import Glibc

/// A serial executor with a thread of its own. An actor on it may block in C without holding up anyone else.
///
///     actor Line {
///         private let thread = ThreadExecutor(name: "line-1")
///         nonisolated var unownedExecutor: UnownedSerialExecutor { thread.asUnownedSerialExecutor() }
///     }
///
/// The thread keeps the executor alive until `stop()`; call that when the actor goes away.
package final class ThreadExecutor: SerialExecutor, @unchecked Sendable {
    // Safe to share: `jobs` and `stopping` are touched only with `mutex` held; `thread` is written once, before init returns.
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let wakeUp = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    private var jobs: [UnownedJob] = []
    private var stopping = false
    private var thread = pthread_t()

    /// - Parameter name: the thread's, as `nameCurrentThread` gives it.
    package init(name: String, stackSize: Int = 256 * 1024) {
        pthread_mutex_init(mutex, nil)
        pthread_cond_init(wakeUp, nil)
        var attributes = pthread_attr_t()
        pthread_attr_init(&attributes)
        pthread_attr_setstacksize(&attributes, stackSize)
        let start = ThreadStart(name: name, executor: self)
        let failure = pthread_create(
            &thread, &attributes,
            { argument in
                guard let argument else { return nil }
                let start = Unmanaged<ThreadStart>.fromOpaque(argument).takeRetainedValue()
                nameCurrentThread(start.name)
                start.executor.run()
                return nil
            }, Unmanaged.passRetained(start).toOpaque())
        pthread_attr_destroy(&attributes)
        precondition(failure == 0, "pthread_create failed with \(failure): the process is out of threads")
        pthread_detach(thread)
    }

    deinit {
        pthread_mutex_destroy(mutex)
        mutex.deallocate()
        pthread_cond_destroy(wakeUp)
        wakeUp.deallocate()
    }

    package func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        pthread_mutex_lock(mutex)
        jobs.append(job)
        pthread_cond_signal(wakeUp)
        pthread_mutex_unlock(mutex)
    }

    package func asUnownedSerialExecutor() -> UnownedSerialExecutor { UnownedSerialExecutor(ordinary: self) }

    package func isIsolatingCurrentContext() -> Bool? { pthread_equal(pthread_self(), thread) != 0 }

    package func checkIsolated() {
        precondition(pthread_equal(pthread_self(), thread) != 0, "called off its thread")
    }

    /// Ends the thread after the jobs already queued.
    package func stop() {
        pthread_mutex_lock(mutex)
        stopping = true
        pthread_cond_signal(wakeUp)
        pthread_mutex_unlock(mutex)
    }

    private func run() {
        var taken: [UnownedJob] = []
        while true {
            pthread_mutex_lock(mutex)
            while jobs.isEmpty, !stopping { pthread_cond_wait(wakeUp, mutex) }
            if jobs.isEmpty {
                pthread_mutex_unlock(mutex)
                return
            }
            swap(&jobs, &taken)
            pthread_mutex_unlock(mutex)
            for job in taken { job.runSynchronously(on: asUnownedSerialExecutor()) }
            taken.removeAll(keepingCapacity: true)
        }
    }
}

/// What `ps -L` and gdb call the calling thread; cut to 15 bytes, the kernel's limit.
package func nameCurrentThread(_ name: String) {
    _ = pthread_setname_np(pthread_self(), String(decoding: name.utf8.prefix(15), as: UTF8.self))
}

private final class ThreadStart {
    let name: String
    let executor: ThreadExecutor
    init(name: String, executor: ThreadExecutor) {
        self.name = name
        self.executor = executor
    }
}
