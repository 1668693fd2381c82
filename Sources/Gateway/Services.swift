import Host
import Logging
import Metering
import ServiceLifecycle
import Store

/// Commits the journal until it is cancelled. A database that turns out to be damaged ends the daemon: started again, it sets the file
/// aside and begins a new one, and the polls in memory are few.
struct JournalService: Service {
    /// How often the writer's last error is looked at.
    static let inspectionInterval: Duration = .seconds(1)

    let journal: JournalWriter
    let time: any TimeSource

    /// - Throws: the `StoreError` that says the file is damaged.
    func run() async throws {
        try await cancelWhenGracefulShutdown {
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { await journal.run() }
                group.addTask {
                    while !Task.isCancelled {
                        if let error = journal.lastError, error.code == .corrupt { throw error }
                        try? await time.sleep(until: time.uptime() + JournalService.inspectionInterval)
                    }
                }
                defer { group.cancelAll() }
                try await group.next()
            }
        }
    }
}

/// Waits for the body, but not longer than `bound`; then it is cancelled and left behind.
///
/// - Returns: whether it ended in time.
func waitAtMost(_ bound: Duration, _ time: any TimeSource, _ body: @escaping @Sendable () async -> Void) async -> Bool {
    // Tasks of their own, since a group would wait for both. For use at the end of the process only.
    let (outcomes, outcome) = AsyncStream<Bool>.makeStream()
    let work = Task {
        await body()
        outcome.yield(true)
    }
    let timer = Task {
        try? await time.sleep(until: time.uptime() + bound)
        outcome.yield(false)
    }
    defer {
        work.cancel()
        timer.cancel()
    }
    var iterator = outcomes.makeAsyncIterator()
    return await iterator.next() ?? false
}

/// Runs every delivery. On shutdown each has its own grace for the request in flight.
struct OutputsService: Service {
    let parts: GatewayParts

    func run() async throws {
        parts.startOutputs()
        try? await gracefulShutdown()
        parts.outputCrew.stopAll()
        await parts.outputCrew.ended()
    }
}

/// Runs every bus. On shutdown each may finish the visit it is on; one that is stuck in a long timeout is left behind, so that stopping
/// does not wait for a dead meter.
struct BusesService: Service {
    /// What a visit in flight may still take.
    static let stopGrace: Duration = .milliseconds(600)

    let parts: GatewayParts
    let time: any TimeSource
    let logger: Logger

    func run() async throws {
        parts.startBuses()
        try? await gracefulShutdown()
        parts.busCrew.stopAll()
        let ended = await waitAtMost(BusesService.stopGrace, time) { [crew = parts.busCrew] in await crew.ended() }
        if !ended { logger.notice("a bus is in a long request; stopping without it") }
    }
}

/// Keeps the local API up: when it cannot listen, the daemon goes on and says so in the log and the status, and it is tried again.
struct LocalAPIService: Service {
    static let retryInterval: Duration = .seconds(5)

    let server: LocalAPIServer
    let faults: ListenerFaults
    let time: any TimeSource
    let logger: Logger

    func run() async throws {
        while !Task.isShuttingDownGracefully, !Task.isCancelled {
            do {
                try await server.run()
                return
            } catch is CancellationError {
                return
            } catch {
                if faults.note("\(error)", at: server.name) {
                    logger.error("local API cannot listen; polling goes on", metadata: ["error": "\(error)"])
                }
            }
            await cancelWhenGracefulShutdown {
                try? await time.sleep(until: time.uptime() + LocalAPIService.retryInterval)
            }
        }
    }
}

/// The doors of the local API that cannot be opened, and why.
final class ListenerFaults: Sendable {
    private let standing = Lock<[String: String]>([:])

    /// - Returns: true when this fault is news.
    func note(_ text: String, at door: String) -> Bool { standing.withLock { $0.updateValue(text, forKey: door) != text } }

    /// The door is open.
    func clear(_ door: String) { standing.withLock { _ = $0.removeValue(forKey: door) } }

    /// In the order of the doors' names.
    var all: [(door: String, text: String)] { standing.withLock { $0.sorted { $0.key < $1.key }.map { ($0.key, $0.value) } } }
}

/// Tells the service manager that the daemon is ready, how it fares, and that it lives: only while every loop turns.
struct LifeSigns: Service {
    /// The status line is renewed this often even where no watchdog asks.
    static let statusInterval: Duration = .seconds(10)

    let watchdog: Watchdog
    let state: GatewayState
    let notifier: ServiceNotifier
    let time: any TimeSource

    func run() async throws {
        notifier.ready()
        // Apart: looking at the state asks the store, and a slow disk must not look like a hang.
        await cancelWhenGracefulShutdown {
            await withTaskGroup(of: Void.self) { group in
                group.addTask { await watchdog.run() }
                group.addTask { await describe() }
            }
        }
        notifier.stopping()
    }

    private func describe() async {
        while !Task.isCancelled {
            // Looking also dates the problems that no part keeps a date of.
            notifier.status(await state.line())
            try? await time.sleep(until: time.uptime() + LifeSigns.statusInterval)
        }
    }
}
