import Fieldbus
import Host
import Logging
import Metering
import Testing

/// Devices that want silence after a connection, or sleep; on real sockets and ptys, with a clock that is moved by hand.
@Suite struct DeviceHabitTests {
    private static func run(
        _ limits: ReadLimits, _ reader: any RegisterReader, _ time: ManualTime, polls count: Int
    ) async throws -> (polls: [Poll], status: BusStatus) {
        let basket = Basket()
        let bus = Bus(
            BusDescription(name: "bus", address: .tcp(host: "127.0.0.1", port: 502)),
            devices: [ScriptedBus.device("main", 7, profile([point(10, 3)], limits: limits))], reader: reader, sink: basket, time: time,
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await bus.run() }
            await basket.wait(for: count)
            group.cancelAll()
            try await group.waitForAll()
        }
        return (basket.polls, bus.status())
    }

    /// Hangs up after every second answer; the next connection is as new as the first.
    @Test func everyNewConnectionIsQuietForAsLongAsTheDeviceWants() async throws {
        let time = ManualTime()
        let start = time.uptime()
        let seen = Lock<[Uptime]>([])
        let device = WireDevice { request, index in
            seen.withLock { $0.append(time.uptime()) }
            return [.send(request.tcp(request.goodPDU))] + (index % 2 == 1 ? [.hangUp] : [])
        }
        try await withTCPDevice(device) { port in
            let reader = TCPReader(name: "test", host: "127.0.0.1", port: port, timeout: .seconds(30), time: time)
            _ = try await Self.run(ReadLimits(connectDelay: .seconds(25)), reader, time, polls: 8)
        }
        let times = seen.withLock { $0 }
        #expect(times.count >= 4)
        #expect(times.first.map { $0 - start >= .seconds(25) } == true)
        for index in stride(from: 2, to: times.count, by: 2) { #expect(times[index] - times[index - 1] >= .seconds(25)) }
    }

    @Test func requestThatComesBeforeTheSilenceIsOverIsNotSent() async throws {
        let device = WireDevice { request, _ in [.send(request.tcp(request.goodPDU))] }
        try await withTCPDevice(device) { port in
            let time = ManualTime()
            let reader = TCPReader(name: "test", host: "127.0.0.1", port: port, timeout: .seconds(30), time: time)
            await reader.keep(connectDelay: .seconds(2))
            let early = await reader.read([Block(.holding, 1, count: 1)], unit: 7)
            #expect(early.answers[0].outcome == .fault(.noConnection) && early.requests == 0)
            #expect(reader.lastError?.code == .settling)
            time.advance(by: .seconds(2))
            let later = await reader.read([Block(.holding, 1, count: 1)], unit: 7)
            #expect(later.answers[0].outcome == .words([7001]))
            await reader.close()
        }
        #expect(device.requests.count == 1)
    }

    /// Loses what comes more than half a second after the request before.
    private static func sleeper(_ time: ManualTime, rtu: Bool) -> WireDevice {
        let last = Lock<Uptime?>(nil)
        return WireDevice { request, _ in
            let isAwake = last.withLock { last in
                defer { last = time.uptime() }
                return last.map { time.uptime() - $0 < .milliseconds(500) } ?? false
            }
            return isAwake ? [.send(rtu ? request.rtu(request.goodPDU) : request.tcp(request.goodPDU))] : []
        }
    }

    @Test func sleepingDeviceBehindTCPIsReadInEveryVisit() async throws {
        let time = ManualTime()
        let result = try await withTCPDevice(Self.sleeper(time, rtu: false)) { port in
            let reader = TCPReader(name: "test", host: "127.0.0.1", port: port, timeout: .milliseconds(300), time: time)
            return try await Self.run(ReadLimits(losesFirstRequest: true), reader, time, polls: 3)
        }
        #expect(result.polls.prefix(3).allSatisfy { $0.answers[0].outcome == .words([7010, 7011, 7012]) })
        // The visit during which the bus ends may stop after its first request.
        #expect(result.status.timeouts <= 1 && result.status.requests >= 6)
    }

    @Test func sleepingDeviceOnALineIsReadInEveryVisit() async throws {
        let time = ManualTime()
        let result = try await withPtyDevice(Self.sleeper(time, rtu: true)) { path in
            let reader = SerialReader(
                name: "test", path: path, line: SerialFormat(baud: 115_200), timeout: .milliseconds(300), time: time)
            return try await Self.run(ReadLimits(losesFirstRequest: true), reader, time, polls: 3)
        }
        #expect(result.polls.prefix(3).allSatisfy { $0.answers[0].outcome == .words([7010, 7011, 7012]) })
    }
}
