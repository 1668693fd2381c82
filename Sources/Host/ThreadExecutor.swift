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
/// sleeps costs one wake-up a turn, where the shared pool would cost four. Cheaper still is one that asks no actor: going into one and out
/// of it is a job each, and what waits for a continuation within one is resumed in the pool before it comes back.
///
/// A thread that watches sockets serves many actors at once, if none of them blocks: they wait with `ready(_:for:within:)`, and a hundred
/// answers that come together cost one wake-up.
///
/// The thread keeps the executor alive until `stop()`; call that when the actor goes away.
package final class ThreadExecutor: SerialExecutor, @unchecked Sendable {
    private enum Job {
        case actor(UnownedJob)
        case task(UnownedJob)
    }

    // Unchecked, since hundreds of sleepers are looked through at each turn and must be plain bytes. Who is taken out of `sleepers` is
    // resumed, once, by whoever took it out.
    private enum Wait {
        case time(UnsafeContinuation<Void, any Error>)
        case socket(Int32, UnsafeContinuation<Bool, Never>)

        var descriptor: Int32? { if case .socket(let descriptor, _) = self { descriptor } else { nil } }

        /// What was waited for has come: the time, or the socket's readiness.
        func end() {
            switch self {
            case .time(let continuation): continuation.resume()
            case .socket(_, let continuation): continuation.resume(returning: true)
            }
        }

        func giveUp() {
            switch self {
            case .time(let continuation): continuation.resume(throwing: CancellationError())
            case .socket(_, let continuation): continuation.resume(returning: false)
            }
        }
    }

    private struct Sleeper {
        var id: Int
        var deadline: Uptime
        var wait: Wait

        /// For a socket its time is up in vain.
        func expire() { if case .socket = wait { wait.giveUp() } else { wait.end() } }
    }

    package enum Readiness: Sendable { case toRead, toWrite }

    /// The machine may be suspended while the thread waits, and its wait does not count that; it looks again at least so often.
    private static let longestWait: Duration = .seconds(10)
    private static let socketsAtOnce = 64

    // Safe to share: `jobs`, `sleepers`, `nextSleeper`, `isPolling`, `stopping` and `ended` are touched only with `mutex` held, `jobsInHand`
    // only by the thread; `thread`, `tasks`, `poller` and `bell` are written once, before init returns.
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let wakeUp = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    private var jobs: [Job] = []
    private var sleepers: [Sleeper] = []
    private var nextSleeper = 0
    /// The thread waits in epoll, where the condition does not reach it.
    private var isPolling = false
    private var stopping = false
    private var ended = false
    /// Taken to be run and not yet begun.
    private var jobsInHand = 0
    /// -1 for a thread that watches no sockets.
    private let poller: Int32
    private let bell: Int32
    private var thread = pthread_t()
    /// For `withTaskExecutorPreference`: tasks that run on this thread.
    package let tasks: ThreadTasks

    /// - Parameters:
    ///   - name: the thread's, as `nameCurrentThread` gives it.
    ///   - watchesSockets: takes two descriptors.
    package init(name: String, stackSize: Int = 256 * 1024, watchesSockets: Bool = false) {
        tasks = ThreadTasks()
        poller = watchesSockets ? chost_epoll_create() : -1
        bell = watchesSockets ? chost_bell_create() : -1
        if watchesSockets {
            precondition(poller >= 0 && bell >= 0 && chost_epoll_keep(poller, bell) == 0, "the process is out of descriptors")
        }
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
        if poller >= 0 { close(poller) }
        if bell >= 0 { close(bell) }
    }

    package func enqueue(_ job: consuming ExecutorJob) { enqueue(.actor(UnownedJob(job))) }

    fileprivate func enqueueTask(_ job: consuming ExecutorJob) { enqueue(.task(UnownedJob(job))) }

    private func enqueue(_ job: Job) {
        pthread_mutex_lock(mutex)
        precondition(!ended, "a job for a thread that was stopped: it would never run, and its task would hang")
        jobs.append(job)
        wake()
        pthread_mutex_unlock(mutex)
    }

    /// Ends the thread's wait. Called with `mutex` held.
    private func wake() {
        if poller < 0 {
            pthread_cond_signal(wakeUp)
        } else if isPolling {
            isPolling = false
            chost_bell_ring(bell)
        }
    }

    package func asUnownedSerialExecutor() -> UnownedSerialExecutor { UnownedSerialExecutor(ordinary: self) }

    package func isIsolatingCurrentContext() -> Bool? { isCurrent }

    package func checkIsolated() { precondition(isCurrent, "called off its thread") }

    private var isCurrent: Bool { pthread_equal(pthread_self(), thread) != 0 }

    /// Ends the thread after the jobs already queued; who sleeps on it is woken with `CancellationError`.
    package func stop() {
        pthread_mutex_lock(mutex)
        stopping = true
        wake()
        pthread_mutex_unlock(mutex)
    }

    // MARK: Sleeping

    /// Returns at `deadline`, or throws `CancellationError` when the task is cancelled or the thread stopped.
    nonisolated(nonsending) package func sleep(until deadline: Uptime) async throws {
        pthread_mutex_lock(mutex)
        nextSleeper += 1
        let id = nextSleeper
        pthread_mutex_unlock(mutex)
        try await withTaskCancellationHandler {
            try await withUnsafeThrowingContinuation { continuation in
                pthread_mutex_lock(mutex)
                // Seen under the lock: a cancellation before this finds no sleeper, and is seen here.
                let refused = Task.isCancelled || stopping
                if !refused {
                    sleepers.append(Sleeper(id: id, deadline: deadline, wait: .time(continuation)))
                    wake()
                }
                pthread_mutex_unlock(mutex)
                if refused { continuation.resume(throwing: CancellationError()) }
            }
        } onCancel: {
            pthread_mutex_lock(mutex)
            let sleeper = sleepers.firstIndex { $0.id == id }.map { sleepers.remove(at: $0) }
            pthread_mutex_unlock(mutex)
            sleeper?.wait.giveUp()
        }
    }

    /// Waits until a socket can be read or written, or has failed; false when that was not so within `bound`, or the thread was stopped.
    ///
    /// Only for a thread that watches sockets; one waits for a socket at a time. It is not cut short by cancellation: the bound is short.
    nonisolated(nonsending) package func ready(_ descriptor: Int32, for what: Readiness, within bound: Duration) async -> Bool {
        let deadline = SystemTime().uptime() + bound
        if isCurrent, let answer = waitHere(descriptor, what, bound) { return answer }
        return await withUnsafeContinuation { continuation in
            pthread_mutex_lock(mutex)
            let isWatched = !stopping && chost_epoll_watch(poller, descriptor, what == .toWrite ? 1 : 0) == 0
            if isWatched {
                nextSleeper += 1
                sleepers.append(Sleeper(id: nextSleeper, deadline: deadline, wait: .socket(descriptor, continuation)))
                wake()
            }
            pthread_mutex_unlock(mutex)
            if !isWatched { continuation.resume(returning: false) }
        }
    }

    /// Where nobody else wants the thread it need not be given up for the wait, which saves most of what a wait costs.
    ///
    /// - Returns: nil when somebody wants it before the socket is ready; nothing was waited for then.
    private func waitHere(_ descriptor: Int32, _ what: Readiness, _ bound: Duration) -> Bool? {
        guard jobsInHand == 0 else { return nil }
        pthread_mutex_lock(mutex)
        guard jobs.isEmpty, !stopping, !sleepers.contains(where: { $0.wait.descriptor != nil }) else {
            pthread_mutex_unlock(mutex)
            return nil
        }
        let now = SystemTime().uptime()
        let others = sleepers.map(\.deadline).min().map { $0 - now } ?? ThreadExecutor.longestWait
        isPolling = true
        pthread_mutex_unlock(mutex)
        let events = what == .toRead ? POLLIN : POLLOUT
        var pollers = (pollfd(fd: descriptor, events: Int16(events), revents: 0), pollfd(fd: bell, events: Int16(POLLIN), revents: 0))
        let held = max(min(bound, others), .zero).nanoseconds
        var limit = timespec(tv_sec: Int(held / 1_000_000_000), tv_nsec: Int(held % 1_000_000_000))
        let count = withUnsafeMutableBytes(of: &pollers) { ppoll($0.assumingMemoryBound(to: pollfd.self).baseAddress, 2, &limit, nil) }
        pthread_mutex_lock(mutex)
        isPolling = false
        pthread_mutex_unlock(mutex)
        guard count >= 0 else { return nil }
        if pollers.1.revents != 0 { chost_bell_clear(bell) }
        if pollers.0.revents != 0 { return true }
        return count == 0 && bound <= others ? false : nil
    }

    // MARK: The thread

    private func run() {
        var taken: [Job] = []
        while true {
            pthread_mutex_lock(mutex)
            var due: [Sleeper] = []
            var ready: [Sleeper] = []
            while jobs.isEmpty, ready.isEmpty, !stopping {
                var bound = ThreadExecutor.longestWait
                if let first = sleepers.min(by: { $0.deadline < $1.deadline }) {
                    let now = SystemTime().uptime()
                    if first.deadline <= now {
                        // What came while the thread was busy elsewhere came in time.
                        if poller >= 0 { ready = pollAll() }
                        due = sleepers.filter { $0.deadline <= now }
                        sleepers.removeAll { $0.deadline <= now }
                        break
                    }
                    bound = min(first.deadline - now, bound)
                }
                if poller < 0 { wait(bound) } else { ready = poll(bound) }
            }
            var cut: [Sleeper] = []
            if stopping { swap(&cut, &sleepers) }
            // What those that are woken enqueue here is still run.
            ended = stopping && jobs.isEmpty && due.isEmpty && cut.isEmpty && ready.isEmpty
            let ends = ended
            swap(&jobs, &taken)
            pthread_mutex_unlock(mutex)
            if ends { return }
            for sleeper in ready { sleeper.wait.end() }
            for sleeper in due { sleeper.expire() }
            for sleeper in cut { sleeper.wait.giveUp() }
            jobsInHand = taken.count
            for job in taken {
                jobsInHand -= 1
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

    /// Everyone whose socket is ready now. Called with `mutex` held.
    private func pollAll() -> [Sleeper] {
        var all: [Sleeper] = []
        while true {
            let some = poll(.zero)
            if some.isEmpty { return all }
            all += some
        }
    }

    /// Waits for sockets, for `bound` at most; who waited for those that are ready is a sleeper no more. Called with `mutex` held.
    private func poll(_ bound: Duration) -> [Sleeper] {
        isPolling = true
        pthread_mutex_unlock(mutex)
        let (found, isCalled) = withUnsafeTemporaryAllocation(of: Int32.self, capacity: ThreadExecutor.socketsAtOnce) { room in
            let count = Int(chost_epoll_wait(poller, room.baseAddress, Int32(room.count), bound.nanoseconds))
            let found = room.prefix(max(count, 0))
            return (found.filter { $0 != bell }, found.contains(bell))
        }
        if isCalled { chost_bell_clear(bell) }
        pthread_mutex_lock(mutex)
        isPolling = false
        return found.compactMap { descriptor in
            sleepers.firstIndex { $0.wait.descriptor == descriptor }.map { sleepers.remove(at: $0) }
        }
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
    private let state: @Sendable () -> ClockState

    package init(on thread: ThreadExecutor, clockState: @escaping @Sendable () -> ClockState = { SystemTime().clockState() }) {
        self.thread = thread
        state = clockState
    }

    package func uptime() -> Uptime { clocks.uptime() }
    package func wall() -> Timestamp { clocks.wall() }
    package func clockState() -> ClockState { state() }
    nonisolated(nonsending) package func sleep(until deadline: Uptime) async throws { try await thread.sleep(until: deadline) }
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
