import Gateway
import Glibc
import Host
import Logging
import Metering
import NIOPosix
import ServiceLifecycle
import TestSupport

/// 2026-11-24T06:00:00.000Z, the time of everything canned here.
let cannedNow = Timestamp(milliseconds: 1_795_500_000_000)

/// A gateway with one of everything, as a status report shows it.
func cannedStatus() -> StatusReport {
    StatusReport(
        version: "1.0.0", gateway: "gw-017", journalID: "0b5c", started: cannedNow.advanced(by: .seconds(-90_000)), uptimeSeconds: 90_000,
        health: .degraded,
        problems: [
            ProblemReport(
                code: "device_offline", subject: "hall-2", since: cannedNow.advanced(by: .seconds(-720)),
                text: "unit 2 on line-1 does not answer; check its power, its address and the wiring A/B")
        ],
        clock: ClockReport(synchronized: true, maxErrorMilliseconds: 12),
        buses: [BusReport(name: "line-1", state: .up, utilization: 0.4124, requests: 12_345, timeouts: 7, errors: 0)],
        devices: cannedDevices(), journal: cannedJournal(), outputs: [cannedOutput()])
}

func cannedDevices() -> [DeviceReport] {
    [
        DeviceReport(
            name: "main", bus: "line-1", unit: 1, profile: "eastron-sdm630", state: .online, lastPoll: cannedNow.advanced(by: .seconds(-1)),
            pollsOK: 89_990, pollsFailed: 0, pollsSkipped: 3),
        DeviceReport(
            name: "hall-2", bus: "line-1", unit: 2, profile: "schneider-iem3155", state: .offline, lastPoll: nil, pollsOK: 0,
            pollsFailed: 15, pollsSkipped: 0),
    ]
}

func cannedJournal() -> JournalReport {
    JournalReport(firstSeq: 1, lastSeq: 1043, polls: 1043, readings: 41_720, bytes: 1_048_576, lostPolls: 0, lostReadings: 0)
}

func cannedOutput() -> OutputReport {
    OutputReport(
        name: "park", type: "http", state: .delivering, cursor: 1040, backlogPolls: 3, acceptedPolls: 1040, rejectedPolls: 0,
        deadLetters: 0, lastSuccess: cannedNow.advanced(by: .seconds(-4)), lastError: nil)
}

func point(
    _ quantity: String, _ value: Value?, _ quality: Quality = .good, secondsAgo: Int = 1, clock: TimeQuality = .synchronized
) -> PointReport {
    PointReport(
        quantity: Vocabulary.quantity(quantity) ?? Quantity(id: quantity, unit: "", kind: .text), value: value, quality: quality,
        time: cannedNow.advanced(by: .seconds(-secondsAgo)), clock: clock)
}

func cannedReadings() -> ReadingsReport {
    ReadingsReport(
        gateway: "gw-017", time: cannedNow,
        readings: [
            DeviceReadings(
                device: "main", role: .grid, lastPoll: cannedNow.advanced(by: .seconds(-1)),
                points: [
                    // 2^53 + 1: the first integer that a Double does not hold.
                    point("energy_active_import", .number(ExactDecimal(9_007_199_254_740_993)), secondsAgo: 60),
                    point("power_active", ExactDecimal("30.2").map(Value.number)),
                    point("voltage_l2", nil, .noCommunication),
                    point("serial_number", .text("SDM \"630\""), clock: .unknown),
                ]),
            DeviceReadings(device: "hall-2", role: .load, lastPoll: nil, points: []),
        ])
}

/// Answers from the can; `readings` can be told to wait until it is cancelled.
struct CannedView: GatewayView {
    var status = cannedStatus()
    var all = cannedReadings()
    /// Yielded to when a request for readings is waiting; nil answers at once.
    var waiting: AsyncStream<Void>.Continuation?

    func status() async -> StatusReport { status }
    func devices() async -> [DeviceReport] { status.devices }
    func outputs() async -> [OutputReport] { status.outputs }

    func readings(device: String?) async throws(GatewayViewError) -> ReadingsReport {
        if let waiting {
            waiting.yield()
            try? await Task.sleep(for: .seconds(3600))
            throw .unavailable("was cancelled")
        }
        guard let device else { return all }
        guard let one = all.readings.first(where: { $0.device == device }) else {
            throw .unknownDevice(device, known: all.readings.map(\.device))
        }
        return ReadingsReport(gateway: all.gateway, time: all.time, readings: [one])
    }
}

/// A new directory, removed afterwards.
func withTemporaryDirectory<Result>(_ body: (String) async throws -> Result) async throws -> Result {
    let path = try TemporaryFolder.make("api")
    defer { TemporaryFolder.remove(path) }
    return try await body(path)
}

enum FixtureError: Error { case system(Int32) }

let quietLogger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

