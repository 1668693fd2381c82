import Glibc
import Host
import Logging
import Metering
import Testing

@testable import Fieldbus

/// A resolver whose lookups wait until the test lets them go, as with a name server that is gone.
private final class StuckLookups: Sendable {
    private let gate = Lock(false)
    private let asked = Lock<[String]>([])

    var names: [String] { asked.withLock { $0 } }
    func release() { gate.withLock { $0 = true } }

    /// Names that begin with `quick` are answered at once.
    func answer(_ host: String) -> NameResolver.Answer {
        asked.withLock { $0.append(host) }
        while !host.hasPrefix("quick"), !gate.withLock({ $0 }) { usleep(2000) }
        return NameResolver.systemAnswer("127.0.0.1", flags: AI_NUMERICHOST)
    }
}

@Suite struct NameResolverTests {
    private static let block = Block(.holding, 10, count: 3)
    private static let words = BlockAnswer.Outcome.words([7010, 7011, 7012])

    private func resolver(_ lookups: StuckLookups, patience: Duration = .milliseconds(20)) -> NameResolver {
        NameResolver(patience: patience) { lookups.answer($0) }
    }

    private func reader(_ host: String, _ port: UInt16, _ resolver: NameResolver) -> TCPReader {
        TCPReader(name: host, host: host, port: port, timeout: .seconds(30), resolver: resolver, time: SystemTime())
    }

    @Test func aNameServerThatHangsHoldsUpNeitherItsBusNorAnother() async throws {
        let lookups = StuckLookups()
        defer { lookups.release() }
        let device = WireDevice { request, _ in [.send(request.tcp(request.goodPDU))] }
        try await withTCPDevice(device) { port in
            let resolver = resolver(lookups)
            let stuck = reader("stuck", port, resolver)
            for _ in 0..<3 {
                #expect(await stuck.read([Self.block], unit: 7).answers[0].outcome == .fault(.noConnection))
                #expect(stuck.lastError?.code == .resolving)
                #expect(stuck.lastError?.sentence.hasPrefix("stuck: the name server has not answered yet") == true)
            }
            let quick = reader("quick", port, NameResolver(patience: .seconds(30)) { lookups.answer($0) })
            #expect(await quick.read([Self.block], unit: 7).answers[0].outcome == Self.words)
            await quick.close()
            // One lookup was begun for all three visits.
            #expect(lookups.names.filter { $0 == "stuck" }.count == 1)
        }
    }

    @Test func anAnswerThatComesLateIsUsedByTheNextVisit() async throws {
        let lookups = StuckLookups()
        let device = WireDevice { request, _ in [.send(request.tcp(request.goodPDU))] }
        try await withTCPDevice(device) { port in
            let late = reader("late", port, resolver(lookups))
            #expect(await late.read([Self.block], unit: 7).answers[0].outcome == .fault(.noConnection))
            lookups.release()
            var outcome = BlockAnswer.Outcome.fault(.noConnection)
            for _ in 0..<1500 where outcome != Self.words { outcome = await late.read([Self.block], unit: 7).answers[0].outcome }
            #expect(outcome == Self.words)
            await late.close()
        }
    }

    @Test func aBusWhoseNameIsBeingLookedUpStopsAtOnce() async throws {
        let lookups = StuckLookups()
        let stuck = reader("stuck", 502, resolver(lookups))
        let basket = Basket()
        let bus = Bus(
            BusDescription(name: "roof", address: .tcp(host: "stuck", port: 502)),
            devices: [ScriptedBus.device("d", 1, profile([point(0, 2)]))], reader: stuck, sink: basket, time: SystemTime(),
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        let run = Task { try await bus.run() }
        await basket.wait(for: 1)
        run.cancel()
        // The lookup is let go only afterwards: were the stop to wait for it, this would never end.
        _ = await run.result
        #expect(basket.polls.first?.answers.first?.outcome == .fault(.noConnection))
        lookups.release()
    }

    @Test func lookupsUnderWayAreLimited() async throws {
        let lookups = StuckLookups()
        defer { lookups.release() }
        let resolver = resolver(lookups, patience: .microseconds(100))
        var failures: [NameResolver.Failure] = []
        for number in 0...NameResolver.lookupLimit {
            do throws(NameResolver.Failure) { _ = try resolver.addresses(of: "n\(number)", port: 1) } catch { failures.append(error) }
        }
        #expect(failures.prefix(NameResolver.lookupLimit).allSatisfy { $0 == .pending })
        #expect(failures.last == .busy)
    }

    @Test func digitsAskNobodyAndCarryThePort() throws {
        let lookups = StuckLookups()
        let resolver = resolver(lookups)
        let four = try resolver.addresses(of: "127.0.0.1", port: 0x1234)
        let six = try resolver.addresses(of: "::1", port: 0x1234)
        #expect(four.map(\.family) == [AF_INET] && four[0].bytes.prefix(8).suffix(6) == [0x12, 0x34, 127, 0, 0, 1])
        #expect(six.map(\.family) == [AF_INET6] && six[0].bytes.prefix(4).suffix(2) == [0x12, 0x34])
        #expect(lookups.names.isEmpty)
    }

    @Test func aNameThatNobodyKnowsIsToldAsSuch() async throws {
        let resolver = NameResolver(patience: .seconds(30)) { _ in .failure(.unknown(EAI_NONAME)) }
        let lost = reader("nowhere", 502, resolver)
        #expect(await lost.read([Self.block], unit: 7).answers[0].outcome == .fault(.noConnection))
        #expect(lost.lastError?.code == .unknownHost)
        #expect(lost.lastError?.sentence.hasPrefix("nowhere: ") == true)
    }

    @Test func devicesBehindASerialServerHaveSilenceAfterTheConnection() async throws {
        let device = WireDevice { request, _ in [.send(request.rtu(request.goodPDU))] }
        try await withTCPDevice(rtu: true, device) { port in
            let reader = SerialReader(name: "test", host: "127.0.0.1", port: port, timeout: .seconds(30), time: SystemTime())
            #expect(await reader.connect() == nil)
            await reader.close()
            await reader.keep(connectDelay: .seconds(3600))
            let begin = SystemTime().uptime()
            let quiet = try #require(await reader.connect())
            #expect(quiet - begin >= .seconds(3600))
            let visit = await reader.read([Self.block], unit: 7)
            #expect(visit.answers[0].outcome == .fault(.noConnection) && visit.requests == 0)
            #expect(reader.lastError?.code == .settling)
            await reader.close()
            await reader.keep(connectDelay: .milliseconds(1))
            let soon = try #require(await reader.connect())
            while SystemTime().uptime() < soon { usleep(1000) }
            #expect(await reader.read([Self.block], unit: 7).answers[0].outcome == Self.words)
            await reader.close()
        }
    }
}
