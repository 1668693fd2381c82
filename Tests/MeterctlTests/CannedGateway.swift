import Gateway
import Host
import Logging
import Metering
import NIOPosix
import ServiceLifecycle
import TestSupport

/// One meter, one output, answered from the can.
struct CannedGateway: GatewayView {
    var health = StatusReport.Health.ok
    var isEmpty = false
    var lastError: String?

    static let time = Timestamp(milliseconds: 1_795_500_000_000)

    func status() async -> StatusReport {
        StatusReport(
            version: "1.0.0", gateway: "gw-017", journalID: "0b5c", started: CannedGateway.time, uptimeSeconds: 3600, health: health,
            problems: [], clock: ClockReport(synchronized: true, maxErrorMilliseconds: 12), buses: [], devices: await devices(),
            journal: JournalReport(firstSeq: 1, lastSeq: 2, polls: 2, readings: 4, bytes: 4096, lostPolls: 0, lostReadings: 0),
            outputs: await outputs())
    }

    func devices() async -> [DeviceReport] {
        if isEmpty { return [] }
        return [
            DeviceReport(
                name: "main", bus: "line-1", unit: 1, profile: "eastron-sdm630", state: .online, lastPoll: nil, pollsOK: 2,
                pollsFailed: 0, pollsSkipped: 0)
        ]
    }

    func outputs() async -> [OutputReport] {
        if isEmpty { return [] }
        return [
            OutputReport(
                name: "park", type: "http", state: .idle, cursor: 2, backlogPolls: 0, acceptedPolls: 2, rejectedPolls: 0,
                deadLetters: 0, lastSuccess: nil, lastError: lastError)
        ]
    }

    func readings(device: String?) async throws(GatewayViewError) -> ReadingsReport {
        if let device, device != "main" { throw .unknownDevice(device, known: ["main"]) }
        let energy = Quantity(id: "energy_active_import", unit: "Wh", kind: .counter)
        let point = PointReport(
            quantity: energy, value: .number(ExactDecimal(9_007_199_254_740_993)), quality: .good, time: CannedGateway.time,
            clock: .synchronized)
        let main = DeviceReadings(device: "main", role: .grid, lastPoll: CannedGateway.time, points: [point])
        return ReadingsReport(gateway: "gw-017", time: CannedGateway.time, readings: isEmpty ? [] : [main])
    }
}

/// Runs a real server for the body, on a socket in a new directory.
func withGateway(
    _ view: CannedGateway = CannedGateway(), configuration: (any ConfigurationView)? = nil, logLevel: LogLevelControl? = nil,
    _ body: @escaping @Sendable (String) async throws -> Void
) async throws {
    let directory = try TemporaryFolder.make("ctl")
    defer { TemporaryFolder.remove(directory) }
    let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
    let (listening, listens) = AsyncStream.makeStream(of: Void.self)
    let socket = "\(directory)/api.sock"
    let server = LocalAPIServer(
        view: view, field: FieldDesk { [] }, configuration: configuration, logLevel: logLevel, socket: socket, group: nil,
        eventLoopGroup: MultiThreadedEventLoopGroup.singleton,
        time: SystemTime(), logger: logger,
        onListening: { listens.yield() })
    let services = ServiceGroup(
        configuration: .init(services: [.init(service: server, successTerminationBehavior: .gracefullyShutdownGroup)], logger: logger))
    try await withThrowingTaskGroup(of: Void.self) { tasks in
        tasks.addTask {
            defer { listens.finish() }
            try await services.run()
        }
        var iterator = listening.makeAsyncIterator()
        if await iterator.next() != nil {
            do {
                try await body(socket)
            } catch {
                await services.triggerGracefulShutdown()
                throw error
            }
        }
        await services.triggerGracefulShutdown()
        try await tasks.waitForAll()
    }
}
