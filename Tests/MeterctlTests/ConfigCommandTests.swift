import Gateway
import Metering
import TestSupport
import Testing

/// `config show` needs no daemon; `config diff` asks it.
@Suite(.timeLimit(.minutes(10))) struct ConfigCommandTests {
    /// In force is one file, and the files now say another.
    private static func desk(_ folder: String) throws -> ConfigurationDesk {
        let file = folder + "/meterd.toml"
        let before = try Configuration.load(file: file, hostName: "box").listing
        return ConfigurationDesk(load: { () throws(Problems) in try Configuration.load(file: file, hostName: "box") }, listing: { before })
    }

    @Test func theFilesAreHeldAgainstWhatIsInForce() async throws {
        let folder = try TemporaryFolder.make("diff")
        defer { TemporaryFolder.remove(folder) }
        let file = folder + "/meterd.toml"
        try TextFile.write("[journal]\nretention = \"30d\"\n", to: file)
        try await withGateway(configuration: Self.desk(folder)) { socket in
            let same = try await meterctl(["config", "diff", "--socket", socket])
            #expect(same.status == 0 && same.output.isEmpty && same.error.isEmpty)
            #expect(try await meterctl(["config", "diff", "--json", "--socket", socket]).output == "{\"same\":true,\"differences\":[]}\n")

            try TextFile.write("[journal]\nretention = \"10d\"\n", to: file)
            let changed = try await meterctl(["config", "diff", "--socket", socket])
            #expect(changed.status == 1)
            #expect(changed.output == "changed journal retention: \"30d\" -> \"10d\" (\(file):2)\n")
            let json = try await meterctl(["config", "diff", "--json", "--socket", socket])
            #expect(json.status == 1 && json.output.hasPrefix(#"{"same":false,"differences":[{"change":"changed","table":"journal","#))
            let running = try await meterctl(["config", "show", "--running", "--socket", socket])
            #expect(running.output.contains("retention = \"30d\""))
            #expect(try await meterctl(["config", "show", file]).output.contains("retention = \"10d\""))

            try TextFile.write("[journal]\nretention = \"ten\"\n", to: file)
            let wrong = try await meterctl(["config", "diff", "--socket", socket])
            #expect(wrong.status == 65 && wrong.output.isEmpty)
            #expect(wrong.error.contains("\(file):2:13: journal.retention: \"ten\" is no duration"))
            #expect(try await meterctl(["config", "show", file]).status == 65)
        }
    }

    @Test func theWholeConfigurationIsShownAsToml() async throws {
        let folder = try TemporaryFolder.make("show")
        defer { TemporaryFolder.remove(folder) }
        let file = folder + "/meterd.toml"
        try TextFile.write("[gateway]\nid = \"gw\"\n[[bus]]\nname = \"lan\"\nurl = \"tcp://192.0.2.1\"\n", to: file)
        let run = try await meterctl(["config", "show", file])
        #expect(run.status == 0 && run.error.isEmpty)
        #expect(run.output == Self.shown.replacing("$file", with: file))
        let all = try await meterctl(["config", "show", "--all", file])
        #expect(all.output.contains("# site is not set"))
        // What is shown is itself a configuration.
        try TextFile.write(run.output, to: folder + "/again.toml")
        #expect(try await meterctl(["config", "check", folder + "/again.toml"]).status == 0)
    }

    private static let shown = """
        [gateway]
        id = "gw"                                       # $file:2
        data_directory = "/var/lib/meterd"              # default
        profile_path = ["/etc/meterd/profiles", "/usr/share/meterd/profiles"]  # default

        [journal]
        commit_interval = "5s"                          # default
        retention = "60d"                               # default
        size_limit = "2GiB"                             # default
        undated_hold = "24h"                            # default
        send_undated = false                            # default

        [api]
        socket = "/run/meterd/meterd.sock"              # default

        [[bus]]
        name = "lan"                                    # $file:4
        url = "tcp://192.0.2.1"                         # $file:5
        timeout = "1s"                                  # default
        boundary = "15m"                                # default

        """
}

/// The doctor comes when the daemon is down, too.
@Suite(.timeLimit(.minutes(10))) struct DoctorCommandTests {
    @Test func theDoctorNeedsNoDaemon() async throws {
        let folder = try TemporaryFolder.make("doctor")
        defer { TemporaryFolder.remove(folder) }
        let file = folder + "/meterd.toml"
        try TextFile.write("[gateway]\nid = \"gw\"\ndata_directory = \"\(folder)\"\n", to: file)
        let run = try await meterctl(["doctor", "--json", file, "--socket", folder + "/none.sock"])
        #expect(run.status == 1 && run.error.isEmpty)
        #expect(run.output.hasPrefix(#"{"verdict":"failure","checks":[{"check":"config","subject":null,"verdict":"warning","#))
        let table = try await meterctl(["doctor", file, "--socket", folder + "/none.sock"])
        #expect(table.status == 1)
        #expect(table.output.contains("failure  daemon") && table.output.contains("→ meterd is not running"))
        #expect(!table.output.contains("\u{1B}"))
    }
}
