import CModbus
import Glibc
import Host
import Metering
import TestSupport
import Testing

@testable import Simulators

/// A wall clock moved by hand; uptime is the real one.
final class HandTime: TimeSource {
    private let now: Lock<Timestamp>
    init(_ now: Timestamp) { self.now = Lock(now) }
    func advance(_ duration: Duration) { now.withLock { $0 = $0.advanced(by: duration) } }
    func wall() -> Timestamp { now.withLock { $0 } }
    func uptime() -> Uptime { SystemTime().uptime() }
    func clockState() -> ClockState { ClockState(quality: .synchronized, maxErrorMilliseconds: 0) }
    func sleep(until deadline: Uptime) async throws { try await SystemTime().sleep(until: deadline) }
}

@Suite struct ModbusServerTests {
    let epoch = Timestamp(milliseconds: 1_795_478_400_000)
    let time: HandTime
    let plant: Plant
    let site: Site

    init() {
        time = HandTime(epoch.advanced(by: .seconds(9 * 3600)))
        plant = Plant(seed: 7, epoch: epoch)
        site = Site(plant: plant, meters: 2, time: time)
    }

    @Test func everyUnitBehindOnePortShowsItsOwnTruth() throws {
        let server = try TCPServer(site: site)
        defer { server.stop() }
        let client = try #require(ModbusClient(port: server.port))
        let truth = plant.state(at: time.wall())
        #expect(client.read(.input, 52, 2, unit: 1) == RegisterImage.words(Float(truth.grid.active.total).bitPattern))
        #expect(
            client.read(.holding, 3059, 2, unit: 2) == RegisterImage.words(Float(Double(truth.submeter.active.total) / 1000).bitPattern))
        #expect(client.read(.holding, 40084, 1, unit: 3) == [UInt16(truth.pv.active.total)])
        let extra = plant.extraMeter(2, state: truth)
        #expect(client.read(.input, 52, 2, unit: 5) == RegisterImage.words(Float(extra.power.active.total).bitPattern))
        #expect(site.answered(unit: 1) == 1 && site.units == [1, 2, 3, 4, 5])
    }

    @Test func refusalsCarryTheRightException() throws {
        let server = try TCPServer(site: site)
        defer { server.stop() }
        let client = try #require(ModbusClient(port: server.port))
        #expect(client.read(.holding, 3000, 2, unit: 1) == nil)
        #expect(errno == CModbusError.illegalAddress)
        #expect(!client.write(10, 1, unit: 1))
        #expect(errno == CModbusError.illegalFunction)
        #expect(client.read(.input, 0, 82, unit: 1) == nil, "an SDM630 gives 40 floats at most")
        #expect(errno == CModbusError.illegalFunction + 2)
        #expect(client.read(.input, 0, 2, unit: 99) == nil)
        #expect(errno == CModbusError.illegalFunction + 10, "gateway target device failed to respond")
    }

    @Test func severalConnectionsAreServed() throws {
        let server = try TCPServer(site: site)
        defer { server.stop() }
        let clients = try (0..<20).map { _ in try #require(ModbusClient(port: server.port)) }
        for client in clients { #expect(client.read(.input, 0, 2, unit: 1) != nil) }
    }

    @Test func aSilentUnitDelaysNobody() throws {
        let server = try TCPServer(site: site)
        defer { server.stop() }
        site.setFault(.silent, unit: 3)
        let client = RawClient(port: server.port)
        _ = client.ask(.holding, 40000, 2, unit: 3)
        let second = client.ask(.input, 0, 2, unit: 1)
        #expect(client.frame()?.transaction == second)
    }

    @Test func aSlowUnitAnswersLateAndDelaysNobody() throws {
        let server = try TCPServer(site: site)
        defer { server.stop() }
        site.setFault(.slow(.seconds(3)), unit: 3)
        let client = RawClient(port: server.port)
        let slow = client.ask(.holding, 40000, 2, unit: 3)
        let quick = client.ask(.input, 0, 2, unit: 1)
        #expect(client.frame()?.transaction == quick)
        let late = client.frame()
        #expect(late?.transaction == slow)
        #expect(late?.pdu == [3, 4, 0x53, 0x75, 0x6E, 0x53])
    }

    @Test func wrongFramesAreWrongInTheWayTheyWereAskedToBe() throws {
        let server = try TCPServer(site: site)
        defer { server.stop() }
        let client = RawClient(port: server.port)
        func answer(_ fault: Fault) throws -> (transaction: UInt16, unit: UInt8, pdu: [UInt8]) {
            site.clearFaults()
            site.setFault(fault, unit: 3)
            _ = client.ask(.holding, 40000, 2, unit: 3)
            return try #require(client.frame())
        }
        #expect(try answer(.exception(6)).pdu == [0x83, 6])
        #expect(try answer(.wrongWords).pdu == [3, 4, ~0x53, ~0x75, ~0x6E, ~0x53])
        #expect(try answer(.wrongUnit).unit == 4)
        #expect(try answer(.wrongFunction).pdu[0] == 4)
        #expect(try answer(.wrongLength(.short)).pdu == [3, 2, 0x53, 0x75])
        #expect(try answer(.wrongLength(.long)).pdu == [3, 6, 0x53, 0x75, 0x6E, 0x53, 0, 0])
        #expect(try answer(.wrongChecksum).transaction == 8, "the seventh request, answered under another id")
    }

    @Test func aTruncatedAnswerEndsInItsMiddle() throws {
        let server = try TCPServer(site: site)
        site.setFault(.wrongLength(.truncated), unit: 3)
        let client = RawClient(port: server.port)
        _ = client.ask(.holding, 40000, 2, unit: 3)
        #expect(client.receive(7).count == 7)
        server.stop()
        #expect(client.receiveToEnd().isEmpty, "a whole answer has 13 bytes, half of it 7")
    }

    @Test func aDroppedConnectionIsClosedWithoutAnAnswer() throws {
        let server = try TCPServer(site: site)
        defer { server.stop() }
        site.setFault(.dropConnection, unit: nil)
        let client = RawClient(port: server.port)
        _ = client.ask(.input, 0, 2, unit: 1)
        #expect(client.receiveToEnd().isEmpty)
        site.clearFaults()
        #expect(ModbusClient(port: server.port)?.read(.input, 0, 2, unit: 1) != nil)
    }

    @Test func faultsBeginAndEndWhenTheyShould() throws {
        let server = try TCPServer(site: site)
        defer { server.stop() }
        let client = try #require(ModbusClient(port: server.port))
        let now = time.wall()
        site.setFault(.exception(4), unit: 1, from: now.advanced(by: .seconds(10)), until: now.advanced(by: .seconds(30)))
        #expect(client.read(.input, 0, 2, unit: 1) != nil)
        time.advance(.seconds(10))
        #expect(client.read(.input, 0, 2, unit: 1) == nil)
        #expect(client.read(.holding, 49, 2, unit: 2) != nil)
        time.advance(.seconds(20))
        #expect(client.read(.input, 0, 2, unit: 1) != nil)
    }

    @Test func aResetCounterRestartsFromZero() throws {
        let server = try TCPServer(site: site)
        defer { server.stop() }
        let client = try #require(ModbusClient(port: server.port))
        let before = try #require(client.read(.holding, 40094, 2, unit: 3))
        #expect(before[0] > 0)
        site.setFault(.resetCounter, unit: 3)
        let reset = time.wall()
        time.advance(.seconds(3600))
        let shown = try #require(client.read(.holding, 40094, 2, unit: 3))
        let counted = plant.state(at: time.wall()).pvEnergy.active.imported - plant.state(at: reset).pvEnergy.active.imported
        #expect(Int64(shown[0]) << 16 | Int64(shown[1]) == counted / MeterEnergy.wattHour)
    }

    @Test func stoppingFreesThePort() throws {
        let server = try TCPServer(site: site, port: freePort())
        let client = RawClient(port: server.port)
        #expect(client.connected)
        server.stop()
        #expect(client.receiveToEnd().isEmpty)
        let again = try TCPServer(site: site, port: server.port)
        #expect(again.port == server.port)
        #expect(throws: SimulatorError.self) { try TCPServer(site: site, port: server.port) }
        again.stop()
    }

    @Test func garbageOnAConnectionHarmsOnlyThatConnection() throws {
        let server = try TCPServer(site: site)
        defer { server.stop() }
        var dice = Dice(state: 11)
        for _ in 0..<40 {
            let client = RawClient(port: server.port)
            client.send((0..<Int.random(in: 1...300, using: &dice)).map { _ in UInt8.random(in: 0...255, using: &dice) })
        }
        #expect(ModbusClient(port: server.port)?.read(.input, 0, 2, unit: 1) != nil)
    }

    @Test func aHundredDevicesOnAHundredPortsShowFortyValuesEach() throws {
        let sites = (1...100).map { Site(devices: [1: LoadDevice(number: $0)], time: time) }
        let server = try TCPServer(sites: sites)
        defer { server.stop() }
        for (place, port) in server.ports.enumerated() {
            let words = try #require(ModbusClient(port: port)?.read(.input, 0, 80, unit: 1))
            let truth = (0..<40).flatMap { RegisterImage.words(LoadDevice(number: place + 1).value($0, at: time.wall()).bitPattern) }
            #expect(words == truth)
        }
    }
}

enum CModbusError {
    static let illegalFunction = Int32(CMODBUS_ILLEGAL_FUNCTION)
    static let illegalAddress = Int32(CMODBUS_ILLEGAL_ADDRESS)
    static let badCRC = Int32(CMODBUS_BAD_CRC)
}
