import Glibc
import Metering
import TestSupport
import Testing

/// `metersim device` as its users run it.
@Suite(.enabled(if: Programs.isThere(Programs.metersim), "metersim is not built beside the tests"))
struct DeviceProgramTests {
    private static let profiles = Products.repository + "/profiles"

    private func port(of program: ChildProcess) async throws -> UInt16 {
        let line = try await program.waitForLine { $0.hasPrefix("listening tcp ") }
        return try #require(line.split(separator: ":").last.flatMap { UInt16($0) })
    }

    @Test func aDeviceShowsWhatWasSetAndStopsWhenTold() async throws {
        let program = try ChildProcess(
            "metersim",
            [
                "device", "abb-b23", "--profiles", Self.profiles, "--unit", "7", "--tcp", "127.0.0.1:0", "--set", "voltage_l1=231.5",
                "--set",
                "power_active=-1250.5",
            ])
        let port = try await port(of: program)
        _ = try await program.waitForLine { $0.hasPrefix("ready profile=abb-b23 unit=7 points=") }
        let client = try #require(ModbusClient(port: port))
        #expect(client.read(.holding, 0x5B00, 2, unit: 7) == [0, 2315])
        // -125050 in steps of 0.01 W
        #expect(client.read(.holding, 0x5B14, 2, unit: 7) == [0xFFFE, 0x1786])
        program.signal(SIGTERM)
        #expect(await program.exit() == .code(0))
    }

    @Test func aFaultIsTheDevicesOwnWithoutNamingAUnit() async throws {
        let program = try ChildProcess(
            "metersim",
            ["device", "abb-b23", "--profiles", Self.profiles, "--unit", "7", "--tcp", "127.0.0.1:0", "--fault", "exception,code=4"])
        let client = try #require(ModbusClient(port: try await port(of: program)))
        #expect(client.read(.holding, 0x5B00, 2, unit: 7) == nil)
        program.signal(SIGTERM)
        #expect(await program.exit() == .code(0))
    }

    @Test func aPtyHasTheNameThatWasAskedFor() async throws {
        let folder = try ScratchFolder("pty")
        let program = try ChildProcess("metersim", ["device", Self.profiles + "/abb-b21.toml", "--pty", folder.path + "/line"])
        _ = try await program.waitForLine { $0 == "listening rtu \(folder.path)/line" }
        _ = try await program.waitForLine { $0.hasPrefix("ready ") }
        #expect(access(folder.path + "/line", R_OK) == 0)
        program.signal(SIGTERM)
        #expect(await program.exit() == .code(0))
    }

    @Test(arguments: [
        (["device", "no-such-meter"], 64, "no profile no-such-meter in "),
        (["device", "./nothing.toml"], 64, "there is no file ./nothing.toml"),
        (["device", "abb-b23", "--set", "voltage_l9=1"], 64, "voltage_l9 is no quantity of abb-b23"),
        (["device", "abb-b23", "--set", "voltage_l1"], 64, "is not quantity=value; write voltage_l1=231.5"),
        (["device", "abb-b23", "--set", "voltage_l1=high"], 64, "voltage_l1=high is no number"),
        (["device", "abb-b23", "--set", "frequency=5000"], 64, "frequency=5000 cannot be put into its registers"),
        (["device", "abb-b23", "--fault", "sulks"], 64, "fault: sulks is not known"),
        (["device", "abb-b23", "--tcp", "192.0.2.1:1"], 1, "cannot listen on 192.0.2.1:1"),
    ]) func whatIsWrongIsSaid(_ arguments: [String], _ code: Int32, _ reason: String) async throws {
        let ended = try await runToEnd("metersim", arguments + ["--profiles", Self.profiles])
        #expect(ended.exit == .code(code))
        #expect(ended.errors.contains(reason), "\(ended.errors)")
        #expect(ended.output.isEmpty)
    }

    @Test func anInvalidProfileEndsWith65AndItsProblems() async throws {
        let folder = try ScratchFolder("profile")
        let file = try folder.file("bad.toml", content: "profile = \"bad\"\nversion = \"1\"\n")
        let ended = try await runToEnd("metersim", ["device", file])
        #expect(ended.exit == .code(65))
        #expect(ended.errors.contains("bad.toml:2:11: version: must be an integer"), "\(ended.errors)")
    }

    @Test func theVersionIsTold() async throws {
        let ended = try await runToEnd("metersim", ["--version"])
        #expect(ended.exit == .code(0))
        #expect(ended.output.split(separator: ".").count == 3)
    }
}
