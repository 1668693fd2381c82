import Glibc
import Host
import Metering
import Testing

@testable import Simulators

/// Programs these tests run beside themselves.
enum Programs {
    static let mbpoll = "/usr/bin/mbpoll"
    /// Beside the test bundle, where the build puts it.
    static let metersim: String = {
        var buffer = [CChar](repeating: 0, count: 4096)
        let count = readlink("/proc/self/exe", &buffer, buffer.count)
        let own = String(decoding: buffer.prefix(max(0, count)).map { UInt8(bitPattern: $0) }, as: UTF8.self)
        return own.split(separator: "/", omittingEmptySubsequences: false).dropLast().joined(separator: "/") + "/metersim"
    }()

    static func isThere(_ path: String) -> Bool { access(path, X_OK) == 0 }
}

@Suite struct ProgramTests {
    let site = Site(plant: Plant(seed: 7, epoch: Timestamp(milliseconds: 1_795_478_400_000)))

    @Test(.enabled(if: Programs.isThere(Programs.mbpoll), "mbpoll is not installed (apt install mbpoll)"))
    func mbpollReadsTheServer() throws {
        let server = try TCPServer(site: site)
        defer { server.stop() }
        let tcp = try Spawned(
            Programs.mbpoll, ["-m", "tcp", "-p", "\(server.port)", "-a", "1", "-t", "3:float", "-B", "-r", "71", "-1", "127.0.0.1"])
        let text = tcp.rest()
        #expect(tcp.wait() == 0)
        #expect(text.contains("[71]:") && (text.contains("49.9") || text.contains("50")), "\(text)")
    }

    @Test(.enabled(if: Programs.isThere(Programs.mbpoll), "mbpoll is not installed (apt install mbpoll)"))
    func mbpollReadsTheLine() throws {
        let server = try RTUServer(site: site)
        defer { server.stop() }
        let rtu = try Spawned(
            Programs.mbpoll,
            ["-m", "rtu", "-b", "9600", "-P", "none", "-a", "3", "-t", "4:hex", "-r", "40001", "-c", "2", "-1", server.path])
        let text = rtu.rest()
        #expect(rtu.wait() == 0)
        #expect(text.contains("0x5375") && text.contains("0x6E53"), "\(text)")
    }

    @Test(.enabled(if: Programs.isThere(Programs.metersim), "metersim is not built beside the tests"))
    func thePlantProgramServesTheSameTruthAndStopsWhenTold() throws {
        let program = try Spawned(
            Programs.metersim,
            ["plant", "--tcp", "127.0.0.1:0", "--seed", "7", "--epoch", "2026-11-24T00:00:00Z", "--fault", "unit=2,fault=silent"])
        let listening = try #require(program.line())
        #expect(listening.hasPrefix("listening tcp 127.0.0.1:"))
        let port = try #require(listening.split(separator: ":").last.flatMap { UInt16($0) })
        #expect(program.line() == "ready seed=7 epoch=2026-11-24T00:00:00.000Z speed=1 units=1-3")
        let client = try #require(ModbusClient(port: port))
        let plant = Plant(seed: 7, epoch: Timestamp(milliseconds: 1_795_478_400_000))
        let before = plant.state(at: SystemTime().wall()).pvEnergy.wattHours
        let words = try #require(client.read(.holding, 40094, 2, unit: 3))
        let after = plant.state(at: SystemTime().wall()).pvEnergy.wattHours
        #expect((before...after).contains(Int64(words[0]) << 16 | Int64(words[1])))
        program.terminate()
        #expect(program.wait() == 0)
    }

    @Test(.enabled(if: Programs.isThere(Programs.metersim), "metersim is not built beside the tests"))
    func theSinkProgramTakesBatchesAndStopsWhenTold() throws {
        let folder = try TemporaryFolder()
        let program = try Spawned(Programs.metersim, ["sink", "--listen", "127.0.0.1:0", "--file", folder.file("r.jsonl")])
        let port = try #require(program.line()?.split(separator: ":").last.flatMap { UInt16($0) })
        #expect(program.line() == "ready")
        #expect(BatchText.post(port, [1, 2]).status == 200)
        program.terminate()
        #expect(program.wait() == 0)
        #expect(try Sink.records(file: folder.file("r.jsonl")).count == 2)
    }

    @Test(
        .enabled(if: Programs.isThere(Programs.metersim), "metersim is not built beside the tests"),
        arguments: [
            ["plant", "--fault", "unit=1,fault=sulks"], ["plant", "--speed", "0"], ["sink", "--file", "x", "--mode", "okay"],
            ["load", "--devices", "0"], ["plant", "--tcp", "nowhere"], ["plant", "--epoch", "yesterday"],
        ])
    func wrongArgumentsEndWith64(arguments: [String]) throws {
        let program = try Spawned(Programs.metersim, arguments)
        let text = program.rest()
        #expect(program.wait() == 64)
        #expect(text.hasPrefix("Error: "))
    }
}
