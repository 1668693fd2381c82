import Fieldbus
import Glibc
import Host
import Metering
import TestSupport
import Testing

/// Defects of other gateways that must not be ours; docs/promises.md names the test for each.
@Suite struct PeerDefectTests {
    private func point(_ number: Int, _ address: Int) -> PointDefinition {
        PointDefinition(
            quantity: Quantity(id: "x_test_\(number)", unit: "", kind: .gauge), block: Block(.holding, UInt16(address), count: 1),
            encoding: .uint16)
    }

    private func profile(_ points: [PointDefinition], maxRegisters: Int = 125) -> Profile {
        Profile(
            name: "t", version: 1, vendor: "t", models: [], source: "test", limits: ReadLimits(maxRegisters: maxRegisters), points: points)
    }

    private func reader(_ port: UInt16, timeout: Duration = .seconds(30)) -> TCPReader {
        TCPReader(name: "test", host: "127.0.0.1", port: port, timeout: timeout, time: SystemTime())
    }

    /// A device that answers exception 2 to whatever touches register 17, read until the plan has learnt it.
    @Test func oneRefusedRegisterOfFortyLeavesThirtyNineAndIsNamed() async throws {
        let device = WireDevice { request, _ in
            let touches = (Int(request.address)..<Int(request.address) + Int(request.count)).contains(17)
            return [.send(request.tcp(touches ? [0x83, 2] : request.goodPDU))]
        }
        let map = profile((0..<40).map { point($0, $0) })
        var plan = ReadPlan(profile: map, cost: .tcp())
        let readings = try await withTCPDevice(device) { port in
            let reader = reader(port)
            var last: [BlockAnswer] = []
            for _ in 0..<20 where plan.refusedPoints.isEmpty || last.isEmpty {
                last = await reader.read(plan.blocks(for: [.live]), unit: 7).answers
                _ = plan.learn(from: last, for: [.live], at: Uptime(nanoseconds: 0))
            }
            last = await reader.read(plan.blocks(for: [.live]), unit: 7).answers
            await reader.close()
            return ReadingDecoder(profile: map).decode(last + plan.unasked(for: [.live], besides: last))
        }
        #expect(plan.refusedPoints == [17])
        #expect(readings.filter { $0.quality == .good }.map(\.point) == (0..<40).filter { $0 != 17 })
        #expect(readings.first { $0.point == 17 } == Reading(point: 17, value: nil, quality: .deviceFault))
        for reading in readings where reading.point != 17 { #expect(reading.value == .number(ExactDecimal(Int64(7000 + reading.point)))) }
    }

    /// Unit 5 of one port says nothing as long as the test lasts; unit 5 of another is read a hundred times meanwhile.
    @Test func aDeadUnitDoesNotSlowTheSameUnitOfAnotherPort() async throws {
        let block = Block(.holding, 0, count: 2)
        var ends: [Int32] = [-1, -1]
        try #require(pipe(&ends) == 0)
        let (gate, opener) = (ends[0], ends[1])
        defer { close(gate) }
        let dead = WireDevice { _, _ in
            var byte: UInt8 = 0
            _ = Glibc.read(gate, &byte, 1)  // ends when the test lets go of the other end
            return [.hangUp]
        }
        let alive = WireDevice { request, _ in [.send(request.tcp(request.goodPDU))] }
        try await withTCPDevice(dead) { deadPort in
            try await withTCPDevice(alive) { alivePort in
                let silent = reader(deadPort, timeout: .seconds(300))
                let speaking = reader(alivePort)
                let waiting = Task { await silent.read([block], unit: 5) }
                var answers = 0
                for _ in 0..<1000 where answers < 100 {
                    let outcome = await speaking.read([block], unit: 5).answers[0].outcome
                    if outcome == .words([5000, 5001]) { answers += 1 } else { #expect(outcome == .fault(.timeout)) }
                }
                #expect(answers == 100)
                #expect(silent.lastError == nil)  // it still waits: its visit has not ended
                close(opener)
                #expect(await waiting.value.answers[0].outcome == .fault(.noConnection))
                await speaking.close()
                await silent.close()
            }
        }
    }

    /// The peer goes without a FIN: it stays connected and never speaks again. One timeout, then a new connection.
    @Test func aPeerThatVanishesCostsOneTimeoutAndIsConnectedAnew() async throws {
        let block = Block(.holding, 3, count: 1)
        let device = WireDevice { request, index in index == 1 ? [] : [.send(request.tcp(request.goodPDU))] }
        let outcomes = try await withTCPDevice(device) { port in
            let reader = reader(port)
            var outcomes: [BlockAnswer.Outcome] = []
            // The device takes one connection after the other, and a busy machine may need longer than the reader waits.
            for _ in 0..<22 where outcomes.count < 3 || outcomes.last != .words([7003]) {
                outcomes.append(await reader.read([block], unit: 7).answers[0].outcome)
            }
            await reader.close()
            return outcomes
        }
        #expect(outcomes.prefix(2) == [.words([7003]), .fault(.timeout)])
        #expect(outcomes.last == .words([7003]))
        let transactions = device.requests.map(\.transaction)
        #expect(transactions.prefix(2) == [1, 2])
        #expect(zip(transactions, transactions.dropFirst()).allSatisfy { $0 < $1 })
    }

    /// The adapter comes back under another name; the name by id, a link, points there.
    @Test func anAdapterThatReturnsAsAnotherPortIsReadByItsId() async throws {
        let folder = try ScratchFolder("by-id")
        let device = WireDevice { request, _ in [.send(request.rtu(request.goodPDU))] }
        let block = Block(.holding, 3, count: 1)
        let byID = folder.file("usb-adapter")
        let reader = SerialReader(
            name: "line", path: byID, line: SerialFormat(baud: 115_200), timeout: .seconds(5), time: SystemTime())
        func plug(_ path: String) { #expect(makeLink(byID, to: path)) }
        try await withPtyDevice(device) { first in
            plug(first)
            #expect(await reader.read([block], unit: 7).answers[0].outcome == .words([7003]))
            // The far end of the first is still open, so the second has another name, as a re-plugged adapter has.
            try await withPtyDevice(device) { second in
                #expect(first != second)
                await reader.close()
                plug(second)
                #expect(await reader.read([block], unit: 7).answers[0].outcome == .words([7003]))
                await reader.close()
            }
        }
    }

    /// Three hundred registers in a row, eighty a request: none is left out or read from another's place.
    @Test func longRunsAreReadWithoutASkippedRegister() async throws {
        let map = profile((0..<300).map { point($0, 1000 + $0) }, maxRegisters: 80)
        var plan = ReadPlan(profile: map, cost: .tcp())
        let device = WireDevice { request, _ in [.send(request.tcp(request.goodPDU))] }
        let blocks = plan.blocks(for: [.live])
        let readings = try await withTCPDevice(device) { port in
            let reader = reader(port)
            let answers = await reader.read(blocks, unit: 7).answers
            await reader.close()
            return ReadingDecoder(profile: map).decode(answers)
        }
        #expect(blocks.count == 4)
        #expect(blocks.allSatisfy { $0.count <= 80 })
        #expect(readings.map(\.value) == (0..<300).map { .number(ExactDecimal(Int64(8000 + $0))) })
    }
}
