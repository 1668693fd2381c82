import Glibc
import Host
import Metering
import TestSupport
import Testing

@testable import Fieldbus

@Suite struct SerialReaderTests {
    private static let block = Block(.holding, 10, count: 3)
    private static let words: [UInt16] = [7010, 7011, 7012]
    private static let timeout = Duration.milliseconds(250)
    private static let fast = SerialFormat(baud: 115_200)

    private static func reader(_ path: String) -> SerialReader {
        SerialReader(name: "test", path: path, line: fast, timeout: timeout, time: SystemTime())
    }

    /// Late replies never go out of date, however slow the machine is, or at once.
    private static func reader(_ path: String, lateLimit: Duration) -> SerialReader {
        SerialReader(name: "test", path: path, line: fast, timeout: timeout, lateLimit: lateLimit, time: SystemTime())
    }

    private func ask(_ blocks: [Block] = [block], times: Int = 1, device: WireDevice) async throws -> [Visit] {
        try await withPtyDevice(device) { path in
            let reader = Self.reader(path)
            var visits: [Visit] = []
            for _ in 0..<times { visits.append(await reader.read(blocks, unit: 7)) }
            await reader.close()
            return visits
        }
    }

    /// Asks until there is an answer, which must be the right one: a busy machine may make any reply late.
    private func persist(_ reader: SerialReader, _ block: Block) async {
        let right = BlockAnswer.Outcome.words((0..<block.count).map { 7000 + block.address + $0 })
        for _ in 0..<20 {
            let outcome = await reader.read([block], unit: 7).answers[0].outcome
            if outcome == right { return }
            #expect(outcome == .fault(.timeout))
        }
        Issue.record("no answer in twenty visits")
    }

    @Test func everyTableIsReadWithItsOwnFunction() async throws {
        let device = WireDevice { request, _ in [.send(request.rtu(request.goodPDU))] }
        let blocks = [Block(.coil, 0, count: 12), Block(.discreteInput, 1, count: 3), Self.block, Block(.input, 0, count: 125)]
        let visit = try await ask(blocks, device: device)[0]
        #expect(device.requests.map(\.function) == [1, 2, 3, 4])
        #expect(visit.answers[0].outcome == .words([0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1]))
        #expect(visit.answers[2].outcome == .words(Self.words))
        #expect(visit.answers[3].outcome == .words((0..<125).map { 7000 + $0 }))
    }

    @Test func exceptionIsThatBlocksFaultAndTheNextIsAsked() async throws {
        let device = WireDevice { request, index in [.send(request.rtu(index == 0 ? [0x83, 2] : request.goodPDU))] }
        let visit = try await ask([Self.block, Self.block], device: device)[0]
        #expect(visit.answers.map(\.outcome) == [.fault(.exception(2)), .words(Self.words)])
    }

    /// A device that keeps back the reply to one request until the next one has come, and then answers both, in order.
    private static func tardy(at late: Int) -> WireDevice {
        let kept = Lock<[UInt8]>([])
        return WireDevice { request, index in
            let reply = request.rtu(request.goodPDU)
            if index == late {
                kept.withLock { $0 = reply }
                return []
            }
            return index == late + 1 ? [.send(kept.withLock { $0 }), .pause(milliseconds: 5), .send(reply)] : [.send(reply)]
        }
    }

    /// The first reply comes when the same number of registers has just been asked for from another address.
    @Test func lateReplyIsNeverTakenForTheNextAnswer() async throws {
        let device = Self.tardy(at: 0)
        try await withPtyDevice(device) { path in
            let reader = Self.reader(path)
            let late = await reader.read([Block(.holding, 100, count: 2)], unit: 7)
            #expect(late.answers[0].outcome == .fault(.timeout))
            for address in [UInt16(200), 300, 400] { await persist(reader, Block(.holding, address, count: 2)) }
            #expect(reader.strayCount > 0)
            await reader.close()
        }
        // One register of the wanted block went first, to let the late reply pass.
        #expect(device.requests.prefix(2).map(\.address) == [100, 200])
        #expect(device.requests.prefix(2).map(\.count) == [2, 1])
    }

