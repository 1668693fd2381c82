import FoundationEssentials
import Gateway
import Glibc
import Host
import Simulators
import TestSupport
import Testing

/// A daemon that may not ask the kernel for its clock, and the companion that asks for it: two processes, and a system call filter between
/// them such as `ProtectClock=yes` sets.
extension EndToEndTests {
    @Suite struct ClockTests {
        /// Forbids adjtimex(2) and clock_adjtime(2) with EPERM to itself and becomes the program that follows.
        ///
        /// - Source: seccomp(2), linux/bpf_common.h, linux/seccomp.h, asm/unistd.h of x86_64 and of the generic table (arm64).
        private static let filter = """
            import ctypes, os, platform, struct, sys
            forbidden = {"x86_64": (159, 305), "aarch64": (171, 266)}[platform.machine()]
            program = [(0x20, 0, 0, 0)]
            program += [(0x15, len(forbidden) - place, 0, call) for place, call in enumerate(forbidden)]
            program += [(0x06, 0, 0, 0x7FFF0000), (0x06, 0, 0, 0x00050001)]
            code = b"".join(struct.pack("HBBI", *step) for step in program)
            held = ctypes.create_string_buffer(code)
            class Program(ctypes.Structure):
                _fields_ = [("length", ctypes.c_ushort), ("steps", ctypes.c_void_p)]
            filter = Program(len(program), ctypes.addressof(held))
            libc = ctypes.CDLL(None, use_errno=True)
            assert libc.prctl(38, 1, 0, 0, 0) == 0
            assert libc.prctl(22, 2, ctypes.byref(filter), 0, 0) == 0
            os.execv(sys.argv[1], sys.argv[1:])
            """

        private func status(_ folder: String, until fits: (StatusReport) -> Bool) async throws -> StatusReport {
            let socket = ["METERD_SOCKET": folder + "/meterd.sock"]
            let end = ContinuousClock.now + .seconds(150)
            var last = ""
            while ContinuousClock.now < end {
                let run = try await runToEnd("meterctl", ["status", "--json"], environment: socket)
                last = run.output + run.errors
                if let report = try? JSONDecoder().decode(StatusReport.self, from: Data(run.output.utf8)), fits(report) { return report }
                try await Task.sleep(for: .milliseconds(100))
            }
            throw ChildProcess.SpawnError(description: "the status did not come to fit: \(last)")
        }

        private func forbidden(_ words: [String], folder: String) throws -> ChildProcess {
            try ChildProcess("/usr/bin/python3", ["-c", Self.filter, "\(Products.directory)/meterd"] + words, folder: folder)
        }

        @Test(.timeLimit(.minutes(5))) func aDaemonThatMayNotAskForTheClockIsToldByItsCompanion() async throws {
            let folder = try TemporaryFolder.make("clock")
            defer { TemporaryFolder.remove(folder) }
            try #require(makeDirectory(folder + "/data"))
            try #require(makeDirectory(folder + "/run"))
            let plant = try ChildProcess("metersim", ["plant", "--tcp", "127.0.0.1:0"], folder: folder)
            let address = try await plant.waitForLine { $0.hasPrefix("listening tcp ") }.dropFirst("listening tcp ".count)
            let config = folder + "/meterd.toml"
            try TextFile.write(
                """
                [gateway]
                id = "gw"
                profile_path = ["\(Products.repository)/profiles"]
                data_directory = "\(folder)/data"
                [api]
                socket = "\(folder)/meterd.sock"
                [[bus]]
                name = "lan"
                url = "tcp://\(address)"
                [[device]]
                name = "grid"
                bus = "lan"
                unit = 1
                profile = "eastron-sdm630"
                role = "grid"
                """, to: config)
            let daemon = try forbidden(["--config", config, "--clock-state", folder + "/run/state"], folder: folder)
            let alone = try await status(folder) { $0.devices.first?.state == .online }
            #expect(alone.clock == ClockReport(synchronized: false, maxErrorMilliseconds: Int(Int32.max), source: .nobody))
            let problem = try #require(alone.problems.first { $0.code == "clock_unknown" })
            #expect(problem.text.contains("\(folder)/run/state is not there: meterd-clock.service is not running"))
            #expect(problem.text.contains("sudo systemctl start meterd-clock"))

            // What the kernel says here, by way of the companion.
            let truth = try #require(KernelAnswer.ask())
            let companion = try ChildProcess("meterd", ["--watch-clock", folder + "/run"], folder: folder + "/run")
            let told = try await status(folder) { $0.clock.source == .companion }
            #expect(told.clock.synchronized == (truth.state(from: .companion).quality == .synchronized))
            #expect(told.clock.maxErrorMilliseconds < Int(Int32.max))
            #expect(!told.problems.contains { $0.code == "clock_unknown" })
            companion.signal(SIGTERM)
            #expect(await companion.exit() == .signal(SIGTERM))
            #expect(companion.errors.isEmpty && companion.output.isEmpty)

            // And a clock that is right: this machine's may not be.
            let right = KernelAnswer(isSynchronized: true, maxErrorMicroseconds: 4_000)
            let file = ClockStateFile(path: folder + "/run/state")
            try file.publish(ClockStateFile.Entry(answer: right, asked: SystemTime().uptime()))
            let synchronised = try await status(folder) { $0.clock.synchronized }
            #expect(synchronised.clock == ClockReport(synchronized: true, maxErrorMilliseconds: 4, source: .companion))
            #expect(synchronised.problems.isEmpty && synchronised.health == .ok)
            // The next reading says so.
            let socket = ["METERD_SOCKET": folder + "/meterd.sock"]
            let end = ContinuousClock.now + .seconds(150)
            var readings = ""
            while !readings.contains("\"clock\":\"S\""), ContinuousClock.now < end {
                readings = try await runToEnd("meterctl", ["readings", "--json"], environment: socket).output
                try file.publish(ClockStateFile.Entry(answer: right, asked: SystemTime().uptime()))
            }
            #expect(readings.contains("\"clock\":\"S\""), "\(readings)")
            daemon.signal(SIGTERM)
            #expect(await daemon.exit() == .code(0))
            try await plant.stop()
        }

        @Test(.timeLimit(.minutes(6))) func aCompanionThatCannotDoItsWorkSaysWhy() async throws {
            let folder = try TemporaryFolder.make("clock")
            defer { TemporaryFolder.remove(folder) }
            let nowhere = try await runToEnd("meterd", ["--watch-clock", folder + "/none"])
            #expect(nowhere.exit == .code(1))
            #expect(nowhere.errors.contains("\(folder)/none/state.new: cannot open: No such file or directory; name a directory"))
            let mute = try forbidden(["--watch-clock", folder], folder: folder)
            #expect(await mute.exit() == .code(77))
            #expect(mute.errors.contains("may not ask the kernel for its clock (adjtimex); allow the call"))
        }
    }
}
