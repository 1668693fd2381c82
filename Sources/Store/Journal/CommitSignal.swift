import Host

/// Tells whoever waits that something new was committed.
package final class CommitSignal: Sendable {
    private struct State {
        var last: Int64 = 0
        var nextID = 0
        var waiting: [Int: CheckedContinuation<Void, Never>] = [:]
    }

    private let state = Lock(State())

    init() {}

    /// The last committed seq.
    package var last: Int64 { state.withLock { $0.last } }

    /// Returns the last committed seq: at once when it is above `seq`, else after the next commit, of polls or of settlements. When the
    /// task is cancelled it returns what stands.
    package func next(after seq: Int64) async -> Int64 {
        let id = state.withLock { state in
            state.nextID += 1
            return state.nextID
        }
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                // Looked at under the lock: a cancellation before this finds no entry, and is seen here.
                let waits = state.withLock { state in
                    guard state.last <= seq, !Task.isCancelled else { return false }
                    state.waiting[id] = continuation
                    return true
                }
                if !waits { continuation.resume() }
            }
        } onCancel: {
            state.withLock { $0.waiting.removeValue(forKey: id) }?.resume()
        }
        return last
    }

    func advance(to seq: Int64) {
        let woken = state.withLock { state in
            state.last = max(state.last, seq)
            defer { state.waiting = [:] }
            return state.waiting.values
        }
        for continuation in woken { continuation.resume() }
    }
}