    /// A device that has nothing but one register, and another with a longer block: the longer block's start lets late replies pass.
    @Test func singleRegisterIsSynchronisedByTheLongestKnownBlock() async throws {
        let device = Self.tardy(at: 1)
        try await withPtyDevice(device) { path in
            let reader = Self.reader(path)
            await persist(reader, Block(.holding, 10, count: 5))
            let late = await reader.read([Block(.holding, 1, count: 1)], unit: 7)
            #expect(late.answers[0].outcome == .fault(.timeout))
            await persist(reader, Block(.holding, 2, count: 1))
            await reader.close()
        }
        #expect(device.requests.prefix(3).map(\.address) == [10, 1, 10])
        #expect(device.requests.prefix(3).map(\.count) == [5, 1, 2])
    }

    @Test func deviceThatCannotBeSynchronisedIsLeftAloneRatherThanMisread() async throws {
        let device = WireDevice { request, index in
            (index == 0 ? [.pause(milliseconds: 2_000)] : []) + [.send(request.rtu(request.goodPDU))]
        }
        let visits = try await withPtyDevice(device) { path in
            let reader = Self.reader(path, lateLimit: .seconds(3600))
            let first = await reader.read([Block(.holding, 1, count: 1)], unit: 7)
            let second = await reader.read([Block(.holding, 2, count: 1)], unit: 7)
            #expect(reader.lastError?.code == .ambiguous)
            await reader.close()
            return [first, second]
        }
        #expect(visits.map { $0.answers[0].outcome } == [.fault(.timeout), .fault(.timeout)])
        #expect(visits[1].requests == 0)
    }

    /// Each lost request leaves something behind that an answer may belong to. The first that is answered must show past all of it.
    @Test func deviceThatWasSilentForLongIsReadAtItsFirstAnswer() async throws {
        let device = WireDevice { request, index in index < 10 ? [] : [.send(request.rtu(request.goodPDU))] }
        let visits = try await withPtyDevice(device) { path in
            let reader = Self.reader(path, lateLimit: .seconds(3600))
            var visits: [Visit] = []
            for _ in 0..<11 { visits.append(await reader.read([Block(.holding, 100, count: 12)], unit: 7)) }
            await reader.close()
            return visits
        }
        #expect(visits.prefix(10).allSatisfy { $0.answers[0].outcome == .fault(.timeout) && $0.requests == 1 })
        #expect(visits[10].answers[0].outcome == .words((0..<12).map { 7100 + $0 }))
        #expect(Set(device.requests.prefix(11).map(\.count)).count == 11)
    }

    /// A block of two has two lengths. When both are out, age decides, and the first answer is good again.
    @Test func deviceWithoutLengthsLeftIsReadAtItsFirstAnswerToo() async throws {
        let device = WireDevice { request, index in index < 10 ? [] : [.send(request.rtu(request.goodPDU))] }
        let visits = try await withPtyDevice(device) { path in
            let reader = Self.reader(path, lateLimit: .zero)
            var visits: [Visit] = []
            for _ in 0..<11 { visits.append(await reader.read([Block(.holding, 100, count: 2)], unit: 7)) }
            await reader.close()
            return visits
        }
        #expect(visits.prefix(10).allSatisfy { $0.answers[0].outcome == .fault(.timeout) && $0.requests == 1 })
        #expect(visits[10].answers[0].outcome == .words([7100, 7101]))
    }

