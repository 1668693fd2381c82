import Fieldbus
import Glibc
import Host
import Metering
import Simulators
import Testing

/// Ports and connections that are taken, vanish and come back; on real ptys and sockets.
@Suite struct PortTests {
    private static let block = Block(.holding, 10, count: 3)
    private static let words = BlockAnswer.Outcome.words([7010, 7011, 7012])

    private static func reader(_ path: String, _ line: SerialFormat = SerialFormat(baud: 115_200)) -> SerialReader {
        SerialReader(name: "test", path: path, line: line, timeout: .seconds(30), time: SystemTime())
    }

    @Test func lineThatAnotherProgramReadsIsLeftAloneUntilItIsFree() async throws {
        let device = WireDevice { request, _ in [.send(request.rtu(request.goodPDU))] }
        try await withPtyDevice(device) { path in
            let (first, second) = (Self.reader(path), Self.reader(path))
            #expect(await first.read([Self.block], unit: 7).answers[0].outcome == Self.words)
            let refused = await second.read([Self.block], unit: 7)
            #expect(refused.answers[0].outcome == .fault(.noConnection) && refused.requests == 0)
            #expect(second.lastError?.code == .portBusy)
            #expect(second.lastError?.sentence.hasPrefix("\(path) is in use by ") == true)
            #expect(await first.read([Self.block], unit: 7).answers[0].outcome == Self.words)
            await first.close()
            #expect(await second.read([Self.block], unit: 7).answers[0].outcome == Self.words)
            await second.close()
        }
        #expect(device.requests.count == 3)
    }

    /// A pty has neither an RTS wire nor a driver that switches RS-485.
    @Test(arguments: [LineDirection.driver, .rts(isHigh: true, delay: nil), .rts(isHigh: false, delay: .microseconds(200))])
    func aPortThatCannotSwitchTheLineIsRefusedWithTheCure(_ direction: LineDirection) async throws {
        let device = WireDevice { request, _ in [.send(request.rtu(request.goodPDU))] }
        try await withPtyDevice(device) { path in
            let reader = Self.reader(path, SerialFormat(baud: 115_200, direction: direction))
            let visit = await reader.read([Self.block], unit: 7)
            #expect(visit.answers[0].outcome == .fault(.noConnection) && visit.requests == 0)
            #expect(reader.lastError?.code == .directionRefused)
            #expect(reader.lastError?.sentence.hasPrefix("\(path): its driver ") == true)
            #expect(reader.lastError?.sentence.contains("leave rs485 out") == true)
            // The port was let go.
            let plain = Self.reader(path)
            #expect(await plain.read([Self.block], unit: 7).answers[0].outcome == Self.words)
            await plain.close()
        }
    }

    /// The name stays, as in /dev/serial/by-id; what it leads to is another device file.
    @Test func adapterThatIsPulledAndComesBackAsAnotherIsReadWithoutARestart() async throws {
        let site = Site(plant: Plant(seed: 7, epoch: Timestamp(milliseconds: 1_795_478_400_000)))
        let link = "/tmp/meterd-adapter-\(getpid())"
        let model = [Block(.input, 70, count: 2)]
        func isWords(_ visit: Visit) -> Bool { if case .words = visit.answers[0].outcome { true } else { false } }
        let reader = Self.reader(link)
        let before = try RTUServer(site: site, link: link)
        let oldPath = before.path
        #expect(isWords(await reader.read(model, unit: 1)))
        before.stop()
        #expect(await reader.read(model, unit: 1).answers[0].outcome == .fault(.noConnection))
        #expect(await reader.read(model, unit: 1).answers[0].outcome == .fault(.noConnection))
        #expect(reader.lastError?.code == .noSuchPort)
        // Takes the old number, so that the new one is another.
        let neighbour = try RTUServer(site: Site(devices: [:]))
        defer { neighbour.stop() }
        let after = try RTUServer(site: site, link: link)
        defer { after.stop() }
        #expect(after.path != oldPath || neighbour.path != oldPath)
        #expect(isWords(await reader.read(model, unit: 1)))
        await reader.close()
    }

    @Test func peerThatFallsSilentWithoutClosingIsGivenUpAfterOneTimeoutAndConnectedAnew() async throws {
        let device = WireDevice { request, index in index == 1 ? [] : [.send(request.tcp(request.goodPDU))] }
        try await withTCPDevice(device) { port in
            let reader = TCPReader(name: "test", host: "127.0.0.1", port: port, timeout: .milliseconds(400), time: SystemTime())
            #expect(await reader.read([Self.block], unit: 7).answers[0].outcome == Self.words)
            #expect(await reader.read([Self.block], unit: 7).answers[0].outcome == .fault(.timeout))
            // The device takes one connection after the other: it answers only if the old one was given up.
            var last = await reader.read([Self.block], unit: 7)
            for _ in 0..<20 where last.answers[0].outcome != Self.words { last = await reader.read([Self.block], unit: 7) }
            #expect(last.answers[0].outcome == Self.words)
            await reader.close()
        }
    }

    @Test func simulatedLineTakesTheTimeThatARealOneTakes() async throws {
        let wire = WireTime(baud: 9600, bitsPerCharacter: 10, turnaround: .milliseconds(20))
        // (8 + 45) characters of 10 bits, 3.5 characters of silence, 20 ms.
        #expect(wire.exchange(replyBytes: 45).nanoseconds / 1000 == 78_854)
        let server = try RTUServer(site: Site(plant: Plant(seed: 7, epoch: Timestamp(milliseconds: 1_795_478_400_000))), wire: wire)
        defer { server.stop() }
        let time = SystemTime()
        let reader = Self.reader(server.path, SerialFormat(baud: 9600))
        let start = time.uptime()
        let visit = await reader.read([Block(.input, 0, count: 20)], unit: 1)
        #expect(visit.uptime - start >= .microseconds(78_853))
        #expect(visit.answers[0].outcome != .fault(.timeout))
        await reader.close()
    }
}
