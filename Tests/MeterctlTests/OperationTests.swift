import FoundationEssentials
import Gateway
import Glibc
import TestSupport
import Testing

/// The commands that look after the daemon, as a person types them.
@Suite(.timeLimit(.minutes(10))) struct OperationTests {
    // MARK: The bundle

    /// Secrets in every place of a config, in the log and in the daemon's answers; each is a word that is nowhere else.
    private struct Plant {
        static let secrets = [
            "planted-token-4711", "planted password with spaces", "plantedquery0001", "A1plantedpath0002zz", "planted-header-0003",
            "planted-comment-0004",
            "planted-inline-0005", "planteduser0006", "plantedpass0007", "planted-bearer-0008", "planted-log-0009",
            "planted-api-token-0010", "planteduser0011", "plantedpass0012", "plantedpass0013", "plantedtoken0014", "planted-pasted-0015",
            Data("meterd:planted password with spaces".utf8).base64EncodedString(),
        ]
        let folder: String
        var config: String { folder + "/meterd.toml" }
        var log: String { folder + "/log" }

        init() throws {
            folder = try TemporaryFolder.make("bundle")
            try TextFile.write("planted-token-4711\n", to: folder + "/token")
            try TextFile.write("planted password with spaces\n", to: folder + "/password")
            try TextFile.write("planted-api-token-0010\n", to: folder + "/api-token")
            try TextFile.write(
                """
                2026-11-24T06:00:00+0000 gw meterd[7]: output retries url=https://planteduser0006:plantedpass0007@in.example.org/x?k=plantedquery0001
                2026-11-24T06:00:01+0000 gw meterd[7]: the receiver says: Bearer planted-bearer-0008 is unknown, and so is planted-token-4711
                2026-11-24T06:00:02+0000 gw meterd[7]: password=planted-log-0009 planted password with spaces; planted-header-0003
                2026-11-24T06:00:03+0000 gw meterd[7]: device is offline device.name=main
                """, to: log)
        }

        private static let mistakes = """
            password = "planted-inline-0005"
            [[output]]
            name = "x"
            type = "http"
            url = "https://planteduser0006:plantedpass0007@in.example.org/"
            [[output]]
            name = "y"
            type = "mqtt"
            url = "planteduser0011:plantedpass0012@broker.example.org"
            [[output]]
            name = "z"
            type = "http"
            url = "https//other.example.org/x?token=plantedtoken0014"
            proxy = "ann:plantedpass0013@proxy.example.org:3128"
            token_file = "planted-pasted-0015"
            """

        func write(valid: Bool) throws {
            try TextFile.write(
                """
                # the old token was planted-comment-0004
                [gateway]
                id = "gw"
                data_directory = "\(folder)"
                [api]
                token_file = "\(folder)/api-token"
                [[output]]
                name = "park"
                type = "http"
                url = "https://in.example.org/api/A1plantedpath0002zz/telemetry?org=factory&k=plantedquery0001"
                token_file = "token"
                headers = ["X-Api-Key: planted-header-0003"]
                [[output]]
                name = "flow"
                type = "influx"
                url = "http://127.0.0.1:9/write?db=meters"
                username = "meterd"
                password_file = "\(folder)/password"
                \(valid ? "" : Plant.mistakes)
                """, to: config)
        }
    }

    @Test(arguments: [true, false]) func noSecretIsInTheBundle(_ valid: Bool) async throws {
        let plant = try Plant()
        defer { TemporaryFolder.remove(plant.folder) }
        try plant.write(valid: valid)
        let login = Data("meterd:planted password with spaces".utf8).base64EncodedString()
        let answer = "401: token planted-token-4711 is unknown, and so is \(login)"
        try await withGateway(CannedGateway(lastError: answer)) { socket in
            let bundle = plant.folder + "/bundle.tar.gz"
            let run = try await meterctl(["support-bundle", bundle, "--config", plant.config, "--log", plant.log, "--socket", socket])
            #expect(run.status == 0, "\(run.error)")
            #expect(run.output == bundle + "\n")
            var facts = stat()
            #expect(stat(bundle, &facts) == 0 && facts.st_mode & 0o777 == 0o600)

            let unpacked = try await runToEnd("/bin/tar", ["-xzf", bundle, "-C", plant.folder])
            #expect(unpacked.exit == .code(0), "\(unpacked.errors)")
            let names = try FileManager.default.contentsOfDirectory(atPath: plant.folder)
            let folder = try #require(names.first { $0.hasPrefix("meterd-support-gw-") })
            var whole = ""
            var files: Set<String> = []
            for name in try FileManager.default.contentsOfDirectory(atPath: "\(plant.folder)/\(folder)") {
                files.insert(name)
                whole += name + "\n" + TextFile.content("\(plant.folder)/\(folder)/\(name)")
            }
            #expect(
                files.isSuperset(of: [
                    "README.txt", "config.json", "config.txt", "doctor.json", "doctor.txt", "log.txt", "profiles.txt", "status.json",
                    "versions.txt",
                ]))
            #expect(!files.contains("readings.json"))
            for secret in Plant.secrets { #expect(!whole.contains(secret), "\(secret)") }
            // What helps is there.
            #expect(whole.contains("device is offline device.name=main") && whole.contains("\"gateway\":\"gw-017\""))
            #expect(whole.contains("https://in.example.org/api/***/telemetry?org=factory&k=***"))
            if !valid { #expect(whole.contains("holds a user name or password") && whole.contains("unknown key")) }

            let again = try await meterctl(["support-bundle", bundle, "--config", plant.config, "--log", plant.log, "--socket", socket])
            #expect(again.status == 1 && again.error.contains("File exists; name another file"))
        }
    }

    /// Names that a shell would read as commands stay names.
    @Test func theBundleNeedsNoDaemonAndNoShell() async throws {
        let folder = try TemporaryFolder.make("bundle")
        defer { TemporaryFolder.remove(folder) }
        try TextFile.write("[gateway]\nid = \"gw\"\ndata_directory = \"\(folder)\"\n", to: folder + "/meterd.toml")
        let bundle = folder + "/$(touch \(folder.split(separator: "/").last ?? "")).tar.gz"
        let run = try await meterctl([
            "support-bundle", bundle, "--config", folder + "/meterd.toml", "--with-readings", "--socket", folder + "/none.sock",
        ])
        #expect(run.status == 0, "\(run.error)")
        let list = try await runToEnd("/bin/tar", ["-tzf", bundle])
        #expect(list.exit == .code(0))
        for name in ["status.txt", "readings.txt", "log.txt", "doctor.txt"] { #expect(list.output.contains("/" + name + "\n"), "\(name)") }
    }

    /// A config that names another socket is asked there, also by who helps from afar; what is named on the command goes before it.
    @Test func theDaemonIsAskedWhereTheConfigSays() async throws {
        let folder = try TemporaryFolder.make("elsewhere")
        defer { TemporaryFolder.remove(folder) }
        let file = folder + "/meterd.toml"
        try await withGateway { socket in
            try TextFile.write("[gateway]\nid = \"gw\"\ndata_directory = \"\(folder)\"\n[api]\nsocket = \"\(socket)\"\n", to: file)
            let doctor = try await meterctl(["doctor", file])
            #expect(doctor.output.contains("it runs and its health is ok"), "\(doctor)")
            let other = try await meterctl(["doctor", file], environment: ["METERD_SOCKET": folder + "/none.sock"])
            #expect(other.output.contains("it does not answer") && other.output.contains("there is no \(folder)/none.sock"), "\(other)")
            let bundle = folder + "/bundle.tar.gz"
            #expect(try await meterctl(["support-bundle", bundle, "--config", file, "--log", file]).status == 0)
            let list = try await runToEnd("/bin/tar", ["-tzf", bundle])
            #expect(list.output.contains("/status.json\n") && !list.output.contains("/status.txt\n"), "\(list.output)")
        }
    }

    // MARK: Watching

    @Test func watchingIntoAPipeGivesABlockEachSecond() async throws {
        try await withGateway { socket in
            for command in ["devices", "outputs", "status"] {
                let once = try await meterctl([command, "--socket", socket])
                let run = try await meterctl([command, "--watch", "--count", "2", "--socket", socket])
                #expect(run.status == 0 && !run.output.contains("\u{1B}"))
                let first = try #require(once.output.split(separator: "\n").first)
                let heads = run.output.split(separator: "\n").filter { $0 == first }
                #expect(heads.count == 2, "\(command): \(run.output)")
                #expect(command == "status" || run.output == once.output + "\n" + once.output)
                let json = try await meterctl([command, "--watch", "--json", "--count", "2", "--socket", socket])
                #expect(json.output.split(separator: "\n").count == 2)
                #expect(try await meterctl([command, "--count", "2", "--socket", socket]).status == 64)
            }
            #expect(try await meterctl(["devices", "--watch", "-q", "--socket", socket]).status == 64)
            #expect(try await meterctl(["outputs", "park", "pause", "--watch", "--socket", socket]).status == 64)
            #expect(try await meterctl(["outputs", "none", "--watch", "--socket", socket]).status == 1)
        }
    }

    /// On a real terminal of 50 columns, which `script` makes.
    @Test func aTerminalIsDrawnAnewInItsWidthAndInColourUnlessThatIsNotWanted() async throws {
        try await withGateway(CannedGateway(health: .failed)) { socket in
            func onTerminal(_ words: String, _ more: [String: String] = [:]) async throws -> String {
                let command = "stty cols 50 rows 20; exec '\(Products.directory)/meterctl' \(words) --socket '\(socket)'"
                var environment = ["TERM": "xterm", "SHELL": "/bin/sh"]
                environment.merge(more) { $1 }
                return try await runToEnd("/usr/bin/script", ["-qec", command, "/dev/null"], environment: environment).output
            }
            let coloured = try await onTerminal("status --watch --count 2")
            #expect(coloured.split(separator: "\u{1B}[H", omittingEmptySubsequences: false).count == 3, "drawn twice, from the top")
            #expect(coloured.contains("\u{1B}[31mfailed\u{1B}[0m"))
            for wish in [["NO_COLOR": "1"], ["TERM": "dumb"]] {
                let plain = try await onTerminal("status", wish)
                #expect(!plain.contains("\u{1B}[3") && plain.contains("health   failed"), "the word says it too")
                #expect(plain.split(whereSeparator: \.isNewline).allSatisfy { $0.count <= 50 }, "\(plain)")
            }
        }
    }

    @Test func anInterruptEndsTheWatchingAndLeavesTheTerminalAsItWas() async throws {
        try await withGateway { socket in
            let watch =
                "timeout --foreground --preserve-status -s INT 1 '\(Products.directory)/meterctl' status --watch --socket '\(socket)'"
            let command = "before=$(stty -g); \(watch); echo \"ended with $?\"; [ \"$before\" = \"$(stty -g)\" ] && echo as it was"
            let run = try await runToEnd(
                "/usr/bin/script", ["-qec", command, "/dev/null"], environment: ["TERM": "xterm", "SHELL": "/bin/sh"])
            #expect(run.output.contains("ended with 130") && run.output.contains("as it was"), "\(run)")
            // Nothing that would have to be taken back: no other screen, no hidden cursor.
            #expect(!run.output.contains("\u{1B}[?"))
        }
    }

    /// A file and a pipe get neither colour nor a cut, also where the environment is a terminal's.
    @Test func noColourGoesIntoAFile() async throws {
        try await withGateway(CannedGateway(health: .failed)) { socket in
            let terminal = ["TERM": "xterm-256color", "COLUMNS": "40", "CLICOLOR": "1"]
            for words in [
                ["status"], ["devices"], ["outputs"], ["readings"], ["doctor", "/none.toml"], ["status", "--watch", "--count", "1"],
            ] {
                let run = try await meterctl(words + ["--socket", socket], environment: terminal)
                #expect(!run.output.isEmpty && !run.output.contains("\u{1B}") && !run.error.contains("\u{1B}"), "\(words): \(run)")
            }
        }
    }

    // MARK: The level

    @Test func theLevelIsShownAndSet() async throws {
        try await withGateway(logLevel: LogLevelControl(.info)) { socket in
            #expect(try await meterctl(["log-level", "--socket", socket]).output == "info\n")
            #expect(try await meterctl(["log-level", "debug", "--socket", socket]).output == "debug\n")
            #expect(try await meterctl(["log-level", "--json", "--socket", socket]).output == "{\"level\":\"debug\"}\n")
            let wrong = try await meterctl(["log-level", "debgu", "--socket", socket])
            #expect(wrong.status == 1 && wrong.error.contains("\"debgu\" is no level; did you mean \"debug\"?"))
            #expect(try await meterctl(["log-level", "--socket", socket]).output == "debug\n")
        }
    }

    // MARK: Over TCP

    @Test func anAddressIsAskedWithAToken() async throws {
        let folder = try TemporaryFolder.make("tcp")
        defer { TemporaryFolder.remove(folder) }
        let host = "127.0.0.1:\(freePort())"
        let nobody = try await meterctl(["status", "--host", host])
        #expect(nobody.status == 69 && nobody.error.contains("meterd does not answer on \(host): nothing listens there"), "\(nobody.error)")
        for wrong in [
            ["--host", "gw"], ["--host", "gw:0"], ["--host", "http://gw:1"], ["--token-file", "/x"], ["--host", host, "--socket", "/x"],
        ] {
            #expect(try await meterctl(["status"] + wrong).status == 64, "\(wrong)")
        }
        let missing = try await meterctl(["status", "--host", host, "--token-file", folder + "/none"])
        #expect(missing.status == 1 && missing.error.contains("\(folder)/none cannot be read"))
    }
}
