import Gateway
import Glibc
import NIOPosix
import TestSupport
import Testing

/// The real program, against a real server on a real socket or against none.
@Suite(.timeLimit(.minutes(10))) struct ExitStatusTests {
    @Test func withoutADaemonItEndsWith69AndSaysWhatToDo() async throws {
        let run = try await meterctl(["status", "--socket", "/tmp/meterctl-none/meterd.sock"])
        #expect(run.status == 69)
        #expect(run.output.isEmpty)
        #expect(run.error.contains("/tmp/meterctl-none/meterd.sock"))
        #expect(run.error.contains("systemctl status meterd"))
        #expect(run.error.contains("METERD_SOCKET"))
    }

    /// A stranger on the socket: takes the connection and hangs up.
    @Test func aDaemonThatHangsUpEndsWith69() async throws {
        let listener = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .childChannelInitializer { channel in channel.close() }
            .bind(unixDomainSocketPath: "/tmp/meterctl-hangup-\(getpid()).sock", cleanupExistingSocketFile: true).get()
        let run = try await meterctl(["status", "--socket", listener.localAddress?.pathname ?? ""])
        try await listener.close()
        #expect(run.status == 69)
        #expect(run.error.contains("does not answer"))
    }

    @Test func theSocketComesFromTheEnvironmentUnlessItIsGiven() async throws {
        let environment = ["METERD_SOCKET": "/tmp/meterctl-elsewhere.sock"]
        let fromEnvironment = try await meterctl(["devices"], environment: environment)
        #expect(fromEnvironment.status == 69)
        #expect(fromEnvironment.error.contains("/tmp/meterctl-elsewhere.sock"))
        let given = try await meterctl(["devices", "--socket", "/tmp/meterctl-given.sock"], environment: environment)
        #expect(given.error.contains("/tmp/meterctl-given.sock"))
        let first = try await meterctl(["--socket", "/tmp/meterctl-first.sock", "devices"], environment: environment)
        #expect(first.status == 69)
        #expect(first.error.contains("/tmp/meterctl-first.sock"))
        let joined = try await meterctl(["--socket=/tmp/meterctl-first.sock", "status", "--json"], environment: environment)
        #expect(joined.error.contains("/tmp/meterctl-first.sock"))
        let neither = try await meterctl(["outputs", "--socket", "/" + String(repeating: "x", count: 200)])
        #expect(neither.status == 69)
        #expect(neither.error.contains("longer than 107 bytes"))
    }

    @Test(arguments: [
        ["bogus"], ["status", "extra"], ["readings", "--count", "3"], ["devices", "--json", "-q"], ["outputs", "--socket"],
        ["readings", "--watch", "--count", "0"],
    ])
    func wrongUsageEndsWith64(_ arguments: [String]) async throws {
        let run = try await meterctl(arguments)
        #expect(run.status == 64)
        #expect(run.output.isEmpty)
        #expect(run.error.contains("--help"))
    }

    @Test func aMistypedCommandIsToldWithTheOneThatWasMeant() async throws {
        for (words, command, meant) in [
            (["statsu"], "meterctl", "status"), (["help", "redaings"], "meterctl", "readings"),
            (["config", "chek"], "meterctl config", "check"),
            (["dead-letters", "lst", "park"], "meterctl dead-letters", "list"), (["journal", "exprt"], "meterctl journal", "export"),
        ] {
            let run = try await meterctl(words)
            #expect(run.status == 64 && run.output.isEmpty)
            #expect(
                run.error.contains("Error: \(command) has no command \"") && run.error.contains("did you mean \"\(meant)\"?"),
                "\(run.error)")
            #expect(run.error.contains("See '\(command) --help'"))
        }
        for words in [["--version"], ["help"], ["help", "status"], ["journal", "--help"], ["--help"]] {
            #expect(try await meterctl(words).status == 0, "\(words)")
        }
        let unit = try await meterctl(["read", "line-1:300", "0"])
        #expect(unit.status == 64 && unit.error.contains("give one such as main, or line-1:7 with a unit up to 255"), "\(unit.error)")
    }

    @Test func anAnswerThatCannotBeWrittenIsToldUnlessNobodyListens() async throws {
        try await withGateway { socket in
            let program = "'\(Products.directory)/meterctl' status --json --socket '\(socket)'"
            let full = try await runToEnd("/bin/sh", ["-c", "\(program) > /dev/full"])
            #expect(full.exit == .code(1) && full.errors == "meterctl: the answer cannot be written: No space left on device\n", "\(full)")
            // The reader is gone before anything is written.
            let gone = try await runToEnd("/bin/bash", ["-c", "\(program) | true; exit ${PIPESTATUS[0]}"])
            #expect(gone.errors.isEmpty, "\(gone)")
        }
    }

    @Test func jsonIsTheServersAnswerByteForByte() async throws {
        try await withGateway { socket in
            let status = try await meterctl(["status", "--json", "--socket", socket])
            #expect(status.status == 0)
            #expect(status.output == String(decoding: await CannedGateway().status().json, as: UTF8.self) + "\n")
            #expect(status.error.isEmpty)
            let readings = try await meterctl(["readings", "main", "--json"], environment: ["METERD_SOCKET": socket])
            #expect(readings.status == 0)
            #expect(readings.output.contains(#""value":9007199254740993,"#))
        }
    }

    @Test func statusEndsWith1OnlyWhenTheHealthIsFailed() async throws {
        try await withGateway(CannedGateway(health: .degraded)) { socket in
            let run = try await meterctl(["status", "--socket", socket])
            #expect(run.status == 0)
            #expect(run.output.hasPrefix("health   degraded\n"))
        }
        try await withGateway(CannedGateway(health: .failed)) { socket in
            let run = try await meterctl(["status", "--socket", socket])
            #expect(run.status == 1)
            #expect(run.output.hasPrefix("health   failed\n"))
            #expect(run.error.isEmpty)
        }
    }

    @Test func listsAreTablesAndNamesWhenQuiet() async throws {
        try await withGateway { socket in
            let devices = try await meterctl(["devices", "--socket", socket])
            #expect(devices.status == 0)
            #expect(devices.output.hasPrefix("DEVICE  STATE"))
            let one = try await meterctl(["devices", "main", "--socket", socket])
            #expect(one.status == 0)
            #expect(one.output.hasPrefix("DEVICE  STATE"))
            #expect(one.output.contains("energy_active_import  9007199254740993  Wh"))
            #expect(!devices.output.contains("\u{1B}"))
            #expect(try await meterctl(["devices", "-q", "--socket", socket]).output == "main\n")
            #expect(try await meterctl(["outputs", "-q", "--socket", socket]).output == "park\n")
        }
    }

    @Test func anEmptyListIsEmptyOutput() async throws {
        try await withGateway(CannedGateway(isEmpty: true)) { socket in
            for list in ["devices", "outputs", "buses"] {
                let quiet = try await meterctl([list, "-q", "--socket", socket])
                #expect(quiet.status == 0 && quiet.output.isEmpty && quiet.error.isEmpty)
                let loud = try await meterctl([list, "--socket", socket])
                #expect(loud.status == 0 && loud.output.isEmpty)
                #expect(loud.error == "no \(list) are configured; see docs/configuration.md\n")
            }
        }
    }

    @Test func anUnknownDeviceEndsWith1AndAHint() async throws {
        try await withGateway { socket in
            let run = try await meterctl(["readings", "mian", "--socket", socket])
            #expect(run.status == 1)
            #expect(run.output.isEmpty)
            #expect(run.error == "meterctl: no device is called \"mian\"; did you mean \"main\"? (meterctl devices lists them)\n")
            #expect(try await meterctl(["devices", "mian", "--socket", socket]).error == run.error)
            let bus = try await meterctl(["buses", "line-9", "--socket", socket])
            #expect(bus.status == 1)
            #expect(bus.error.hasPrefix("meterctl: no bus is called \"line-9\""))
        }
    }

    @Test func watchingIntoAPipePrintsEachReadingOnce() async throws {
        try await withGateway { socket in
            let run = try await meterctl(["readings", "--watch", "--count", "2", "--socket", socket])
            #expect(run.status == 0)
            #expect(run.output == "2026-11-24T06:00:00.000Z main energy_active_import 9007199254740993 Wh good\n")
            let json = try await meterctl(["readings", "--watch", "--json", "--count", "2", "--socket", socket])
            #expect(json.output.split(separator: "\n").count == 2)
        }
    }

    @Test func aFileThatIsNoConfigurationEndsWith65() async throws {
        let run = try await meterctl(["config", "check", "/tmp/meterctl-none/meterd.toml"])
        #expect(run.status == 65)
        #expect(run.output.isEmpty)
        #expect(run.error.hasPrefix("/tmp/meterctl-none/meterd.toml"))
        let json = try await meterctl(["config", "check", "--json", "/tmp/meterctl-none/meterd.toml"])
        #expect(json.status == 65)
        #expect(json.output.hasPrefix(#"{"valid":false,"file":"/tmp/meterctl-none/meterd.toml","problems":["#))
    }
}
