import Host
import Logging
import Metering

@testable import Fieldbus

/// Keeps polls, and lets a test wait for so many.
final class Basket: PollSink {
    private struct State {
        var polls: [Poll] = []
        var wanted = Int.max
        var waiter: CheckedContinuation<Void, Never>?
    }
    private let state = Lock(State())

    var polls: [Poll] { state.withLock { $0.polls } }

    func take(_ poll: Poll) {
        let waiter = state.withLock { state -> CheckedContinuation<Void, Never>? in
            state.polls.append(poll)
            guard state.polls.count >= state.wanted, let waiter = state.waiter else { return nil }
            state.waiter = nil
            return waiter
        }
        waiter?.resume()
    }

    func wait(for count: Int) async {
        await withCheckedContinuation { continuation in
            let ready = state.withLock { state in
                if state.polls.count >= count { return true }
                state.wanted = count
                state.waiter = continuation
                return false
            }
            if ready { continuation.resume() }
        }
    }
}

/// Answers as the test says, on the manual clock; a visit takes 10 ms.
final class ScriptedReader: RegisterReader, FaultExplaining {
    let time: ManualTime
    private let script: @Sendable (Block, UInt8, Uptime) -> BlockAnswer.Outcome
    private let record = Lock<(visits: [(unit: UInt8, blocks: [Block])], closes: Int)>(([], 0))

    init(_ time: ManualTime, _ script: @escaping @Sendable (Block, UInt8, Uptime) -> BlockAnswer.Outcome) {
        self.time = time
        self.script = script
    }

    var visits: [(unit: UInt8, blocks: [Block])] { record.withLock { $0.visits } }
    var closes: Int { record.withLock { $0.closes } }
    var lastError: BusError? { nil }

    func read(_ blocks: [Block], unit: UInt8) async -> Visit {
        await Task.yield()  // as a reader does: others want the thread too
        record.withLock { $0.visits.append((unit, blocks)) }
        var sent = 0
        var visit = Visit(asking: blocks, time: time) { block in
            let outcome = script(block, unit, time.uptime())
            if outcome != .fault(.noConnection) { sent += 1 }
            return outcome
        }
        time.advance(by: .milliseconds(10))
        visit.time = time.wall()
        visit.uptime = time.uptime()
        visit.requests = sent
        return visit
    }

    func close() async { record.withLock { $0.closes += 1 } }
}

/// A bus on the manual clock.
enum ScriptedBus {
    static func zeros(_ block: Block) -> BlockAnswer.Outcome { .words([UInt16](repeating: 0, count: Int(block.count))) }

    static func device(_ name: String, _ unit: UInt8, _ profile: Profile, slow: Bool = false) -> DeviceDescription {
        DeviceDescription(
            name: name, unit: unit, entry: CatalogID(Int64(unit)), profile: profile,
            periods: slow ? [.live: .seconds(1), .slow: .seconds(60), .once: .zero] : [.live: .seconds(1)])
    }

    /// Runs a bus until it has delivered `count` polls.
    static func run(
        _ devices: [DeviceDescription], polls count: Int, time: ManualTime = ManualTime(), closesQuarterHours: Bool = true,
        _ script: @escaping @Sendable (Block, UInt8, Uptime) -> BlockAnswer.Outcome
    ) async throws -> (polls: [Poll], status: BusStatus, reader: ScriptedReader) {
        let basket = Basket()
        let reader = ScriptedReader(time, script)
        let bus = Bus(
            BusDescription(name: "line", address: .tcp(host: "127.0.0.1", port: 502), closesQuarterHours: closesQuarterHours),
            devices: devices, reader: reader, sink: basket,
            time: time, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await bus.run() }
            await basket.wait(for: count)
            group.cancelAll()
            try await group.waitForAll()
        }
        return (basket.polls, bus.status(), reader)
    }
}
