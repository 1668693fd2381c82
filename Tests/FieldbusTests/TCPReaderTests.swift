import Glibc
import Host
import Metering
import TestSupport
import Testing

@testable import Fieldbus

@Suite struct TCPReaderTests {
    private static let block = Block(.holding, 10, count: 3)
    private static let words: [UInt16] = [7010, 7011, 7012]

    private func ask(
        _ blocks: [Block] = [block], times: Int = 1, timeout: Duration = .seconds(30), device: WireDevice
    ) async throws -> (visits: [Visit], error: BusError?) {
        try await withTCPDevice(device) { port in
            let reader = Self.reader(port, timeout)
            var visits: [Visit] = []
            for _ in 0..<times { visits.append(await reader.read(blocks, unit: 7)) }
            let error = reader.lastError
            await reader.close()
            return (visits, error)
        }
    }

    /// As if the device had been slow before: else it would wait for a tenth of a second, and on a busy machine any answer may need more.
    private static func reader(_ port: UInt16, _ timeout: Duration = .seconds(30)) -> TCPReader {
        let reader = TCPReader(name: "test", host: "127.0.0.1", port: port, timeout: timeout, time: SystemTime())
        reader.timeouts.withLock { $0.answeredLate(unit: 7, after: timeout / 4) }
        return reader
    }

    @Test func everyTableIsReadWithItsOwnFunction() async throws {
        let device = WireDevice { request, _ in [.send(request.tcp(request.goodPDU))] }
        let blocks = [Block(.coil, 0, count: 12), Block(.discreteInput, 1, count: 3), Self.block, Block(.input, 0, count: 125)]
        let visit = try await ask(blocks, device: device).visits[0]
        #expect(device.requests.map(\.function) == [1, 2, 3, 4])
        #expect(device.requests.map(\.transaction) == [1, 2, 3, 4])
        #expect(visit.answers[0].outcome == .words([0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1]))
        #expect(visit.answers[1].outcome == .words([1, 0, 1]))
        #expect(visit.answers[2].outcome == .words(Self.words))
        #expect(visit.answers[3].outcome == .words((0..<125).map { 7000 + $0 }))
        #expect(visit.requests == 4)
    }

    @Test func exceptionIsThatBlocksFaultAndTheNextIsAsked() async throws {
        let device = WireDevice { request, index in [.send(request.tcp(index == 0 ? [0x83, 2] : request.goodPDU))] }
        let result = try await ask([Self.block, Self.block], device: device)
        #expect(result.visits[0].answers.map(\.outcome) == [.fault(.exception(2)), .words(Self.words)])
        #expect(result.error == nil)
    }

    @Test func deadDeviceCostsOneTimeoutAVisit() async throws {
        let device = WireDevice { _, _ in [] }
        let result = try await ask([Self.block, Self.block, Self.block], timeout: .milliseconds(300), device: device)
        #expect(result.visits[0].answers.map(\.outcome) == Array(repeating: .fault(.timeout), count: 3))
        #expect(result.visits[0].requests == 1)
        #expect(result.error?.code == .timeout)
    }

