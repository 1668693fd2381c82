import Host
import Logging
import Metering

/// Takes polls from the buses without making them wait, and commits them in groups.
package final class JournalWriter: Sendable {
    private struct State {
        var ring: PollRing
        /// What the commit under way or failed holds; handed again, unchanged, until it is kept.
        var inHand: [CountedPoll] = []
        var interval: Duration
        var heartbeat: Uptime
        var lastError: StoreError?
    }

    private let store: Store
    private let time: any TimeSource
    private let logger: Logger
    private let state: Lock<State>

    /// How often the writer looks whether it is needed early, and beats.
    static let pulse: Duration = .seconds(1)
    /// A failed commit is tried again after this, or after the interval if that is shorter.
    static let retryInterval: Duration = .seconds(5)

    /// - Parameter interval: 1 s ... 60 s: what a power cut may cost.
    package init(store: Store, interval: Duration, time: any TimeSource, limits: StoreLimits = StoreLimits(), logger: Logger) {
        self.store = store
        self.time = time
        self.logger = logger
        state = Lock(
            State(ring: PollRing(polls: limits.ringPolls, bytes: limits.ringBytes), interval: interval, heartbeat: time.uptime()))
    }

    /// Puts a poll on the way to the disk. Returns at once, whatever the disk does.
    ///
    /// - Parameter readings: how many readings its profile makes of it; what a loss would be counted in.
    package func take(_ poll: Poll, readings: Int) {
        state.withLock { $0.ring.append(CountedPoll(poll: poll, readings: readings)) }
    }

    /// When the writer last went round: at least every second while it is well.
    package var heartbeat: Uptime { state.withLock { $0.heartbeat } }

    /// Why polls are not being committed now, or how the file was found damaged by whoever reads it; nil while all is well.
    package var lastError: StoreError? { state.withLock { $0.lastError } ?? store.standingFault.withLock { $0 } }

    /// Polls taken and not yet committed.
    package var waitingPolls: Int { state.withLock { $0.ring.count + $0.inHand.count } }

    private var interval: Duration { state.withLock { $0.interval } }

    /// The interval from now on; in force within a second.
    package func change(interval: Duration) { state.withLock { $0.interval = interval } }

    /// As `CommitSignal.next(after:)`.
    package func waitForCommit(after seq: Int64) async -> Int64 { await store.commits.next(after: seq) }

    /// Commits every interval until the task is cancelled; then once more, with everything taken so far.
    package func run() async {
        var due = time.uptime() + interval
        var announced = interval
        while !Task.isCancelled {
            let now = beat()
            let interval = interval
            if interval != announced {
                announced = interval
                due = min(due, now + interval)
            }
            if now >= due || state.withLock({ $0.lastError == nil && $0.ring.isHalfFull }) {
                let kept = await commitAll()
                due = now + (kept ? interval : min(interval, JournalWriter.retryInterval))
            }
            // Fails only when cancelled; the loop ends then.
            try? await time.sleep(until: min(due, now + JournalWriter.pulse))
        }
        await store.hurry()
        _ = await commitAll()
    }

    private func beat() -> Uptime {
        let now = time.uptime()
        state.withLock { $0.heartbeat = now }
        return now
    }

    /// - Returns: whether everything is committed that was taken before the call.
    @discardableResult
    package func commitAll() async -> Bool {
        // Twice at most: what a failed commit left in hand, then what came meanwhile.
        for _ in 0..<2 {
            let (polls, loss, wasRetry, isPressed) = state.withLock { state in
                let wasRetry = !state.inHand.isEmpty
                let isPressed = wasRetry && state.ring.isHalfFull
                if !wasRetry { state.inHand = state.ring.takeAll() }
                return (state.inHand, state.ring.takeLoss(), wasRetry, isPressed)
            }
            if let loss { await store.note(loss) }
            do {
                _ = try await store.commit(polls, forcing: isPressed)
                succeeded()
            } catch {
                failed(error)
                return false
            }
            if !wasRetry { break }
        }
        return true
    }

    private func succeeded() {
        let healed = state.withLock { state in
            state.inHand = []
            defer { state.lastError = nil }
            return state.lastError != nil
        }
        if healed { logger.notice("the journal is being written again") }
    }

    private func failed(_ error: StoreError) {
        let isNew = state.withLock { state in
            defer { state.lastError = error }
            return state.lastError?.code != error.code
        }
        if isNew {
            logger.error(
                "the journal cannot be written; polls wait in memory",
                metadata: ["store.error": "\(error.code.rawValue)", "store.reason": "\(error)"])
        }
    }
}
