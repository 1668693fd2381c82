import Gateway
import Glibc
import Metering
import Simulators
import TestSupport
import Testing

/// One after the other: each has the machine's clocks and cores to itself. `deploy/test` runs them apart from all other tests.
@Suite(.serialized) struct EndToEndTests {}

/// The promises, kept by the programs as they are shipped.
extension EndToEndTests {
    @Suite(.serialized) struct PromiseTests {
        @Test(.timeLimit(.minutes(5))) func whatWasCommittedSurvivesKillAndArrivesUpstreamUnchanged() async throws {
            var options = Factory.Options()
            options.output = "batch_age = \"1s\"\nbatch_bytes = \"4KiB\""  // slices go out in several parts
            let factory = try await Factory(options)
            let seed = UInt64.random(in: 0 ... .max)
            print("kills of the daemon with seed \(seed)")
            var generator = SeededGenerator(seed: seed)
            var reported: Int64 = 0
            var journal: String?
            for _ in 0..<5 {
                try await factory.startDaemon()
                // At least one commit, then any moment.
                let status = try await factory.waitForStatus { $0.journal.lastSeq > reported }
                reported = status.journal.lastSeq
                #expect(journal ?? status.journalID == status.journalID)
                journal = status.journalID
                try await Task.sleep(for: .milliseconds(Int.random(in: 0...1500, using: &generator)))
                reported = max(reported, try await factory.status().journal.lastSeq)
                try await factory.kill()
            }
            try await factory.startDaemon()
            // Enough of each device to be held against the truth.
            try await factory.waitForStatus { $0.journal.lastSeq > max(reported, 150) }
            let last = try await factory.waitForDelivery()
            #expect(last > reported)
            #expect(try await factory.stop().exit == .code(0))

            let records = try factory.records()
            let tally = SinkTally(records, through: last)
            #expect(tally.missing == 0)
            #expect(tally.duplicates == 0)
            #expect(Set(records.map(\.device)) == ["grid", "sub", "roof"])
            let truth = Truth(plant: factory.truth)
            for record in records { truth.check(record) }
            for (device, counter) in [("grid", "energy_active_import"), ("sub", "energy_active_import"), ("roof", "pv_energy")] {
                let own = records.filter { $0.device == device }
                #expect(own.count { $0.values["power_active"] != nil } > 30, "\(device) was held against the truth often enough")
                #expect(own.count { $0.values[counter] != nil } > 30, "\(device) was held against the truth often enough")
            }
            #expect(records.contains { $0.values["device_serial"] == .text("19012345") })
        }

        /// Nobody tells the daemon that the receiver is back: it looks again by itself, after 5 minutes at the latest (`Backoff`).
        @Test(.timeLimit(.minutes(8))) func anOutageOfTheUpstreamCostsNothing() async throws {
            let factory = try await Factory(Factory.Options(output: "batch_age = \"1s\"\nlane = \"in_order\""))
            try await factory.startDaemon()
            try await factory.waitForStatus { $0.outputs[0].acceptedPolls > 0 }
            await factory.stopSink()
            let before = try await factory.status()
            try await Task.sleep(for: .seconds(30))  // the outage itself
            let during = try await factory.waitForStatus { $0.outputs[0].state == .retrying }
            #expect(during.health == .degraded)
            #expect(
                during.problems.contains { $0.code == "output_retrying" && $0.subject == "park" && $0.text.contains("connection refused") })
            // Polling does not wait for the upstream: three devices, five polls a second each.
            #expect(during.journal.lastSeq - before.journal.lastSeq > 200)
            #expect(during.outputs[0].backlogPolls > 200)
            try await factory.startSink()
            let last = try await factory.waitForDelivery(within: .seconds(330))
            #expect(try await factory.stop().exit == .code(0))

            let records = try factory.records()
            let tally = SinkTally(records, through: last)
            #expect(tally.missing == 0)
            #expect(tally.duplicates == 0)
            for device in ["grid", "sub", "roof"] {
                let times = records.filter { $0.device == device }.map(\.time)
                #expect(times == times.sorted(), "\(device) arrives in order")
            }
        }

