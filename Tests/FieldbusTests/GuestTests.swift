import Fieldbus
import Host
import Logging
import Metering
import Testing

/// Requests of others between the polls of a bus.
@Suite(.timeLimit(.minutes(5))) struct GuestTests {
    /// A running bus on the manual clock; registers hold 7, unit 9 is silent.
    private func withBus(
        _ devices: [DeviceDescription], time: ManualTime = ManualTime(),
        _ body: @escaping @Sendable (Bus, ScriptedReader, Basket) async throws -> Void
    ) async throws {
        let basket = Basket()
        let reader = ScriptedReader(time) { block, unit, _ in
            unit == 9 ? .fault(.timeout) : .words([UInt16](repeating: 7, count: Int(block.count)))
        }
        let bus = Bus(
            BusDescription(name: "line", address: .tcp(host: "127.0.0.1", port: 502)), devices: devices, reader: reader, sink: basket,
            time: time, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await bus.run() }
            if !devices.isEmpty { await basket.wait(for: 1) }
            try await body(bus, reader, basket)
            group.cancelAll()
            try await group.waitForAll()
        }
    }

    @Test func guestIsAnsweredBetweenPollsAndThePollsGoOn() async throws {
        try await withBus([ScriptedBus.device("main", 1, profile([point(0, 2)]))]) { bus, reader, basket in
            let visit = try await bus.ask(Block(.input, 52, count: 2), unit: 5)
            #expect(visit.answers == [BlockAnswer(block: Block(.input, 52, count: 2), outcome: .words([7, 7]))])
            let before = basket.polls.count
            await basket.wait(for: before + 3)
            #expect(reader.visits.filter { $0.unit == 5 }.map(\.blocks) == [[Block(.input, 52, count: 2)]])
            // What a guest reads is no poll of a device.
            #expect(basket.polls.allSatisfy { $0.entry == CatalogID(1) })
            #expect(bus.status().requests >= reader.visits.count - 1)
        }
    }

    @Test func silenceTowardsAGuestIsItsAnswerAndNoFaultOfTheBus() async throws {
        try await withBus([ScriptedBus.device("main", 1, profile([point(0, 2)]))]) { bus, _, _ in
            let visit = try await bus.ask(Block(.holding, 0, count: 1), unit: 9)
            #expect(visit.answers.map(\.outcome) == [.fault(.timeout)])
            #expect(bus.status().state == .up)
            #expect(bus.status().timeouts == 0)
        }
    }

    @Test func saturatedLineStillServesItsGuest() async throws {
        // Visits take 10 ms, so that sixty devices at 100 ms leave no time free.
        let devices = (10..<70).map { unit in
            DeviceDescription(
                name: "m\(unit)", unit: UInt8(unit), entry: CatalogID(Int64(unit)), profile: profile([point(0, 2)]),
                periods: [.live: .milliseconds(100)])
        }
        try await withBus(devices) { bus, _, basket in
            let before = basket.polls.count
            _ = try await bus.ask(Block(.holding, 0, count: 1), unit: 5)
            await basket.wait(for: before + 10)
        }
    }

    @Test func moreGuestsThanTheLimitAreToldToComeLater() async throws {
        let time = ManualTime()
        // The reader holds the first guest until the others have come.
        let gate = Gate()
        let reader = GatedReader(time: time, gate: gate)
        let bus = Bus(
            BusDescription(name: "line", address: .tcp(host: "127.0.0.1", port: 502)), devices: [], reader: reader, sink: Basket(),
            time: time, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await bus.run() }
            let outcomes = await withTaskGroup(of: GuestError.Code?.self) { guests in
                guests.addTask { await code { _ = try await askWhenRunning(bus) } }
                await gate.reached()
                for _ in 0..<GuestDesk.waitingLimit + 1 {
                    guests.addTask { await code { _ = try await askWhenRunning(bus) } }
                }
                // One is in flight and the queue is full: whoever is left was sent away.
                var codes = [await guests.next() ?? nil]
                gate.open()
                for await code in guests { codes.append(code) }
                return codes
            }
            #expect(outcomes.first == .queueFull)
            #expect(outcomes.filter { $0 == nil }.count == GuestDesk.waitingLimit + 1)
            group.cancelAll()
            try await group.waitForAll()
        }
    }

    @Test func guestThatGoesAwayIsNotServed() async throws {
        let time = ManualTime()
        let gate = Gate()
        let reader = GatedReader(time: time, gate: gate)
        let bus = Bus(
            BusDescription(name: "line", address: .tcp(host: "127.0.0.1", port: 502)), devices: [], reader: reader, sink: Basket(),
            time: time, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await bus.run() }
            let first = Task { try await askWhenRunning(bus) }
            await gate.reached()
            let second = Task { await code { _ = try await bus.ask(Block(.holding, 8, count: 1), unit: 2) } }
            second.cancel()
            #expect(await second.value == .cancelled)
            gate.open()
            _ = try await first.value
            _ = try await bus.ask(Block(.holding, 9, count: 1), unit: 3)
            #expect(reader.units == [1, 3])
            group.cancelAll()
            try await group.waitForAll()
        }
    }

    @Test func busThatDoesNotRunSaysSo() async throws {
        let time = ManualTime()
        let bus = Bus(
            BusDescription(name: "line", address: .tcp(host: "127.0.0.1", port: 502)), devices: [],
            reader: GatedReader(time: time, gate: Gate()), sink: Basket(), time: time,
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        #expect(await code { _ = try await bus.ask(Block(.holding, 0, count: 1), unit: 1) } == .notRunning)
        #expect(await code { _ = try await bus.ask(Block(.holding, 0, count: 126), unit: 1) } == .illegalBlock)
    }
}