    @Test func pauseTheDeviceWantsIsKeptAfterASynchronisingRead() async throws {
        let stamps = Lock<[Uptime]>([])
        let device = WireDevice { request, index in
            stamps.withLock { $0.append(SystemTime().uptime()) }
            return index == 0 ? [] : [.send(request.rtu(request.goodPDU))]
        }
        try await withPtyDevice(device) { path in
            let reader = Self.reader(path)
            await reader.keep(pause: .milliseconds(100), unit: 7)
            await persist(reader, Block(.holding, 100, count: 12))
            await reader.close()
        }
        let times = stamps.withLock { $0 }
        #expect(times.count >= 3)
        for (a, b) in zip(times, times.dropFirst()) { #expect(b - a >= .milliseconds(100)) }
    }

    /// Hours later the reply is still the first request's: age alone clears nobody who can be asked something else.
    @Test func lateReplyIsDroppedHoweverLateItComes() async throws {
        let device = Self.tardy(at: 0)
        try await withPtyDevice(device) { path in
            let reader = Self.reader(path, lateLimit: .zero)
            _ = await reader.read([Block(.holding, 100, count: 2)], unit: 7)
            await persist(reader, Block(.holding, 200, count: 2))
            await reader.close()
        }
        #expect(device.requests.prefix(2).map(\.count) == [2, 1])
    }

    @Test func lateReplyOfOneUnitDoesNotFailTheNext() async throws {
        let device = WireDevice { request, _ in
            request.unit == 7 ? [.pause(milliseconds: 3_000), .send(request.rtu(request.goodPDU))] : [.send(request.rtu(request.goodPDU))]
        }
        let outcomes = try await withPtyDevice(device) { path in
            // The late reply comes a second after the one timeout and a second before the other.
            let reader = SerialReader(name: "test", path: path, line: Self.fast, timeout: .seconds(2), time: SystemTime())
            let slow = await reader.read([Self.block], unit: 7)
            let good = await reader.read([Self.block], unit: 8)
            await reader.close()
            return [slow.answers[0].outcome, good.answers[0].outcome]
        }
        #expect(outcomes == [.fault(.timeout), .words([8010, 8011, 8012])])
    }

    struct Lie: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var fault: ReadFault
        var reply: @Sendable (WireRequest) -> [UInt8]
        init(_ name: String, _ fault: ReadFault, _ reply: @escaping @Sendable (WireRequest) -> [UInt8]) {
            testDescription = name
            self.fault = fault
            self.reply = reply
        }
    }
    static let lies = [
        Lie("another unit", .timeout) { $0.rtu($0.goodPDU, unit: 8) },
        Lie("broadcast unit", .timeout) { $0.rtu($0.goodPDU, unit: 0) },
        Lie("another function", .garbled) { $0.rtu([4] + $0.goodPDU.dropFirst()) },
        Lie("exception to another function", .garbled) { $0.rtu([0x84, 2]) },
        Lie("fewer registers", .garbled) { $0.rtu([3, 4, 0, 1, 0, 2]) },
        Lie("more registers", .garbled) { $0.rtu([3, 8, 0, 1, 0, 2, 0, 3, 0, 4]) },
        Lie("wrong checksum", .garbled) { request in
            var frame = request.rtu(request.goodPDU)
            frame[4] ^= 1
            return frame
        },
        Lie("truncated", .timeout) { Array($0.rtu($0.goodPDU).dropLast(3)) },
        Lie("nothing", .timeout) { _ in [] },
    ]

    @Test(arguments: lies) func lyingReplyIsNeverAValueAndTheNextReadIsClean(lie: Lie) async throws {
        let device = WireDevice { request, index in [.send(index == 0 ? lie.reply(request) : request.rtu(request.goodPDU))] }
        let visits = try await ask(times: 2, device: device)
        #expect(visits[0].answers[0].outcome == .fault(lie.fault))
        #expect(visits[1].answers[0].outcome == .words(Self.words))
    }

    @Test func strayBytesBeforeARequestAreThrownAway() async throws {
        // The stray bytes look like the start of a frame of the same unit.
        let device = WireDevice { request, _ in [.send(request.rtu(request.goodPDU) + [7, 3, 6, 0])] }
        let visits = try await ask(times: 3, device: device)
        #expect(visits.allSatisfy { $0.answers[0].outcome == .words(Self.words) })
    }