        @Test(.timeLimit(.minutes(6))) func aSilentUnitOnALineCostsItsNeighboursNothing() async throws {
            var options = Factory.Options(faults: ["unit=2,fault=silent,after=4s"], serial: true)
            options.devices = """
                [[bus]]
                name = "line"
                url = "serial://$line"
                baud = 19200
                timeout = "300ms"
                """
            for (unit, profile) in [(1, "eastron-sdm630"), (2, "schneider-iem3155"), (3, "sunspec-103")] {
                options.devices +=
                    "\n[[device]]\nname = \"d\(unit)\"\nbus = \"line\"\nunit = \(unit)\nprofile = \"\(profile)\"\nrole = \"load\""
            }
            let factory = try await Factory(options)
            try await factory.startDaemon()
            try await factory.waitForStatus { $0.devices[1].state == .offline }
            let start = try await factory.status()
            let began = ContinuousClock.now
            try await Task.sleep(for: .seconds(15))  // what is measured
            let end = try await factory.status()
            let due = (ContinuousClock.now - began).seconds
            for index in [0, 2] {
                let polls = end.devices[index].pollsOK - start.devices[index].pollsOK
                #expect(Double(polls) >= due * 0.85, "\(polls) polls of \(due) due")
                // An answer is waited for no longer than a tenth of a second, and another process gives it: on a busy machine one may be late.
                #expect(end.devices[index].pollsFailed - start.devices[index].pollsFailed <= 1)
            }
            #expect(end.devices[1].state == .offline)
            #expect(end.problems.contains { $0.code == "device_offline" && $0.subject == "d2" })
            // Probes grow rarer: far fewer than one each period.
            #expect(end.devices[1].pollsFailed - start.devices[1].pollsFailed < 15)
            #expect(try await factory.stop().exit == .code(0))
        }

        @Test(.timeLimit(.minutes(6))) func stoppingTakesLessThanTwoSecondsAndLosesNothing() async throws {
            var options = Factory.Options()
            options.commitInterval = "60s"  // nothing is committed before the stop
            let factory = try await Factory(options)
            try await factory.startDaemon()
            let before = try await factory.waitForStatus { $0.devices.allSatisfy { $0.pollsOK >= 5 } }
            #expect(before.journal.lastSeq == 0)
            let (exit, took) = try await factory.stop()
            #expect(exit == .code(0))
            #expect(took < .seconds(2), "it took \(took)")
            // Every poll that the buses brought until the very end, by the daemon's last line, is in the journal.
            let end = try #require(factory.daemon?.errors.split(separator: "\n").last { $0.contains("meterd ends") })
            let taken = try #require(end.split(separator: "polls.taken=").last.flatMap { Int($0) })
            #expect(taken >= before.devices.reduce(0) { $0 + $1.pollsOK })
            try await factory.plant.stop()
            try await factory.startDaemon()
            let after = try await factory.status()
            #expect(after.journal.polls == taken)
            #expect(try await factory.stop().exit == .code(0))
        }

        @Test(.timeLimit(.minutes(6))) func aDeadMeterDoesNotHoldUpTheStop() async throws {
            var options = Factory.Options(faults: ["unit=all,fault=silent"])
            options.devices = options.devices.replacing("url = \"tcp://$plant\"", with: "url = \"tcp://$plant\"\ntimeout = \"30s\"")
            let factory = try await Factory(options)
            try await factory.startDaemon()
            // All are due at once, so a request is on its way, and nothing answers it for thirty seconds.
            try await Task.sleep(for: .seconds(1))
            let status = try await factory.status()
            #expect(status.devices.allSatisfy { $0.pollsOK == 0 && $0.pollsFailed == 0 })
            let (exit, took) = try await factory.stop()
            #expect(exit == .code(0))
            #expect(took < .seconds(2), "it took \(took)")
        }

        @Test func meterctlSaysWhereTheDaemonShouldBe() async throws {
            let folder = try TemporaryFolder.make("nobody")
            for command in [["status"], ["devices"], ["outputs"], ["readings", "--json"]] {
                let answer = try await runToEnd("meterctl", command, environment: ["METERD_SOCKET": folder + "/none.sock"])
                #expect(answer.exit == .code(69))
                #expect(answer.output.isEmpty)
                #expect(answer.errors.contains(folder + "/none.sock") && answer.errors.contains("systemctl"))
            }
        }
    }
}
