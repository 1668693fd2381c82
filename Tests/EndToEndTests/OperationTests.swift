import FoundationEssentials
import Gateway
import Glibc
import TestSupport
import Testing

/// The daemon as an administrator meets it.
extension EndToEndTests {
    @Suite(.serialized) struct OperationTests {
        @Test(.timeLimit(.minutes(6))) func theDaemonAnswersOverTcpByTokenAndKeepsItsSecrets() async throws {
            let folder = try TemporaryFolder.make("operation")
            defer { TemporaryFolder.remove(folder) }
            try #require(makeDirectory(folder + "/data"))
            let secrets = ["planted-api-token-0001", "planted-output-token-0002"]
            try TextFile.write(secrets[0] + "\n", to: folder + "/api-token")
            try TextFile.write(secrets[1] + "\n", to: folder + "/token")
            let host = "127.0.0.1:\(freePort())"
            let text = """
                [gateway]
                id = "gw"
                data_directory = "\(folder)/data"
                [api]
                socket = "\(folder)/meterd.sock"
                listen = "\(host)"
                token_file = "\(folder)/api-token"
                [[output]]
                name = "park"
                type = "http"
                url = "http://127.0.0.1:\(freePort())/v1/batches"
                token_file = "\(folder)/token"
                """
            let config = folder + "/meterd.toml"
            try TextFile.write(text, to: config)
            let daemon = try ChildProcess("meterd", ["--config", config, "--log-level", "notice"], folder: folder)
            let socket = ["METERD_SOCKET": folder + "/meterd.sock"]
            func meterctl(_ words: String...) async throws -> (exit: ChildProcess.Exit, output: String, errors: String) {
                try await runToEnd("meterctl", words, environment: socket)
            }
            // Nothing is said of it at this level; it is there when it answers.
            let end = ContinuousClock.now + .seconds(150)
            while try await meterctl("status").exit == .code(69), ContinuousClock.now < end { try await Task.sleep(for: .milliseconds(50)) }

            // Over TCP: nothing without the token, everything with it.
            let bare = try await meterctl("status", "--host", host)
            #expect(bare.exit == .code(1) && bare.errors.contains("this needs a token"), "\(bare)")
            let byToken = try await meterctl("status", "--host", host, "--token-file", folder + "/api-token")
            #expect(byToken.exit == .code(0) && byToken.output.contains("gateway  gw, meterd"), "\(byToken)")
            let pause = try await meterctl("outputs", "park", "pause", "--host", host, "--token-file", folder + "/api-token")
            #expect(pause.exit == .code(0) && pause.output.hasPrefix("park is paused"))
            #expect(try await meterctl("outputs", "park", "pause", "--host", host, "--token-file", folder + "/token").exit == .code(1))
            #expect(try await meterctl("outputs", "park", "resume").exit == .code(0))

            // The level, at run time: the reload is told once info is logged.
            #expect(try await meterctl("log-level").output == "notice\n")
            #expect(try await meterctl("reload").exit == .code(0))
            #expect(!daemon.errors.contains("config reloaded"))
            #expect(try await meterctl("log-level", "debug").output == "debug\n")
            #expect(try await meterctl("reload").exit == .code(0))
            _ = try await daemon.waitForLine { $0.contains("config reloaded") }

            // What differs, until it is applied; the listener wants a restart.
            #expect(try await meterctl("config", "diff").exit == .code(0))
            try TextFile.write(text + "\nbatch_age = \"9s\"\n", to: config)
            let diff = try await meterctl("config", "diff")
            #expect(diff.exit == .code(1) && diff.output.contains("changed output park batch_age: \"5s\" -> \"9s\""), "\(diff)")
            #expect(try await meterctl("reload").exit == .code(0))
            #expect(try await meterctl("config", "diff").exit == .code(0))
            try TextFile.write(text.replacing("listen = \"\(host)\"", with: ""), to: config)
            let refused = try await meterctl("reload")
            #expect(refused.exit == .code(65) && refused.errors.contains("api.listen: cannot change from \(host) to nothing"), "\(refused)")
            try TextFile.write(text, to: config)
            #expect(try await meterctl("reload").exit == .code(0))

            let doctor = try await meterctl("doctor", config)
            #expect(doctor.output.contains("daemon") && !doctor.output.contains("it does not answer"))

            // No secret in what others can see of it.
            let process = "/proc/\(daemon.processID)/"
            let seen = [
                try await meterctl("status", "--json").output, try await meterctl("outputs").output,
                try await meterctl("config", "show", config).output,
                try await meterctl("config", "show", "--running", "--json").output, doctor.output, daemon.errors, daemon.output,
                String(decoding: try Data(contentsOf: URL(filePath: process + "cmdline")), as: UTF8.self),
                String(decoding: try Data(contentsOf: URL(filePath: process + "environ")), as: UTF8.self),
            ]
            for text in seen {
                #expect(!text.isEmpty || text == daemon.output)
                for secret in secrets { #expect(!text.contains(secret)) }
            }
            daemon.signal(SIGTERM)
            #expect(await daemon.exit() == .code(0))
            #expect(!secrets.contains { daemon.errors.contains($0) })
        }

        /// At the start and at a reload as while it runs.
        @Test(.timeLimit(.minutes(6))) func aMissingSecretPausesItsOutputAndNothingElse() async throws {
            let secrets = try TemporaryFolder.make("secrets")
            defer { TemporaryFolder.remove(secrets) }
            let factory = try await Factory(Factory.Options(output: "batch_age = \"1s\"\ntoken_file = \"\(secrets)/token\""))
            try await factory.startDaemon()
            let paused = try await factory.waitForStatus { status in
                status.outputs[0].state == .paused && status.devices.allSatisfy { $0.pollsOK > 0 }
            }
            let problem = try #require(paused.problems.first { $0.code == "output_paused" })
            #expect(problem.subject == "park" && problem.text.contains("\(secrets)/token cannot be read"), "\(problem)")
            let check = try await factory.meterctl("config", "check", factory.config)
            #expect(check.exit == .code(65) && check.errors.contains("output[0].token_file: \(secrets)/token cannot be read"), "\(check)")
            let reload = try await factory.meterctl("reload")
            #expect(reload.exit == .code(0), "\(reload)")
            try await factory.waitForStatus { $0.problems.contains { $0.code == "output_paused" } }
            try TextFile.write("mended\n", to: secrets + "/token")
            #expect(try await factory.meterctl("reload").exit == .code(0))
            _ = try await factory.waitForDelivery()
            #expect(try await factory.stop().exit == .code(0))
        }

        @Test(.timeLimit(.minutes(6))) func aPortThatIsTakenIsAnAlarmUntilItIsFree() async throws {
            let folder = try TemporaryFolder.make("port")
            defer { TemporaryFolder.remove(folder) }
            try #require(makeDirectory(folder + "/data"))
            let port = freePort()
            let other = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
            #expect(withLoopback(port) { bind(other, $0, $1) } == 0 && listen(other, 1) == 0)
            try TextFile.write(
                """
                [gateway]
                id = "gw"
                data_directory = "\(folder)/data"
                [api]
                socket = "\(folder)/meterd.sock"
                listen = "127.0.0.1:\(port)"
                """, to: folder + "/meterd.toml")
            let daemon = try ChildProcess("meterd", ["--config", folder + "/meterd.toml"], folder: folder)
            func status(_ words: String...) async throws -> (exit: ChildProcess.Exit, output: String, errors: String) {
                try await runToEnd("meterctl", ["status"] + words, environment: ["METERD_SOCKET": folder + "/meterd.sock"])
            }
            func status(until fits: (String) -> Bool) async throws -> (exit: ChildProcess.Exit, output: String, errors: String) {
                let end = ContinuousClock.now + .seconds(150)
                var answer = try await status()
                while !fits(answer.output), ContinuousClock.now < end {
                    try await Task.sleep(for: .milliseconds(200))
                    answer = try await status()
                }
                return answer
            }
            let taken = try await status { $0.contains("api_not_listening") }
            #expect(taken.exit == .code(0) && taken.output.hasPrefix("health   degraded"), "\(taken)")
            #expect(taken.output.contains("! 127.0.0.1:\(port): api_not_listening"), "\(taken)")
            #expect(taken.output.contains("set [api] listen to another port and restart meterd; it is tried again"), "\(taken)")
            close(other)
            let free = try await status { !$0.isEmpty && !$0.contains("api_not_listening") }
            #expect(free.exit == .code(0) && !free.output.contains("api_not_listening"), "\(free)")
            #expect(try await status("--host", "127.0.0.1:\(port)").exit == .code(0))
            daemon.signal(SIGTERM)
            #expect(await daemon.exit() == .code(0))
            // It was tried more than once, and told once.
            #expect(daemon.errors.split(separator: "\n").count { $0.contains("cannot listen") } == 1)
        }
    }
}
