import Fieldbus
import Gateway
import Glibc
import Host
import Logging
import Metering
import Testing

/// Two hundred seconds pass in each: a bus has minutes before it counts as hung.
private struct FastTime: TimeSource {
    static let speed: Int64 = 200
    private let real = SystemTime()

    func uptime() -> Uptime { Uptime(nanoseconds: real.uptime().nanoseconds * FastTime.speed) }
    func wall() -> Timestamp { real.wall() }
    func clockState() -> ClockState { ClockState(quality: .synchronized, maxErrorMilliseconds: 1) }
    func sleep(until deadline: Uptime) async throws {
        try await real.sleep(until: Uptime(nanoseconds: deadline.nanoseconds / FastTime.speed))
    }
}

/// Answers with zeros, until it is told to hang: then its thread blocks in sem_wait(3), as one does in a driver that never returns.
private actor HangingReader: RegisterReader, OnThread {
    nonisolated let thread = ThreadExecutor(name: "hanging")
    nonisolated var unownedExecutor: UnownedSerialExecutor { thread.asUnownedSerialExecutor() }
    nonisolated let wish = Lock((hang: false, hangs: false))
    private nonisolated let gate = Gate()
    private let time: any TimeSource

    init(time: any TimeSource) { self.time = time }

    func read(_ blocks: [Block], unit: UInt8) async -> Visit {
        let hang = wish.withLock { wish in
            if wish.hang { wish.hangs = true }
            return wish.hang
        }
        if hang {
            gate.wait()
            wish.withLock { $0.hangs = false }
        }
        let answers = blocks.map { BlockAnswer(block: $0, outcome: .words([UInt16](repeating: 0, count: Int($0.count)))) }
        return Visit(answers: answers, time: time.wall(), uptime: time.uptime(), requests: blocks.count)
    }

    func close() async {}

    nonisolated func hang() { wish.withLock { $0.hang = true } }
    nonisolated func letGo() {
        wish.withLock { $0.hang = false }
        gate.open()
    }
}

/// A semaphore of the C library.
private final class Gate: @unchecked Sendable {
    // Safe to share: sem_wait and sem_post may be called from any thread.
    private let semaphore = UnsafeMutablePointer<sem_t>.allocate(capacity: 1)

    init() { sem_init(semaphore, 0, 0) }
    deinit {
        sem_destroy(semaphore)
        semaphore.deallocate()
    }

    func wait() { while sem_wait(semaphore) != 0 {} }
    func open() { sem_post(semaphore) }
}

private struct Nowhere: PollSink {
    func take(_ poll: Poll) {}
}

/// Keeps the lines that were logged.
private struct LineKeeper: LogHandler {
    let lines: Lock<[String]>
    var logLevel = Logger.Level.info
    var metadata: Logger.Metadata = [:]
    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }
    func log(event: LogEvent) { lines.withLock { $0.append("\(event.message) \(event.metadata ?? [:])") } }
}

@Suite(.timeLimit(.minutes(10))) struct WatchdogTests {
    /// What holds for a bus holds for the journal and the outputs: they are hearts like it.
    @Test func aBusThreadThatHangsInCEndsTheSignsOfLife() async throws {
        let time = FastTime()
        let manager = try NotifySocket()
        let lines = Lock<[String]>([])
        let logger = Logger(label: "test") { _ in LineKeeper(lines: lines) }
        let reader = HangingReader(time: time)
        let bus = try hangingBus(reader, time, logger)
        let environment = ["NOTIFY_SOCKET": manager.path, "WATCHDOG_USEC": "30000000"]
        let watchdog = Watchdog(
            hearts: { [Heartbeat(of: bus)] }, notifier: ServiceNotifier(environment: environment), time: time, logger: logger)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await bus.run() }
            group.addTask { await watchdog.run() }
            // It polls, and the manager hears that it lives.
            var heard: [String] = []
            try await until {
                heard += manager.heard(); return heard.count >= 3 && bus.status().requests > 3
            }
            #expect(Set(heard) == ["WATCHDOG=1"])
            // The thread hangs. Minutes later it is called hung, and from then on nothing is heard.
            reader.hang()
            try await until { reader.wish.withLock { $0.hangs } }
            try await until { lines.withLock { $0.contains { $0.contains("a loop stands still") && $0.contains("bus line-1") } } }
            // Thrice the time within which the manager wants to hear something. On a busy machine the thread may have been called hung before
            // it was: then the signs end a little later.
            repeat {
                _ = manager.heard()
                try await time.sleep(until: time.uptime() + .seconds(90))
            } while manager.heard() != []
            #expect(reader.wish.withLock { $0.hangs })
            // A bus that comes back is alive again, should the manager have left it the time.
            reader.letGo()
            try await until { manager.heard().contains("WATCHDOG=1") }
            group.cancelAll()
            try? await group.waitForAll()
        }
        reader.thread.stop()
    }

    private func hangingBus(_ reader: HangingReader, _ time: FastTime, _ logger: Logger) throws -> Bus {
        let profile = try Profile(
            toml: """
                profile = "one"
                version = 1
                vendor = "test"
                models = ["one"]
                source = "made up for a test"
                [defaults]
                table = "holding"
                type = "uint16"
                [[point]]
                quantity = "power_active"
                unit = "W"
                address = 0
                """, file: "one.toml")
        let device = DeviceDescription(name: "main", unit: 1, entry: CatalogID(1), profile: profile, periods: [.live: .seconds(5)])
        return Bus(
            BusDescription(name: "line-1", address: .tcp(host: "192.0.2.1", port: 502)), devices: [device], reader: reader,
            sink: Nowhere(), time: time, logger: logger)
    }

    private func until(_ condition: () -> Bool) async throws {
        while !condition() { try await Task.sleep(for: .milliseconds(5)) }
    }
}