    @Test func drippingDeviceCannotStretchTheTimeout() async throws {
        let device = WireDevice { request, _ in request.rtu(request.goodPDU).flatMap { [.send([$0]), .pause(milliseconds: 60)] } }
        #expect(try await ask(device: device)[0].answers[0].outcome == .fault(.timeout))
    }

    @Test func missingDeviceFileSaysSo() async {
        let reader = Self.reader("/dev/no-such-line")
        let visit = await reader.read([Self.block], unit: 7)
        #expect(visit.answers[0].outcome == .fault(.noConnection))
        #expect(reader.lastError?.sentence == "no such device file /dev/no-such-line; is the adapter plugged in?")
    }

    @Test func unknownBaudRateIsRefusedInsteadOfTakenFor9600() async throws {
        try await withPtyDevice(WireDevice { request, _ in [.send(request.rtu(request.goodPDU))] }) { path in
            let reader = SerialReader(
                name: "test", path: path, line: SerialFormat(baud: 12_345), timeout: Self.timeout, time: SystemTime())
            #expect(await reader.read([Self.block], unit: 7).answers[0].outcome == .fault(.noConnection))
            #expect(reader.lastError?.code == .badLineFormat)
        }
    }

    @Test func unpluggedLineIsNoConnectionAndComesBack() async throws {
        let device = WireDevice { request, _ in [.send(request.rtu(request.goodPDU))] }
        // By a link, as udev makes one: the number of a pty that has gone may be another's at once.
        let folder = try ScratchFolder("unplugged")
        let name = folder.file("line")
        let reader = try await withPtyDevice(device) { path in
            #expect(makeLink(name, to: path))
            let reader = Self.reader(name)
            #expect(await reader.read([Self.block], unit: 7).answers[0].outcome == .words(Self.words))
            await reader.close()
            return reader
        }
        unlink(name)
        #expect(await reader.read([Self.block], unit: 7).answers[0].outcome == .fault(.noConnection))
    }

    @Test func rtuFramesPassThroughATCPStream() async throws {
        let device = WireDevice { request, index in
            let pause = index == 1 ? [WireAction.pause(milliseconds: 600)] : []
            return pause + [.send(request.rtu(request.goodPDU))]
        }
        try await withTCPDevice(rtu: true, device) { port in
            let reader = SerialReader(name: "test", host: "127.0.0.1", port: port, timeout: .milliseconds(300), time: SystemTime())
            await persist(reader, Block(.holding, 1, count: 2))
            let late = await reader.read([Block(.holding, 2, count: 2)], unit: 7)
            #expect(late.answers[0].outcome == .fault(.timeout))
            for address in [UInt16(3), 4, 5] { await persist(reader, Block(.holding, address, count: 2)) }
            await reader.close()
        }
    }

    @Test func closedServerStreamIsOpenedAgain() async throws {
        // It closes after the block, not after the shorter read that goes before it when an answer was late.
        let device = WireDevice { request, _ in
            [.send(request.rtu(request.goodPDU))] + (request.count == Self.block.count ? [.hangUp] : [])
        }
        let outcomes = try await withTCPDevice(rtu: true, device) { port in
            let reader = SerialReader(name: "test", host: "127.0.0.1", port: port, timeout: .seconds(10), time: SystemTime())
            var outcomes: [BlockAnswer.Outcome] = []
            for _ in 0..<20 {
                let closed = device.closings
                outcomes.append(await reader.read([Self.block], unit: 7).answers[0].outcome)
                // A request sent between the answer and the close is lost.
                let end = ContinuousClock.now + .seconds(10)
                while device.closings == closed, ContinuousClock.now < end { try await Task.sleep(for: .milliseconds(1)) }
            }
            await reader.close()
            return outcomes
        }
        #expect(outcomes.filter { $0 == .words(Self.words) }.count >= 10)
        // After the first answer the reader waits for a tenth of a second; a busy machine may need more.
        #expect(outcomes.allSatisfy { $0 == .words(Self.words) || $0 == .fault(.noConnection) || $0 == .fault(.timeout) })
    }
}