    struct Lie: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var reply: @Sendable (WireRequest) -> [UInt8]
        init(_ name: String, _ reply: @escaping @Sendable (WireRequest) -> [UInt8]) {
            testDescription = name
            self.reply = reply
        }
    }
    static let lies = [
        Lie("another unit") { $0.tcp($0.goodPDU, unit: 8) },
        Lie("another function") { $0.tcp([4] + $0.goodPDU.dropFirst()) },
        Lie("exception to another function") { $0.tcp([0x84, 2]) },
        Lie("fewer registers") { $0.tcp([3, 4, 0, 1, 0, 2]) },
        Lie("more registers") { $0.tcp([3, 8, 0, 1, 0, 2, 0, 3, 0, 4]) },
        Lie("header length too long") { $0.tcp($0.goodPDU, length: 250) },
        Lie("header length too short") { $0.tcp($0.goodPDU, length: 3) },
        Lie("more than a frame holds") { $0.tcp([3, 255] + [UInt8](repeating: 7, count: 255)) },
        Lie("transaction id to come") { $0.tcp($0.goodPDU, transaction: $0.transaction + 1) },
        Lie("protocol id") { request in
            var frame = request.tcp(request.goodPDU)
            frame[3] = 1
            return frame
        },
        Lie("noise") { _ in (0..<200).map { UInt8(truncatingIfNeeded: $0 * 37 + 11) } },
    ]

    @Test(arguments: lies) func lyingReplyIsNeverAValueAndTheNextReadIsClean(lie: Lie) async throws {
        let device = WireDevice { request, index in [.send(index == 0 ? lie.reply(request) : request.tcp(request.goodPDU))] }
        let visits = try await ask(times: 2, device: device).visits
        #expect(visits[0].answers[0].outcome == .fault(.garbled))
        #expect(visits[1].answers[0].outcome == .words(Self.words))
    }

    @Test func truncatedReplyIsATimeout() async throws {
        let device = WireDevice { request, index in
            [.send(index == 0 ? Array(request.tcp(request.goodPDU).dropLast(3)) : request.tcp(request.goodPDU))]
        }
        let visits = try await ask(times: 2, timeout: .seconds(2), device: device).visits
        #expect(visits[0].answers[0].outcome == .fault(.timeout))
        #expect(visits[1].answers[0].outcome == .words(Self.words))
    }

    @Test func aReplyInPiecesIsOneReply() async throws {
        let device = WireDevice { request, _ in request.tcp(request.goodPDU).flatMap { [.send([$0]), .pause(milliseconds: 1)] } }
        let visits = try await ask(times: 2, device: device).visits
        #expect(visits.map { $0.answers[0].outcome } == [.words(Self.words), .words(Self.words)])
    }

    @Test func drippingDeviceCannotStretchTheTimeout() async throws {
        // It would take 15 s, each byte far within the timeout.
        let device = WireDevice { request, _ in request.tcp(request.goodPDU).flatMap { [.send([$0]), .pause(milliseconds: 60)] } }
        let visits = try await ask([Block(.holding, 0, count: 125)], timeout: .milliseconds(300), device: device).visits
        #expect(visits[0].answers[0].outcome == .fault(.timeout))
    }

    @Test func lateReplyNeverReachesTheNextRequest() async throws {
        let device = WireDevice { request, index in
            (index == 0 ? [.pause(milliseconds: 2_000)] : []) + [.send(request.tcp(request.goodPDU))]
        }
        let outcomes = try await withTCPDevice(device) { port in
            let reader = TCPReader(name: "test", host: "127.0.0.1", port: port, timeout: .milliseconds(300), time: SystemTime())
            let first = await reader.read([Block(.holding, 1, count: 1)], unit: 7)
            // The fake serves one connection after the other, so it may need the pause's rest before it hears us.
            var second = await reader.read([Block(.holding, 2, count: 1)], unit: 7)
            for _ in 0..<50 where second.answers[0].outcome == .fault(.timeout) {
                second = await reader.read([Block(.holding, 2, count: 1)], unit: 7)
            }
            await reader.close()
            return (first.answers[0].outcome, second.answers[0].outcome)
        }
        #expect(outcomes.0 == .fault(.timeout))
        #expect(outcomes.1 == .words([7002]))
    }

    @Test func replyToAnEarlierTransactionIsSteppedOver() async throws {
        let device = WireDevice { request, index in
            let stale = index == 0 ? [] : [WireAction.send(request.tcp([3, 6, 9, 9, 9, 9, 9, 9], transaction: request.transaction - 1))]
            return stale + [.send(request.tcp(request.goodPDU))]
        }
        let visits = try await ask(times: 2, device: device).visits
        #expect(visits.map { $0.answers[0].outcome } == [.words(Self.words), .words(Self.words)])
    }

    @Test func connectionClosedWhileIdleIsOpenedAgainUnnoticed() async throws {
        let device = WireDevice { request, _ in [.send(request.tcp(request.goodPDU)), .hangUp] }
        let outcomes = try await withTCPDevice(device) { port in
            let reader = Self.reader(port)
            var outcomes: [BlockAnswer.Outcome] = []
            for count in 1...3 {
                outcomes.append(await reader.read([Self.block], unit: 7).answers[0].outcome)
                // Idle it is once the device has closed; a request that goes out before is lost.
                let end = ContinuousClock.now + .seconds(60)
                while device.closings < count, ContinuousClock.now < end { try await Task.sleep(for: .milliseconds(1)) }
            }
            await reader.close()
            return outcomes
        }
        #expect(outcomes == Array(repeating: .words(Self.words), count: 3))
    }

    @Test func peerThatHangsUpOnEveryRequestIsNoConnection() async throws {
        let result = try await ask(device: WireDevice { _, _ in [.hangUp] })
        #expect(result.visits[0].answers[0].outcome == .fault(.noConnection))
        #expect(result.error?.code == .connectionLost)
    }

    @Test func refusedConnectionSaysSo() async throws {
        let port = freePort()
        let reader = TCPReader(name: "test", host: "127.0.0.1", port: port, timeout: .milliseconds(300), time: SystemTime())
        let visit = await reader.read([Self.block, Self.block], unit: 7)
        #expect(visit.answers.map(\.outcome) == [.fault(.noConnection), .fault(.noConnection)])
        #expect(visit.requests == 0)
        #expect(reader.lastError?.code == .connectionRefused)
        #expect(reader.lastError?.sentence == "127.0.0.1:\(port): connection refused; is the port right and the device on?")
    }

    @Test func illegalBlockIsRefusedWithoutARequest() async throws {
        let device = WireDevice { request, _ in [.send(request.tcp(request.goodPDU))] }
        let blocks = [Block(.holding, 0, count: 126), Block(.holding, 65_535, count: 2), Block(.holding, 0, count: 0), Self.block]
        let visit = try await ask(blocks, device: device).visits[0]
        #expect(visit.answers.map(\.outcome).dropLast() == Array(repeating: .fault(.exception(2)), count: 3)[...])
        #expect(visit.answers[3].outcome == .words(Self.words))
        #expect(device.requests.count == 1)
    }
}
