import Host
import Logging
import Metering
import Testing

@testable import Fieldbus

@Suite struct BusTests {
    @Test func everyDueBlockIsDeliveredInOnePoll() async throws {
        let map = profile([point(0, 2), point(100, 2, .slow), point(200, 4, .once)])
        let result = try await ScriptedBus.run([ScriptedBus.device("main", 7, map, slow: true)], polls: 3) { block, _, _ in
            ScriptedBus.zeros(block)
        }
        #expect(result.polls[0].answers.map(\.block.address) == [0, 100, 200])
        #expect(result.polls[1].answers.map(\.block.address) == [0])
        #expect(result.polls[0].entry == CatalogID(7))
        #expect(result.polls[0].clock == .synchronized)
        #expect(result.status.state == .up)
        #expect(result.status.devices[0].state == .online)
        #expect(result.status.devices[0].pollsOK == result.polls.count)
        #expect(result.status.devices[0].lastPoll == result.polls.last?.time)
    }

    @Test func silentDeviceLeavesAGapThatIsRecordedAndItsNeighbourAlone() async throws {
        let map = profile([point(0, 2), point(100, 2)])
        let devices = [ScriptedBus.device("dead", 1, map), ScriptedBus.device("good", 2, map)]
        let result = try await ScriptedBus.run(devices, polls: 200) { block, unit, _ in
            unit == 1 ? .fault(.timeout) : ScriptedBus.zeros(block)
        }
        let dead = result.polls.filter { $0.entry == CatalogID(1) }
        let good = result.polls.filter { $0.entry == CatalogID(2) }
        // Failed probes ask one block and stand for all.
        #expect(dead.allSatisfy { $0.failed && Set($0.answers.map(\.block.address)) == [0, 100] })
        #expect(good.allSatisfy { !$0.failed })
        #expect(result.reader.visits.filter { $0.unit == 1 }.last?.blocks.count == 1)
        let times = good.map(\.uptime)
        for (a, b) in zip(times.dropFirst(), times.dropFirst(2)) { #expect(b - a < .seconds(1.1)) }
        #expect(result.status.devices.map(\.state) == [.offline, .online])
        #expect(result.status.devices[0].lastFault == .timeout)
        #expect(result.status.state == .up)
        #expect(result.status.timeouts == dead.count)
    }

    @Test func silentBusIsDownIsReopenedAndComesBack() async throws {
        let time = ManualTime()
        let back = time.uptime() + .seconds(100)
        let map = profile([point(0, 2), point(100, 2, .once)])
        let devices = [ScriptedBus.device("one", 1, map, slow: true), ScriptedBus.device("two", 2, map, slow: true)]
        let result = try await ScriptedBus.run(devices, polls: 150, time: time) { block, _, now in
            now < back ? .fault(.timeout) : ScriptedBus.zeros(block)
        }
        #expect(result.reader.closes >= 2)
        #expect(result.status.state == .up)
        #expect(result.status.devices.allSatisfy { $0.state == .online })
        let first = result.polls.first { !$0.failed && $0.answers.count == 2 }
        #expect(first?.answers.map(\.block.address) == [0, 100])
    }

    @Test func refusedRegisterShowsAsRefusedAndCostsNoRequest() async throws {
        let map = profile((0..<6).map { point($0 * 2, 2) })
        let result = try await ScriptedBus.run([ScriptedBus.device("main", 1, map)], polls: 20) { block, _, _ in
            block.range.contains(4) ? .fault(.exception(2)) : ScriptedBus.zeros(block)
        }
        let refused = BlockAnswer(block: Block(.holding, 4, count: 2), outcome: .fault(.exception(2)))
        #expect(result.polls.last?.answers.last == refused)
        #expect(result.reader.visits.last?.blocks == [Block(.holding, 0, count: 4), Block(.holding, 6, count: 6)])
        let reading = result.polls.last.map { ReadingDecoder(profile: map).decode($0.answers) }?.first { $0.point == 2 }
        #expect(reading?.value == nil && reading?.quality == .deviceFault)
    }

    @Test func pauseTheDeviceWantsIsKeptBetweenRequests() async throws {
        let map = profile([point(0, 2), point(1000, 2)], limits: ReadLimits(requestPause: .milliseconds(100)))
        let result = try await ScriptedBus.run([ScriptedBus.device("main", 1, map)], polls: 5) { block, _, _ in ScriptedBus.zeros(block) }
        #expect(result.reader.visits.allSatisfy { $0.blocks.count == 1 })
        #expect(result.polls.allSatisfy { $0.answers.map(\.block.address) == [0, 1000] })
    }

    @Test func pauseTheDeviceWantsIsKeptBetweenVisits() async throws {
        let map = profile([point(0, 2)], limits: ReadLimits(requestPause: .seconds(3)))
        let result = try await ScriptedBus.run([ScriptedBus.device("main", 1, map)], polls: 10) { block, _, _ in ScriptedBus.zeros(block) }
        // The last visit may be cut short: a bus that ends waits for nobody.
        let times = result.polls.prefix(10).map(\.uptime)
        for (a, b) in zip(times, times.dropFirst()) { #expect(b - a >= .seconds(3)) }
    }

    @Test func gatewaysExceptionMeansTheDeviceIsAbsent() async throws {
        let devices = [ScriptedBus.device("behind", 1, profile([point(0, 2)])), ScriptedBus.device("other", 2, profile([point(0, 2)]))]
        let result = try await ScriptedBus.run(devices, polls: 40) { block, unit, _ in
            unit == 1 ? .fault(.exception(11)) : ScriptedBus.zeros(block)
        }
        #expect(result.status.devices.map(\.state) == [.offline, .online])
    }

    /// Three blocks: an exception, then a timeout, and the third is not asked.
    @Test func countersCountTheRequestsThatWereSent() async throws {
        let map = profile([point(0, 2), point(300, 2), point(600, 2)])
        let result = try await ScriptedBus.run([ScriptedBus.device("main", 1, map)], polls: 1) { block, _, _ in
            block.address == 0 ? .fault(.exception(6)) : .fault(.timeout)
        }
        #expect(result.status.requests == 2 * result.polls.count)
        #expect(result.status.errors == result.polls.count)
        #expect(result.status.timeouts == result.polls.count)
    }

    @Test func missingConnectionCountsNoRequest() async throws {
        let result = try await ScriptedBus.run([ScriptedBus.device("main", 1, profile([point(0, 2)]))], polls: 20) { _, _, _ in
            .fault(.noConnection)
        }
        #expect(result.status.requests == 0 && result.status.timeouts == 0 && result.status.errors == 0)
    }

    @Test(arguments: [UInt8(10), 11]) func pointsOfADeviceThatAGatewayDidNotReachHaveNoCommunication(code: UInt8) {
        #expect(ReadFault.exception(code).quality == .noCommunication)
        #expect(ReadFault.exception(4).quality == .deviceFault)
    }

    /// What a bus with the units 3 and 4 brings from a real connection, while `watch` watches it.
    private func polls(
        from device: WireDevice, while watch: @escaping @Sendable (Bus, Basket) async throws -> Void
    ) async throws -> [Poll] {
        try await withTCPDevice(device) { port in
            let description = BusDescription(name: "roof", address: .tcp(host: "127.0.0.1", port: port))
            let basket = Basket()
            let bus = Bus(
                description,
                devices: [ScriptedBus.device("a", 3, profile([point(5, 2)])), ScriptedBus.device("b", 4, profile([point(5, 2)]))],
                reader: makeReader(for: description, time: SystemTime()), sink: basket, time: SystemTime(),
                logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await bus.run() }
                try await watch(bus, basket)
                group.cancelAll()
                try await group.waitForAll()
            }
            return basket.polls
        }
    }

    /// Its neighbours answer over the same connection, made anew.
    @Test func aDeviceAtWhichTheConnectionEndsTakesTheBusDownForNobody() async throws {
        let device = WireDevice { request, _ in request.unit == 4 ? [.hangUp] : [.send(request.tcp(request.goodPDU))] }
        let polls = try await polls(from: device) { bus, basket in
            while basket.polls.count < 8 {
                #expect(bus.status().state != .down)
                try await Task.sleep(for: .milliseconds(20))
            }
        }
        #expect(polls.contains { $0.entry == CatalogID(4) && $0.failed })
        #expect(polls.count { $0.entry == CatalogID(3) && !$0.failed } > 2)
    }

    @Test func busOverARealConnectionPollsItsDevices() async throws {
        let device = WireDevice { request, _ in [.send(request.tcp(request.goodPDU))] }
        let good = try await polls(from: device) { _, basket in await basket.wait(for: 4) }.filter { !$0.failed }
        let words = Set(good.map { "\($0.entry.rawValue) \($0.answers[0].outcome)" })
        #expect(words.count == 2)
        #expect(good.first { $0.entry == CatalogID(3) }?.answers[0].outcome == .words([3005, 3006]))
        #expect(good.first { $0.entry == CatalogID(4) }?.answers[0].outcome == .words([4005, 4006]))
    }
}