/// Keeps the lines that were logged.
struct LogKeeper: LogHandler {
    let lines: Lock<[String]>
    var logLevel = Logger.Level.info
    var metadata: Logger.Metadata = [:]
    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }
    func log(event: LogEvent) { lines.withLock { $0.append("\(event.level) \(event.message) \(event.metadata ?? [:])") } }
}

/// Runs a server on a socket in a new directory, and stops it gracefully after the body.
func withServer(
    _ view: any GatewayView = CannedView(), outputs: (any OutputControl)? = nil, intervals: (any IntervalView)? = nil,
    _ body: @escaping @Sendable (String) async throws -> Void
) async throws {
    try await withTemporaryDirectory { directory in
        try await withServer(view, outputs: outputs, intervals: intervals, socket: "\(directory)/api.sock", body)
    }
}

func withServer(
    _ view: any GatewayView, outputs: (any OutputControl)? = nil, intervals: (any IntervalView)? = nil, socket: String,
    _ body: @escaping @Sendable (String) async throws -> Void
) async throws {
    let (listening, listens) = AsyncStream.makeStream(of: Void.self)
    let server = LocalAPIServer(
        view: view, outputs: outputs, intervals: intervals, socket: socket, group: nil,
        eventLoopGroup: MultiThreadedEventLoopGroup.singleton, time: SystemTime(), logger: quietLogger, onListening: { listens.yield() })
    let services = ServiceGroup(
        configuration: .init(
            services: [.init(service: server, successTerminationBehavior: .gracefullyShutdownGroup)], logger: quietLogger))
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

/// A client of plain bytes, on threads of its own. Every wait ends after two minutes.
final class RawConnection: Sendable {
    private let descriptor: Int32

    convenience init(_ path: String, receiveBuffer: Int32? = nil) async throws {
        try await self.init(family: AF_UNIX) { descriptor in UnixAddress(path).map { $0.with { connect(descriptor, $0, $1) } } ?? -1 }
    }

    /// To 127.0.0.1.
    convenience init(port: Int) async throws {
        try await self.init(family: AF_INET) { descriptor in
            var address = sockaddr_in()
            address.sin_family = sa_family_t(AF_INET)
            address.sin_port = in_port_t(port).bigEndian
            address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
            return withUnsafePointer(to: address) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
                }
            }
        }
    }

    private init(family: Int32, _ reach: @escaping @Sendable (Int32) -> Int32) async throws {
        descriptor = try await NIOThreadPool.singleton.runIfActive {
            let descriptor = socket(family, Int32(SOCK_STREAM.rawValue), 0)
            var limit = timeval(tv_sec: 120, tv_usec: 0)
            setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
            setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
            guard reach(descriptor) == 0 else {
                let number = errno
                close(descriptor)
                throw FixtureError.system(number)
            }
            return descriptor
        }
    }

    deinit { close(descriptor) }

    func send(_ text: String) async throws {
        let descriptor = descriptor
        try await NIOThreadPool.singleton.runIfActive {
            var rest = Array(text.utf8)[...]
            while !rest.isEmpty {
                let count = rest.withUnsafeBytes { Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
                guard count > 0 else { throw FixtureError.system(errno) }
                rest = rest.dropFirst(count)
            }
        }
    }

    /// Returns once something has come.
    func waitForBytes() async throws {
        let descriptor = descriptor
        try await NIOThreadPool.singleton.runIfActive {
            var room = [UInt8](repeating: 0, count: 1)
            guard recv(descriptor, &room, 1, 0) == 1 else { throw FixtureError.system(errno) }
        }
    }

    /// Everything until the server closes.
    func readToEnd() async throws -> String {
        let descriptor = descriptor
        return try await NIOThreadPool.singleton.runIfActive {
            var received: [UInt8] = []
            var room = [UInt8](repeating: 0, count: 65_536)
            while true {
                let count = recv(descriptor, &room, room.count, 0)
                if count == 0 { return String(decoding: received, as: UTF8.self) }
                guard count > 0 else { throw FixtureError.system(errno) }
                received.append(contentsOf: room[..<count])
            }
        }
    }
}

/// One request on a connection of its own: the status line's code, the head and the body.
func exchange(_ socket: String, _ target: String, method: String = "GET", head: String = "", body: String = "") async throws -> (
    status: Int, head: String, body: String
) {
    try await exchange(RawConnection(socket), target, method: method, head: head, body: body)
}

func exchange(
    _ connection: RawConnection, _ target: String, method: String = "GET", host: String = "meterd", head: String = "", body: String = ""
) async throws -> (
    status: Int, head: String, body: String
) {
    try await connection.send("\(method) \(target) HTTP/1.1\r\nHost: \(host)\r\nConnection: close\r\n\(head)\r\n\(body)")
    let answer = try await connection.readToEnd()
    guard let end = answer.firstRange(of: "\r\n\r\n") else { return (0, answer, "") }
    let headText = String(answer[..<end.lowerBound])
    let status = headText.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0
    return (status, headText, String(answer[end.upperBound...]))
}
