import Host
import Metering

/// Where those who are not the schedule wait for a bus: `meterctl read`, `scan` and `identify`.
///
/// One guest is one read request. It is served when no poll is due; on a line that is never free, one guest a `patience`. It never holds
/// more than `waitingLimit` guests, and one who goes away before being served costs the bus nothing.
package final class GuestDesk: Sendable {
    /// Guests that may wait; one more is refused.
    package static let waitingLimit = 16
    /// A guest waits no longer than this for polls, counted from its arrival and from the guest before it.
    package static let patience = Duration.seconds(1)

    struct Guest {
        var id: Int
        var unit: UInt8
        var block: Block
        var arrived: Uptime
        fileprivate var answer: CheckedContinuation<Result<Visit, GuestError>, Never>

        func take(_ visit: Visit) { answer.resume(returning: .success(visit)) }
    }

    private struct State {
        var isOpen = false
        var nextID = 0
        var waiting: [Guest] = []
        var lastServed: Uptime?
        /// The bus, when it dozes until somebody comes.
        var doorman: CheckedContinuation<Void, Never>?
    }

    private let bus: String
    private let state = Lock(State())

    init(bus: String) { self.bus = bus }

    var waitingCount: Int { state.withLock { $0.waiting.count } }

    // MARK: - For guests

    /// Waits for its turn and for the answer. A cancelled task waits no more.
    func ask(_ block: Block, unit: UInt8, at now: Uptime) async throws(GuestError) -> Visit {
        let id = state.withLock { state in
            state.nextID += 1
            return state.nextID
        }
        let outcome = await withTaskCancellationHandler {
            await withCheckedContinuation { answer in
                enter(Guest(id: id, unit: unit, block: block, arrived: now, answer: answer))
                if Task.isCancelled { leave(id) }
            }
        } onCancel: {
            leave(id)
        }
        return try outcome.get()
    }

    private func enter(_ guest: Guest) {
        let (refusal, doorman) = state.withLock { state -> (GuestError?, CheckedContinuation<Void, Never>?) in
            guard state.isOpen else { return (.notRunning(bus), nil) }
            guard state.waiting.count < GuestDesk.waitingLimit else { return (.queueFull(bus), nil) }
            state.waiting.append(guest)
            defer { state.doorman = nil }
            return (nil, state.doorman)
        }
        if let refusal { guest.answer.resume(returning: .failure(refusal)) }
        doorman?.resume()
    }

    private func leave(_ id: Int) {
        let guest = state.withLock { state in
            state.waiting.firstIndex { $0.id == id }.map { state.waiting.remove(at: $0) }
        }
        guest?.answer.resume(returning: .failure(.cancelled))
    }

    // MARK: - For the bus

    func open() { state.withLock { $0.isOpen = true } }

    /// Sends everybody away; later ones too.
    func close() {
        let waiting = state.withLock { state in
            state.isOpen = false
            defer { state.waiting = [] }
            return state.waiting
        }
        for guest in waiting { guest.answer.resume(returning: .failure(.notRunning(bus))) }
    }

    /// The next guest whose request fits in the time that is free.
    func next(at now: Uptime, free: Duration, cost: (Block) -> Duration) -> Guest? {
        state.withLock { state in
            guard let first = state.waiting.first, cost(first.block) <= free else { return nil }
            state.lastServed = now
            return state.waiting.removeFirst()
        }
    }

    /// The next guest if it waited out its patience, which goes before a poll.
    func nextOverdue(at now: Uptime) -> Guest? {
        state.withLock { state in
            guard let first = state.waiting.first else { return nil }
            let since = max(first.arrived, state.lastServed ?? first.arrived)
            guard now - since >= GuestDesk.patience else { return nil }
            state.lastServed = now
            return state.waiting.removeFirst()
        }
    }

    /// True while one who was served may be back with the next request.
    func expectsMore(at now: Uptime) -> Bool {
        state.withLock { state in state.lastServed.map { now - $0 < GuestDesk.patience * 2 } ?? false }
    }

    /// Returns when somebody comes, or when cancelled.
    func arrival() async {
        await withTaskCancellationHandler {
            await withCheckedContinuation { doorman in
                let isHere = state.withLock { state in
                    if state.waiting.isEmpty { state.doorman = doorman }
                    return !state.waiting.isEmpty
                }
                if isHere { doorman.resume() } else if Task.isCancelled { dismissDoorman() }
            }
        } onCancel: {
            dismissDoorman()
        }
    }

    private func dismissDoorman() {
        let doorman = state.withLock { state in
            defer { state.doorman = nil }
            return state.doorman
        }
        doorman?.resume()
    }
}

/// Why a guest was not served: a code for machines, a sentence for people.
package struct GuestError: Error, Hashable, Sendable, CustomStringConvertible {
    package enum Code: String, Hashable, Sendable {
        case queueFull = "queue_full"
        case notRunning = "not_running"
        case cancelled
        case illegalBlock = "illegal_block"
        case illegalUnit = "illegal_unit"
    }

    package var code: Code
    package var sentence: String

    package var description: String { sentence }

    static let cancelled = GuestError(code: .cancelled, sentence: "the request was taken back")

    static func queueFull(_ bus: String) -> GuestError {
        GuestError(
            code: .queueFull, sentence: "\(GuestDesk.waitingLimit) requests already wait for \(bus); let another scan or read end first")
    }

    static func notRunning(_ bus: String) -> GuestError {
        GuestError(code: .notRunning, sentence: "\(bus) is not polled: the daemon is just starting or stopping; try again")
    }
}
