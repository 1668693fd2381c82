import CModbus
import Glibc
import Host
import Metering
import TestSupport
import Testing

@testable import Simulators

@Suite struct RTUServerTests {
    let plant = Plant(seed: 7, epoch: Timestamp(milliseconds: 1_795_478_400_000))
    let time = HandTime(Timestamp(milliseconds: 1_795_478_400_000 + 32_400_000))
    let site: Site

    init() { site = Site(plant: plant, time: time) }

    @Test func everyUnitOnTheLineShowsItsOwnTruth() throws {
        let server = try RTUServer(site: site)
        defer { server.stop() }
        let client = try #require(ModbusClient(line: server.path))
        let truth = plant.state(at: time.wall())
        for _ in 0..<5 {
            #expect(client.read(.input, 52, 2, unit: 1) == RegisterImage.words(Float(truth.grid.active.total).bitPattern))
            // What is asked in the moment of the change of hands may be lost, as on a line; what comes is never old.
            let words = client.read(.holding, 129, 2, unit: 2) ?? client.read(.holding, 129, 2, unit: 2)
            #expect(words == RegisterImage.words(2_231_550))
            #expect(client.read(.holding, 40084, 1, unit: 3) == [UInt16(truth.pv.active.total)])
        }
    }

    @Test func exceptionsComeOverTheLine() throws {
        let server = try RTUServer(site: site)
        defer { server.stop() }
        let client = try #require(ModbusClient(line: server.path))
        #expect(client.read(.holding, 3000, 2, unit: 1) == nil)
        #expect(errno == CModbusError.illegalAddress)
        #expect(!client.write(10, 1, unit: 2))
        #expect(errno == CModbusError.illegalFunction)
        #expect(client.read(.input, 0, 2, unit: 1) != nil)
    }

    @Test func nobodySpeaksForAnAbsentUnit() throws {
        let server = try RTUServer(site: site)
        defer { server.stop() }
        let line = try RawLine(server.path)
        line.ask(.input, 0, 2, unit: 77)
        line.ask(.input, 70, 2, unit: 1)
        #expect(line.receive(9).prefix(3) == [1, 4, 4], "the first thing to come is the second's answer")
    }

    @Test func aBadChecksumIsOne() throws {
        let server = try RTUServer(site: site)
        defer { server.stop() }
        site.setFault(.wrongChecksum, unit: 2)
        let client = try #require(ModbusClient(line: server.path))
        #expect(client.read(.holding, 49, 2, unit: 2) == nil)
        #expect(errno == CModbusError.badCRC)
        site.clearFaults()
        #expect(client.read(.holding, 49, 2, unit: 2) == [0x6945, 0x4D33])
    }

    @Test func requestsWithABadChecksumAreIgnored() throws {
        let server = try RTUServer(site: site)
        defer { server.stop() }
        let line = try RawLine(server.path)
        line.send([1, 4, 0, 0, 0, 2, 0, 0])
        #expect(line.isQuiet(forMilliseconds: 100))
        line.ask(.input, 70, 2, unit: 1)
        #expect(line.receive(9).prefix(3) == [1, 4, 4])
    }

    /// What a reader must be safe against: on a line, nothing but its content tells a late answer from the next one.
    @Test func aLateAnswerCanComeWhenAnotherIsAwaited() throws {
        let server = try RTUServer(site: site)
        defer { server.stop() }
        let line = try RawLine(server.path)
        site.setFault(.slow(.seconds(2)), unit: 1)
        line.ask(.input, 52, 2, unit: 1)
        #expect(line.isQuiet(forMilliseconds: 20))
        line.ask(.input, 70, 2, unit: 1)
        let truth = plant.state(at: time.wall())
        let power = RegisterImage.words(Float(truth.grid.active.total).bitPattern)
        #expect(line.receive(9)[3...6].map { $0 } == power.flatMap { [UInt8($0 >> 8), UInt8($0 & 0xFF)] })
    }

    @Test func aReaderThatComesBackFindsACleanLine() throws {
        let server = try RTUServer(site: site)
        defer { server.stop() }
        for _ in 0..<3 {
            let client = try #require(ModbusClient(line: server.path))
            // What is asked in the moment of the change of hands may be lost, as on a line; what comes is never old.
            let words = client.read(.holding, 129, 2, unit: 2) ?? client.read(.holding, 129, 2, unit: 2)
            #expect(words == RegisterImage.words(2_231_550))
        }
    }

    @Test func theLinkGoesWithTheServer() throws {
        let folder = try ScratchFolder()
        let link = folder.file("line")
        let server = try RTUServer(site: site, link: link)
        #expect(try #require(ModbusClient(line: link)).read(.input, 0, 2, unit: 1) != nil)
        server.stop()
        #expect(access(link, F_OK) != 0)
    }

    @Test func aFileInTheLinksPlaceIsLeftAlone() throws {
        let folder = try ScratchFolder()
        let path = try folder.file("line", content: "mine")
        #expect(throws: SimulatorError.self) { try RTUServer(site: site, link: path) }
        #expect(folder.content(of: "line") == "mine")
    }
}

/// The reader's end of a pty, opened raw.
final class RawLine {
    private let descriptor: Int32

    struct CannotOpen: Error {}

    init(_ path: String) throws {
        descriptor = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC)
        guard descriptor >= 0 else { throw CannotOpen() }
    }

    deinit { close(descriptor) }

    func send(_ bytes: [UInt8]) { _ = writeAll(descriptor, bytes, socket: false) }

    func ask(_ table: RegisterTable, _ address: UInt16, _ count: UInt16, unit: UInt8) {
        let pdu = [table.functionCode, UInt8(address >> 8), UInt8(address & 0xFF), UInt8(count >> 8), UInt8(count & 0xFF)]
        send(Framing.rtu.frame(pdu, unit: unit, transaction: 0))
    }

    func isQuiet(forMilliseconds milliseconds: Int32) -> Bool {
        var entry = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        return poll(&entry, 1, milliseconds) == 0
    }

    /// This many bytes; fewer when they do not come within 20 s.
    func receive(_ count: Int) -> [UInt8] {
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 256)
        while bytes.count < count, !isQuiet(forMilliseconds: 20_000) {
            let got = read(descriptor, &chunk, min(chunk.count, count - bytes.count))
            if got <= 0 { break }
            bytes += chunk[..<got]
        }
        return bytes
    }
}
