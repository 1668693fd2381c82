import FoundationEssentials
import Gateway
import Glibc
import Host
import Metering
import Simulators
import TestSupport
import Testing

/// It starts whatever happens, and says what is wrong; only an invalid config stops it.
extension EndToEndTests {
    @Suite(.serialized) struct BadLuckTests {
        @Test func anInvalidConfigStartsNothingAndSaysEverything() async throws {
            let factory = try await Factory()
            let text = TextFile.content(factory.config)
            try TextFile.write(
                text.replacing("role = \"grid\"", with: "rolle = \"grid\"").replacing("unit = 2", with: "unit = \"2\""), to: factory.config)
            let run = try await runToEnd("meterd", ["--config", factory.config])
            #expect(run.exit == .code(65))
            #expect(run.errors.contains("\(factory.config):12:1: device[0].role: is missing"))
            #expect(run.errors.contains("device[0].rolle: unknown key; did you mean \"role\"?"))
            #expect(run.errors.contains("device[1].unit: must be an integer, found a string"))
            #expect(TextFile.content(factory.folder + "/data/journal.db").isEmpty)
            let check = try await runToEnd("meterctl", ["config", "check", factory.config])
            #expect(check.exit == .code(65))
            #expect(check.errors.split(separator: "\n").count == run.errors.split(separator: "\n").count)
        }

        @Test func aSecondDaemonOnTheSameDataIsRefused() async throws {
            let factory = try await Factory()
            try await factory.startDaemon()
            let second = try await runToEnd("meterd", ["--config", factory.config])
            #expect(second.exit == .code(1))
            #expect(second.errors.contains("\(try #require(factory.daemon).processID)"))
            #expect(try await factory.stop().exit == .code(0))
        }

        @Test func aFileThatIsNoDatabaseIsSetAsideAndPollingGoesOn() async throws {
            let factory = try await Factory()
            try TextFile.write(String(repeating: "this is not a database\n", count: 1000), to: factory.folder + "/data/journal.db")
            try await factory.startDaemon()
            let status = try await factory.waitForStatus { $0.journal.lastSeq > 0 }
            let problem = try #require(status.problems.first { $0.code == "database_quarantined" })
            #expect(problem.text.contains("journal.db.corrupt-"))
            _ = try await factory.waitForDelivery()
            #expect(try await factory.stop().exit == .code(0))
        }

        /// What was polled since the backup has numbers that receivers know; so the journal gets another name, and everyone is told.
        @Test(.timeLimit(.minutes(6))) func aDatabaseFromABackupGoesOnUnderAnotherNameAndSaysSo() async throws {
            let factory = try await Factory()
            guard ExtendedAttribute.set("user.meterd.test", to: "1", of: factory.folder) else {
                return print("skipped: the file system of \(factory.folder) has no extended attributes")
            }
            let data = factory.folder + "/data"
            func copy(from source: String, to target: String) throws {
                for name in ["journal.db", "journal.db-wal"] {
                    try? FileManager.default.removeItem(atPath: "\(target)/\(name)")
                    try FileManager.default.copyItem(atPath: "\(source)/\(name)", toPath: "\(target)/\(name)")
                }
            }
            let backup = factory.folder + "/backup"
            try FileManager.default.createDirectory(atPath: backup, withIntermediateDirectories: false)
            try await factory.startDaemon()
            let before = try await factory.waitForStatus { $0.journal.lastSeq > 0 }
            #expect(before.journal.restoredFrom == nil)
            #expect(try await factory.stop().exit == .code(0))
            try copy(from: data, to: backup)
            try await factory.startDaemon()
            _ = try await factory.waitForStatus { $0.journal.lastSeq > before.journal.lastSeq }
            #expect(try await factory.stop().exit == .code(0))
            try copy(from: backup, to: data)
            // Also the start after that tells of it.
            for _ in 0..<2 {
                try await factory.startDaemon()
                let status = try await factory.status()
                #expect(status.journalID != before.journalID && status.journal.restoredFrom == before.journalID)
                let problem = try #require(status.problems.first { $0.code == "journal_restored" })
                #expect(problem.text.contains("from \(before.journalID) to \(status.journalID)"))
                #expect(problem.since == status.journal.restoredAt)
                #expect(try await factory.meterctl("journal").output.contains("the id changed from \(before.journalID)"))
                #expect(try await factory.stop().exit == .code(0))
            }
        }