/// The code of the error that the body ends with.
private func code(_ body: () async throws -> Void) async -> GuestError.Code? {
    do {
        try await body()
        return nil
    } catch { return (error as? GuestError)?.code }
}

/// A bus opens its desk as its loop begins.
private func askWhenRunning(_ bus: Bus) async throws -> Visit {
    while true {
        do {
            return try await bus.ask(Block(.holding, 0, count: 1), unit: 1)
        } catch {
            guard error.code == .notRunning else { throw error }
            await Task.yield()
        }
    }
}

/// Holds who comes until it is opened.
private final class Gate: Sendable {
    private let state = Lock<
        (isOpen: Bool, inside: [CheckedContinuation<Void, Never>], watchers: [CheckedContinuation<Void, Never>], came: Bool)
    >(
        (false, [], [], false))

    func pass() async {
        await withCheckedContinuation { continuation in
            let (isOpen, watchers) = state.withLock { state in
                if !state.isOpen { state.inside.append(continuation) }
                state.came = true
                defer { state.watchers = [] }
                return (state.isOpen, state.watchers)
            }
            for watcher in watchers { watcher.resume() }
            if isOpen { continuation.resume() }
        }
    }

    /// Returns when somebody stands before it.
    func reached() async {
        await withCheckedContinuation { continuation in
            let came = state.withLock { state in
                if !state.came { state.watchers.append(continuation) }
                return state.came
            }
            if came { continuation.resume() }
        }
    }

    func open() {
        let inside = state.withLock { state in
            state.isOpen = true
            defer { state.inside = [] }
            return state.inside
        }
        for continuation in inside { continuation.resume() }
    }
}

private final class GatedReader: RegisterReader {
    let time: ManualTime
    let gate: Gate
    private let asked = Lock<[UInt8]>([])

    init(time: ManualTime, gate: Gate) {
        self.time = time
        self.gate = gate
    }

    var units: [UInt8] { asked.withLock { $0 } }

    func read(_ blocks: [Block], unit: UInt8) async -> Visit {
        asked.withLock { $0.append(unit) }
        await gate.pass()
        let answers = blocks.map { BlockAnswer(block: $0, outcome: .words([UInt16](repeating: 1, count: Int($0.count)))) }
        return Visit(answers: answers, time: time.wall(), uptime: time.uptime(), requests: blocks.count)
    }

    func close() async {}
}
