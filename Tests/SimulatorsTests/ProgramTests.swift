import Glibc
import Host
import Metering
import TestSupport
import Testing

@testable import Simulators

/// Programs these tests run beside themselves.
enum Programs {
    static let mbpoll = "/usr/bin/mbpoll"
    static let metersim = Products.directory + "/metersim"

    /// metersim with the rights that any user has, also where the tests are root's.
    static func metersim(_ arguments: [String]) throws -> ChildProcess {
        guard geteuid() == 0 else { return try ChildProcess(metersim, arguments) }
        return try ChildProcess("/usr/bin/setpriv", ["--bounding-set", "-net_admin", metersim] + arguments)
    }

    static func isThere(_ path: String) -> Bool { access(path, X_OK) == 0 }
}

@Suite struct ProgramTests {
    let site = Site(plant: Plant(seed: 7, epoch: Timestamp(milliseconds: 1_795_478_400_000)))

    @Test(.enabled(if: Programs.isThere(Programs.mbpoll), "mbpoll is not installed (apt install mbpoll)"))
    func mbpollReadsTheServer() async throws {
        let server = try TCPServer(site: site)
        defer { server.stop() }
        let tcp = try await runToEnd(
            Programs.mbpoll,
            ["-m", "tcp", "-p", "\(server.port)", "-a", "1", "-t", "3:float", "-B", "-r", "71", "-1", "-o", "10", "127.0.0.1"])
        let text = tcp.output
        #expect(tcp.exit == .code(0))
        #expect(text.contains("[71]:") && (text.contains("49.9") || text.contains("50")), "\(text)")
    }

    @Test(.enabled(if: Programs.isThere(Programs.mbpoll), "mbpoll is not installed (apt install mbpoll)"))
    func mbpollReadsTheLine() async throws {
        let server = try RTUServer(site: site)
        defer { server.stop() }
        let rtu = try await runToEnd(
            Programs.mbpoll,
            ["-m", "rtu", "-b", "9600", "-P", "none", "-a", "3", "-t", "4:hex", "-r", "40001", "-c", "2", "-1", "-o", "10", server.path])
        let text = rtu.output
        #expect(rtu.exit == .code(0))
        #expect(text.contains("0x5375") && text.contains("0x6E53"), "\(text)")
    }

    @Test(.enabled(if: Programs.isThere(Programs.metersim), "metersim is not built beside the tests"))
    func thePlantProgramServesTheSameTruthAndStopsWhenTold() async throws {
        let program = try Programs.metersim(
            ["plant", "--tcp", "127.0.0.1:0", "--seed", "7", "--epoch", "2026-11-24T00:00:00Z", "--fault", "unit=2,fault=silent"])
        let listening = try await program.waitForLine { $0.hasPrefix("listening tcp 127.0.0.1:") }
        let port = try #require(listening.split(separator: ":").last.flatMap { UInt16($0) })
        _ = try await program.waitForLine { $0 == "ready seed=7 epoch=2026-11-24T00:00:00.000Z speed=1 units=1-3" }
        let client = try #require(ModbusClient(port: port))
        let plant = Plant(seed: 7, epoch: Timestamp(milliseconds: 1_795_478_400_000))
        let before = plant.state(at: SystemTime().wall()).pvEnergy.wattHours
        let words = try #require(client.read(.holding, 40094, 2, unit: 3))
        let after = plant.state(at: SystemTime().wall()).pvEnergy.wattHours
        #expect((before...after).contains(Int64(words[0]) << 16 | Int64(words[1])))
        program.signal(SIGTERM)
        #expect(await program.exit() == .code(0))
    }

    @Test(.enabled(if: Programs.isThere(Programs.metersim), "metersim is not built beside the tests"))
    func theSinkProgramTakesBatchesAndStopsWhenTold() async throws {
        let folder = try ScratchFolder()
        let program = try Programs.metersim(["sink", "--listen", "127.0.0.1:0", "--file", folder.file("r.jsonl")])
        let listening = try await program.waitForLine { $0.hasPrefix("listening http ") }
        let port = try #require(listening.split(separator: ":").last.flatMap { UInt16($0) })
        _ = try await program.waitForLine { $0 == "ready" }
        #expect(BatchText.post(port, [1, 2]).status == 200)
        program.signal(SIGTERM)
        #expect(await program.exit() == .code(0))
        #expect(try Sink.records(file: folder.file("r.jsonl")).count == 2)
    }

    @Test(
        .enabled(if: Programs.isThere(Programs.metersim), "metersim is not built beside the tests"),
        arguments: [
            ["plant", "--fault", "unit=1,fault=sulks"], ["plant", "--speed", "0"], ["sink", "--file", "x", "--mode", "okay"],
            ["load", "--devices", "0"], ["plant", "--tcp", "nowhere"], ["plant", "--epoch", "yesterday"],
        ])
    func wrongArgumentsEndWith64(arguments: [String]) async throws {
        let ended = try await runToEnd(Programs.metersim, arguments)
        #expect(ended.exit == .code(64))
        #expect(ended.errors.hasPrefix("Error: "))
    }
}
