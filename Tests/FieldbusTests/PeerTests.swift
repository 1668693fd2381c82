import Fieldbus
import Host
import Metering
import TestSupport
import Testing

/// Our readers on a server that is not ours, over TCP and over a serial line: both must mean the same by the same bytes.
@Suite struct PeerTests {
    private static let python = "/usr/bin/python3"
    private static let socat = "/usr/bin/socat"
    private static let script = Products.repository + "/Tests/peers/pymodbus_server.py"

    private static func hasPymodbus() async -> Bool {
        let found = try? await runToEnd(python, ["-c", "import pymodbus.server, pymodbus.datastore"])
        return found?.exit == .code(0)
    }

    private static func hasSocat() async -> Bool { (try? await runToEnd(socat, ["-V"]))?.exit == .code(0) }

    /// The registers of the script, as a profile: every width, both signs, both word orders, floats and a text.
    private func profile(_ table: RegisterTable) throws -> Profile {
        func point(_ id: String, _ address: UInt16, _ encoding: Encoding, count: UInt16? = nil, order: WordOrder = .abcd) throws
            -> PointDefinition
        {
            PointDefinition(
                quantity: try #require(Vocabulary.quantity(id)),
                block: Block(table, address, count: try #require(count ?? encoding.wordCount.map(UInt16.init))), encoding: encoding,
                order: order)
        }
        return Profile(
            name: "peer", version: 1, vendor: "t", models: [], source: "pymodbus_server.py",
            points: [
                try point("voltage_l1", 0, .float32), try point("power_active", 2, .int32), try point("energy_active_import", 4, .uint64),
                try point("power_reactive", 8, .int16), try point("current_l1", 9, .uint16),
                try point("energy_active_export", 10, .float64),
                try point("frequency", 14, .float32, order: .cdab), try point("device_serial", 16, .string, count: 8),
            ])
    }

    private static let values = ["230.4", "-100000", "123456789012", "-250", "65535", "1234567.125", "49.98"]

    /// The server may need a while to listen, and for an answer: asks until there is one to everything.
    private func firstAnswer(_ reader: some RegisterReader, _ blocks: [Block]) async throws -> Visit {
        let none: [BlockAnswer.Outcome] = [.fault(.timeout), .fault(.noConnection), .fault(.garbled)]
        let end = ContinuousClock.now + .seconds(60)
        while true {
            let visit = await reader.read(blocks, unit: 9)
            let isAnswered = visit.answers.allSatisfy { !none.contains($0.outcome) }
            if isAnswered || ContinuousClock.now > end { return visit }
            try await Task.sleep(for: .milliseconds(50))
        }
    }

    private func check(_ reader: some RegisterReader) async throws {
        let bits = [Block(.coil, 0, count: 21), Block(.discreteInput, 3, count: 12)]
        let registers = [Block(.holding, 0, count: 24), Block(.input, 0, count: 24), Block(.holding, 24, count: 100)]
        let refused = Block(.holding, 500, count: 2)
        let answers = try await firstAnswer(reader, registers + bits + [refused]).answers
        for table in [RegisterTable.holding, .input] {
            let readings = ReadingDecoder(profile: try profile(table)).decode(answers)
            #expect(readings.compactMap { $0.value?.number?.description } == Self.values, "\(table)")
            #expect(readings.last?.value == .text("SN-0042"), "\(table)")
        }
        // The script's run of 1000, 1001, ... begins at register 24.
        #expect(answers[2].outcome == .words((0..<100).map { 1000 + $0 }))
        #expect(answers[3].outcome == .words((0..<21).map { $0 % 3 == 0 ? 1 : 0 }))
        #expect(answers[4].outcome == .words((3..<15).map { (39 - $0) % 3 == 0 ? 1 : 0 }))
        #expect(answers[5].outcome == .fault(.exception(2)))
    }

    @Test func pymodbusAndOurTCPReaderAgree() async throws {
        guard await Self.hasPymodbus() else {
            try Test.cancel("pymodbus is not installed (apt install python3-pymodbus python3-serial-asyncio)")
        }
        let port = freePort()
        let server = try ChildProcess(Self.python, [Self.script, "tcp", "\(port)"])
        let reader = TCPReader(name: "peer", host: "127.0.0.1", port: port, timeout: .seconds(20), time: SystemTime())
        try await check(reader)
        await reader.close()
        server.signal(9)
        _ = await server.exit()
    }

    @Test func pymodbusAndOurSerialReaderAgree() async throws {
        guard await Self.hasPymodbus(), await Self.hasSocat() else {
            try Test.cancel("pymodbus or socat is not installed (apt install python3-pymodbus python3-serial-asyncio socat)")
        }
        let folder = try TemporaryFolder.make("peer")
        defer { TemporaryFolder.remove(folder) }
        // Both ends raw: what goes into one comes out of the other.
        let cable = try ChildProcess(Self.socat, ["-d", "-d", "pty,raw,echo=0,link=\(folder)/a", "pty,raw,echo=0,link=\(folder)/b"])
        _ = try await cable.waitForLine { $0.contains("starting data transfer loop") }
        let server = try ChildProcess(Self.python, [Self.script, "rtu", "\(folder)/a", "19200"])
        let reader = SerialReader(
            name: "peer", path: "\(folder)/b", line: SerialFormat(baud: 19_200), timeout: .seconds(2), time: SystemTime())
        try await check(reader)
        await reader.close()
        for child in [server, cable] {
            child.signal(9)
            _ = await child.exit()
        }
    }
}
