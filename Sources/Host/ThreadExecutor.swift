import CHost
import Glibc
import Metering

/// A serial executor with a thread of its own. An actor on it may block in C without holding up anyone else.
///
///     actor Line {
///         private let thread = ThreadExecutor(name: "line-1")
///         nonisolated var unownedExecutor: UnownedSerialExecutor { thread.asUnownedSerialExecutor() }
///     }
///
/// A task that prefers `tasks` runs on the same thread, and `sleep(until:)` waits there too: a loop that asks such an actor and then
/// sleeps costs one wake-up a turn, where the shared pool would cost four.
///
/// The thread keeps the executor alive until `stop()`; call that when the actor goes away.
package final class ThreadExecutor: SerialExecutor, @unchecked Sendable {
    private enum Job {
        case actor(UnownedJob)
        case task(UnownedJob)
    }

    private struct Sleeper {
        var id: Int
        var deadline: Uptime
        var continuation: CheckedContinuation<Void, any Error>
    }

    /// The machine may be suspended while the thread waits, and its wait does not count that; it looks again at least so often.
    private static let longestWait: Duration = .seconds(10)

    // Safe to share: `jobs`, `sleepers`, `nextSleeper`, `stopping` and `ended` are touched only with `mutex` held; `thread` and `tasks` are
    // written once, before init returns.
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let wakeUp = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    private var jobs: [Job] = []
    private var sleepers: [Sleeper] = []
    private var nextSleeper = 0
    private var stopping = false
    private var ended = false
    private var thread = pthread_t()
    /// For `withTaskExecutorPreference`: tasks that run on this thread.
    package let tasks: ThreadTasks

    /// - Parameter name: the thread's, as `nameCurrentThread` gives it.
    package init(name: String, stackSize: Int = 256 * 1024) {
        tasks = ThreadTasks()
        pthread_mutex_init(mutex, nil)
        var monotonic = pthread_condattr_t()
        pthread_condattr_init(&monotonic)
        pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC)
        pthread_cond_init(wakeUp, &monotonic)
        pthread_condattr_destroy(&monotonic)
        tasks.thread = self
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

    package func enqueue(_ job: consuming ExecutorJob) { enqueue(.actor(UnownedJob(job))) }

    fileprivate func enqueueTask(_ job: consuming ExecutorJob) { enqueue(.task(UnownedJob(job))) }

    private func enqueue(_ job: Job) {
        pthread_mutex_lock(mutex)
        precondition(!ended, "a job for a thread that was stopped: it would never run, and its task would hang")
        jobs.append(job)
        pthread_cond_signal(wakeUp)
        pthread_mutex_unlock(mutex)
    }

    package func asUnownedSerialExecutor() -> UnownedSerialExecutor { UnownedSerialExecutor(ordinary: self) }

    package func isIsolatingCurrentContext() -> Bool? { isCurrent }

    package func checkIsolated() { precondition(isCurrent, "called off its thread") }

    private var isCurrent: Bool { pthread_equal(pthread_self(), thread) != 0 }

    /// Ends the thread after the jobs already queued; who sleeps on it is woken with `CancellationError`.
    package func stop() {
        pthread_mutex_lock(mutex)
        stopping = true
        pthread_cond_signal(wakeUp)
        pthread_mutex_unlock(mutex)
    }

    // MARK: Sleeping

    /// Returns at `deadline`, or throws `CancellationError` when the task is cancelled or the thread stopped.
    package func sleep(until deadline: Uptime) async throws {
        pthread_mutex_lock(mutex)
        nextSleeper += 1
        let id = nextSleeper
        pthread_mutex_unlock(mutex)
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                pthread_mutex_lock(mutex)
                // Seen under the lock: a cancellation before this finds no sleeper, and is seen here.
                let refused = Task.isCancelled || stopping
                if !refused {
                    sleepers.append(Sleeper(id: id, deadline: deadline, continuation: continuation))
                    pthread_cond_signal(wakeUp)
                }
                pthread_mutex_unlock(mutex)
                if refused { continuation.resume(throwing: CancellationError()) }
            }
        } onCancel: {
            pthread_mutex_lock(mutex)
            let sleeper = sleepers.firstIndex { $0.id == id }.map { sleepers.remove(at: $0) }
            pthread_mutex_unlock(mutex)
            sleeper?.continuation.resume(throwing: CancellationError())
        }
    }

    // MARK: The thread

    private func run() {
        var taken: [Job] = []
        while true {
            pthread_mutex_lock(mutex)
            var due: [Sleeper] = []
            while jobs.isEmpty, !stopping {
                guard let first = sleepers.min(by: { $0.deadline < $1.deadline }) else {
                    pthread_cond_wait(wakeUp, mutex)
                    continue
                }
                let now = SystemTime().uptime()
                if first.deadline <= now {
                    due = sleepers.filter { $0.deadline <= now }
                    sleepers.removeAll { $0.deadline <= now }
                    break
                }
                wait(min(first.deadline - now, ThreadExecutor.longestWait))
            }
            var cut: [Sleeper] = []
            if stopping { swap(&cut, &sleepers) }
            // What those that are woken enqueue here is still run.
            ended = stopping && jobs.isEmpty && due.isEmpty && cut.isEmpty
            let ends = ended
            swap(&jobs, &taken)
            pthread_mutex_unlock(mutex)
            if ends { return }
            for sleeper in due { sleeper.continuation.resume() }
            for sleeper in cut { sleeper.continuation.resume(throwing: CancellationError()) }
            for job in taken {
                switch job {
                case .actor(let job): job.runSynchronously(on: asUnownedSerialExecutor())
                case .task(let job): job.runSynchronously(on: tasks.asUnownedTaskExecutor())
                }
            }
            taken.removeAll(keepingCapacity: true)
        }
    }

    /// Waits for a signal, `bound` at most. Called with `mutex` held.
    private func wait(_ bound: Duration) {
        var until = timespec()
        clock_gettime(CLOCK_MONOTONIC, &until)
        let nanoseconds = Int64(until.tv_nsec) + bound.nanoseconds
        until.tv_sec += Int(nanoseconds / 1_000_000_000)
        until.tv_nsec = Int(nanoseconds % 1_000_000_000)
        pthread_cond_timedwait(wakeUp, mutex, &until)
    }
}

/// Runs tasks on the thread of a `ThreadExecutor`, between the jobs of its actor.
package final class ThreadTasks: TaskExecutor, @unchecked Sendable {
    // Safe to share: written once, before anyone else sees the object. The thread holds this object, so it outlives it.
    fileprivate unowned var thread: ThreadExecutor?

    package func enqueue(_ job: consuming ExecutorJob) {
        guard let thread else { preconditionFailure("the thread sets itself before init returns") }
        thread.enqueueTask(job)
    }
}

/// The real clocks, with sleeping done on a thread: for a task that prefers that thread.
package struct ThreadTime: TimeSource {
    private let thread: ThreadExecutor
    private let clocks = SystemTime()

    package init(on thread: ThreadExecutor) { self.thread = thread }

    package func uptime() -> Uptime { clocks.uptime() }
    package func wall() -> Timestamp { clocks.wall() }
    package func clockState() -> ClockState { clocks.clockState() }
    package func sleep(until deadline: Uptime) async throws { try await thread.sleep(until: deadline) }
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