        /// The position belongs to the output's name.
        @Test(.timeLimit(.minutes(6))) func anOutputWithAnotherURLGoesOnWhereItWas() async throws {
            let factory = try await Factory()
            try await factory.startDaemon()
            let before = try await factory.waitForStatus { $0.outputs[0].cursor > 0 }.outputs[0].cursor
            let text = TextFile.content(factory.config)
            try TextFile.write(
                text.replacing("http://\(factory.sinkAddress)/", with: "http://\(factory.sinkAddress)/moved/"), to: factory.config)
            #expect(TextFile.content(factory.config) != text)
            #expect(try await factory.meterctl("reload").output.contains("outputs  0 kept, changed"))
            try await factory.waitForStatus { $0.outputs[0].cursor > before }
            #expect(try await factory.stop().exit == .code(0))
            let seqs = try factory.records().map(\.seq)
            #expect(seqs == seqs.sorted() && Set(seqs).count == seqs.count && seqs.first == 1, "\(seqs)")
        }

        @Test func missingMetersAndAnUpstreamWithoutAddressAreReportedNotFatal() async throws {
            var options = Factory.Options()
            options.url = "http://upstream.invalid/v1"
            options.devices += """

                [[bus]]
                name = "adapter"
                url = "serial:///dev/serial/by-id/none"
                [[device]]
                name = "unplugged"
                bus = "adapter"
                unit = 1
                profile = "eastron-sdm630"
                role = "load"
                """
            let factory = try await Factory(options)
            try await factory.startDaemon()
            let status = try await factory.waitForStatus { status in
                status.journal.lastSeq > 0 && status.outputs[0].state == .retrying && status.buses[1].state == .down
                    && status.devices[0].state == .online
            }
            #expect(status.health == .degraded)
            #expect(status.problems.contains { $0.subject == "adapter" && $0.text.contains("/dev/serial/by-id/none") })
            #expect(status.problems.contains { $0.subject == "park" })
            // A device that cannot be reached gives readings with a quality and no value, never a number.
            let readings = try await factory.meterctl("readings", "unplugged", "--json")
            #expect(readings.exit == .code(0))
            #expect(readings.output.contains("\"quality\":1,"))
            #expect(!readings.output.contains("\"quality\":0,"))
            #expect(try await factory.stop().exit == .code(0))
        }

        @Test func aSocketThatCannotBeMadeDoesNotStopPolling() async throws {
            let factory = try await Factory()
            let text = TextFile.content(factory.config)
            try TextFile.write(text.replacing(factory.socket, with: factory.folder + "/no/such/place/meterd.sock"), to: factory.config)
            let daemon = try ChildProcess("meterd", ["--config", factory.config], folder: try TemporaryFolder.make("deaf"))
            _ = try await daemon.waitForLine { $0.contains("local API cannot listen") }
            // Batches still arrive.
            let end = ContinuousClock.now + .seconds(150)
            while try factory.records().isEmpty, ContinuousClock.now < end { try await Task.sleep(for: .milliseconds(100)) }
            #expect(try !factory.records().isEmpty)
            daemon.signal(SIGTERM)
            #expect(await daemon.exit() == .code(0))
        }

        @Test func aReceiverThatTalksNonsenseGetsEverythingInTheEnd() async throws {
            let factory = try await Factory()
            try await factory.startDaemon()
            try await factory.waitForStatus { $0.outputs[0].acceptedPolls > 0 }
            for mode in ["noise,times=1", "cut-before,times=1", "cut-after,times=1", "500,times=1", "413,records=3,times=3"] {
                try await setMode(mode, at: factory.sinkAddress)
                try await waitForModeOK(at: factory.sinkAddress)
                // What was cut short comes again before the next mode, under the same id.
                _ = try await factory.waitForDelivery()
            }
            let last = try await factory.waitForDelivery()
            #expect(try await factory.status().outputs[0].lastError == nil)
            #expect(try await factory.stop().exit == .code(0))
            let tally = SinkTally(try factory.records(), through: last)
            #expect(tally.missing == 0)
            #expect(tally.duplicates == 0)
        }

        /// Waits until the mode has done what it was set to do.
        private func waitForModeOK(at address: String) async throws {
            let end = ContinuousClock.now + .seconds(150)
            while ContinuousClock.now < end {
                let run = try await runToEnd("/usr/bin/env", ["curl", "-s", "http://\(address)/status"])
                if run.output.contains("\"mode\":\"ok\"") { return }
                try await Task.sleep(for: .milliseconds(100))
            }
            Issue.record("the receiver's mode was never used up")
        }

        /// POSTs to the sink's control route with plain sockets.
        private func setMode(_ mode: String, at address: String) async throws {
            let run = try await runToEnd("/usr/bin/env", ["curl", "-s", "-f", "-d", mode, "http://\(address)/mode"])
            try #require(run.exit == .code(0), "\(run.errors)")
        }
    }
}
