import Host
import ServiceLifecycle

/// Runs parts that come and go while the daemon runs. A part begins when all that were before it in one of its places have ended, so
/// that two never hold one port, one connection or one cursor.
package final class Crew: Sendable {
    private struct Member {
        var name: String
        var places: Set<String>
        var task: Task<Void, Never>
    }

    private struct State {
        var members: [Int: Member] = [:]
        var count = 0
        var isClosed = false
    }

    private let state = Lock(State())

    package init() {}

    /// Tasks of their own, since each has its own end: `stopAll` and `ended` see to all of them. After `stopAll` nothing begins any more.
    package func start(_ name: String, places: Set<String>, _ body: @escaping @Sendable () async -> Void) {
        state.withLock { state in
            guard !state.isClosed else { return }
            let before = state.members.values.filter { !$0.places.isDisjoint(with: places) }.map(\.task)
            let number = state.count
            state.count += 1
            let task = Task { [weak self] in
                for task in before { await task.value }
                if !Task.isCancelled { await body() }
                _ = self?.state.withLock { $0.members.removeValue(forKey: number) }
            }
            state.members[number] = Member(name: name, places: places, task: task)
        }
    }

    /// Tells every part of this name to end; it may finish what it is doing.
    package func stop(_ name: String) {
        let tasks = state.withLock { state in state.members.values.filter { $0.name == name }.map(\.task) }
        for task in tasks { task.cancel() }
    }

    package func stopAll() {
        let tasks = state.withLock { state in
            state.isClosed = true
            return state.members.values.map(\.task)
        }
        for task in tasks { task.cancel() }
    }

    /// Returns when no part runs.
    package func ended() async {
        for task in state.withLock({ state in state.members.values.map(\.task) }) { await task.value }
    }
}
