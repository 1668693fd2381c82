import Host

/// Wakes one waiting task. A ring while nobody waits is kept for the next wait; many rings are one.
final class Bell: Sendable {
    private struct State {
        var rung = false
        var waiter: CheckedContinuation<Void, Never>?
    }

    private let state = Lock(State())

    func ring() {
        let waiter = state.withLock { state in
            if state.waiter == nil { state.rung = true }
            return state.waiter.take()
        }
        waiter?.resume()
    }

    /// Returns at a ring, or when the task is cancelled. One task waits at a time.
    func wait() async {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let ready = state.withLock { state in
                    // A task is marked cancelled before its handler runs: either this sees the mark, or the handler sees the waiter.
                    if state.rung || Task.isCancelled {
                        state.rung = false
                        return true
                    }
                    precondition(state.waiter == nil, "two tasks wait for one bell")
                    state.waiter = continuation
                    return false
                }
                if ready { continuation.resume() }
            }
        } onCancel: {
            state.withLock { $0.waiter.take() }?.resume()
        }
    }
}
