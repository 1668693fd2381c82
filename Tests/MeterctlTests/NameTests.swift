import FoundationEssentials
import TestSupport
import Testing

/// The installed meterctl is a link to meterd.
@Suite(.timeLimit(.minutes(10))) struct NameTests {
    @Test func meterdCalledMeterctlIsMeterctl() async throws {
        let folder = try TemporaryFolder.make("names")
        defer { TemporaryFolder.remove(folder) }
        let link = folder + "/meterctl"
        try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: Products.directory + "/meterd")
        let linked = try await runToEnd(link, ["config", "check", folder + "/none.toml"], within: .seconds(60))
        let own = try await meterctl(["config", "check", folder + "/none.toml"])
        #expect(linked.exit == .code(65))
        #expect(own.status == 65)
        #expect(linked.errors == own.error)
        #expect(try await runToEnd(link, ["--help"], within: .seconds(60)).output == meterctl(["--help"]).output)
    }

    @Test func meterdByAnyOtherNameIsTheDaemon() async throws {
        let folder = try TemporaryFolder.make("names")
        defer { TemporaryFolder.remove(folder) }
        let link = folder + "/gateway"
        try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: Products.directory + "/meterd")
        let run = try await runToEnd(link, ["--help"], within: .seconds(60))
        #expect(run.exit == .code(0))
        #expect(run.output.contains("USAGE: meterd [--config <file>]"))
    }
}
