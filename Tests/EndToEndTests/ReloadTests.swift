import FoundationEssentials
import Gateway
import Glibc
import Host
import Logging
import Metering
import Simulators
import Store
import TestSupport
import Testing

/// The config is changed again and again under the running daemon.
extension EndToEndTests {
    @Suite(.serialized) struct ReloadTests {
        @Test(.timeLimit(.minutes(6))) func fiftyReloadsLoseNothingDoubleNothingAndLeaveTheOthersAlone() async throws {
            let works = try await Works()
            try works.write(.full)
            try await works.start()
            try await works.wait { $0.journal.lastSeq > 0 && $0.devices.allSatisfy { $0.pollsOK > 0 } }
            let seed = UInt64.random(in: 0 ..< .max)
            print("reloads with seed \(seed)")
            var chance = SeededGenerator(seed: seed)
            var counters = 0
            for round in 1...50 {
                let text = try works.write(Works.Variant(&chance))
                if round.isMultiple(of: 10) {
                    try TextFile.write(text.replacing("role = \"load\"", with: "role = \"lode\""), to: works.config)
                    let run = try await works.meterctl("reload")
                    #expect(run.exit == .code(65))
                    #expect(run.errors.contains(".role: "), "\(run.errors)")
                    let status = try await works.status()
                    let problem = try #require(status.problems.first { $0.code == "reload_refused" })
                    #expect(problem.subject == "config" && problem.text.contains("\(works.config):"))
                    #expect(status.health == .failed)
                    continue
                }
                let run = try await works.meterctl("reload", "--json")
                #expect(run.exit == .code(0), "round \(round): \(run.errors)")
                let report = try JSONDecoder().decode(ReloadReport.self, from: Data(run.output.utf8))
                #expect(report.buses.kept.contains("steady") && report.outputs.kept.contains("park"))
                if round.isMultiple(of: 7) {
                    let status = try await works.status()
                    #expect(!status.problems.contains { $0.code == "reload_refused" })
                    let steady = try #require(status.devices.first { $0.name == "steady-1" })
                    #expect(steady.pollsOK > counters, "its counters go on")
                    counters = steady.pollsOK
                }
            }
            // The signal does the same.
            try works.write(.full)
            works.daemon?.signal(SIGHUP)
            try await works.wait { $0.outputs.count == 2 && $0.buses.count == 4 && $0.devices.allSatisfy { $0.pollsOK > 0 } }
            try await works.finish()
        }

        @Test(.timeLimit(.minutes(6))) func whatCannotChangeWhileItRunsIsRefusedWithASentence() async throws {
            let works = try await Works()
            let text = try works.write(.full)
            try await works.start()
            try TextFile.write(text.replacing(works.folder + "/data", with: works.folder + "/elsewhere"), to: works.config)
            let run = try await works.meterctl("reload")
            #expect(run.exit == .code(65))
            #expect(run.errors.contains("gateway.data_directory: cannot change from \(works.folder)/data to \(works.folder)/elsewhere"))
            #expect(works.daemon?.errors.contains("config not reloaded; nothing changed") == true)
            // The file is valid: nothing is broken, and nothing is to be mended.
            let status = try await works.status()
            let problem = try #require(status.problems.first { $0.code == "restart_needed" })
            #expect(problem.text.contains("restart it (sudo systemctl restart meterd)") && !problem.text.contains("mend it"))
            #expect(status.health != .failed && !status.problems.contains { $0.code == "reload_refused" })
            try TextFile.write(text, to: works.config)
            #expect(try await works.meterctl("reload").output.contains("buses    4 kept"))
            #expect(try await works.status().problems.allSatisfy { $0.code != "restart_needed" })
            let daemon = try #require(works.daemon)
            daemon.signal(SIGTERM)
            #expect(await daemon.exit() == .code(0))
        }
    }
}

/// A daemon with four buses and two outputs, whose other ends stand in this process so that they can be counted.
private final class Works {
    struct Variant {
        var period = 100
        var hasSecond = true
        var units = 2
        var invert = false
        var extra: Int? = 20

        static let full = Variant()

        private init() {}

        init(_ chance: inout SeededGenerator) {
            period = [100, 150, 200].randomElement(using: &chance) ?? 100
            hasSecond = Bool.random(using: &chance)
            units = Int.random(in: 1...3, using: &chance)
            invert = Bool.random(using: &chance)
            extra = [nil, 20, 33].randomElement(using: &chance) ?? nil
        }
    }

    let folder: String
    var config: String { folder + "/meterd.toml" }
    private let sites: [Site]
    private let server: TCPServer
    private let park: Sink
    private let extra: Sink
    private(set) var daemon: ChildProcess?

    init() async throws {
        folder = try TemporaryFolder.make("works")
        let plant = Plant(seed: 11, epoch: Plant.now())
        sites = (0..<4).map { _ in Site(plant: plant, meters: 1) }
        server = try TCPServer(sites: sites)
        park = try await Sink(file: folder + "/park.jsonl")
        extra = try await Sink(file: folder + "/extra.jsonl")
        try #require(makeDirectory(folder + "/data"))
    }

    deinit { daemon?.signal(SIGKILL) }

    /// Writes the config of a variant and returns its text.
    @discardableResult
    func write(_ variant: Variant) throws -> String {
        var text = """
            [gateway]
            id = "gw"
            data_directory = "\(folder)/data"
            profile_path = ["\(Products.repository)/profiles"]
            [journal]
            commit_interval = "1s"
            [api]
            socket = "\(folder)/meterd.sock"
            \(output("park", park, records: 20))

            """
        text += bus("steady", 0) + device("steady", 1, 100)
        text += bus("changing", 1) + device("changing", 1, variant.period, invert: variant.invert)
        if variant.hasSecond { text += bus("coming", 2) + device("coming", 1, 100) }
        text += bus("growing", 3)
        for unit in 1...variant.units { text += device("growing", unit, 100) }
        if let records = variant.extra { text += output("extra", extra, records: records) }
        try TextFile.write(text, to: config)
        return text
    }

    private func bus(_ name: String, _ index: Int) -> String {
        // No answer is given up, however busy the machine is: what the meters answered is what must be in the journal.
        "[[bus]]\nname = \"\(name)\"\nurl = \"tcp://127.0.0.1:\(server.ports[index])\"\ntimeout = \"60s\"\n"
    }

    private func device(_ bus: String, _ unit: Int, _ period: Int, invert: Bool = false) -> String {
        let profile = ["eastron-sdm630", "schneider-iem3155", "sunspec-103"][unit - 1]
        return """
            [[device]]
            name = "\(bus)-\(unit)"
            bus = "\(bus)"
            unit = \(unit)
            profile = "\(profile)"
            role = "load"
            live = "\(period)ms"
            invert = \(invert)

            """
    }

    private func output(_ name: String, _ sink: Sink, records: Int) -> String {
        """
        [[output]]
        name = "\(name)"
        type = "http"
        url = "http://127.0.0.1:\(sink.port)/v1/batches"
        batch_age = "1s"
        batch_records = \(records)

        """
    }

    func start() async throws {
        let child = try ChildProcess("meterd", ["--config", config], folder: folder)
        daemon = child
        _ = try await child.waitForLine { $0.contains("local API listens") }
    }

    func meterctl(_ arguments: String...) async throws -> (exit: ChildProcess.Exit, output: String, errors: String) {
        try await runToEnd("meterctl", arguments, environment: ["METERD_SOCKET": folder + "/meterd.sock"])
    }

    func status() async throws -> StatusReport {
        try JSONDecoder().decode(StatusReport.self, from: Data(try await meterctl("status", "--json").output.utf8))
    }

    @discardableResult
    func wait(_ fits: (StatusReport) -> Bool) async throws -> StatusReport {
        let end = ContinuousClock.now + .seconds(150)
        while ContinuousClock.now < end {
            // On a busy machine the daemon may answer later than meterctl waits: then it is asked again, too.
            if let report = try? await status(), fits(report) { return report }
            try await Task.sleep(for: .milliseconds(200))
        }
        throw ChildProcess.SpawnError(description: "the status did not come to fit: \(try await status())")
    }

    /// Stops the daemon and holds all three ends against one another: what the meters answered, what is kept, what arrived.
    func finish() async throws {
        let last = try await status().journal.lastSeq
        try await wait { status in status.outputs.count == 2 && status.outputs.allSatisfy { $0.cursor >= last } }
        let daemon = try #require(daemon)
        daemon.signal(SIGTERM)
        #expect(await daemon.exit() == .code(0))
        #expect(server.connections(to: server.ports[0]) == 1, "the bus that did not change kept its connection")

        let store = try await Store.open(
            directory: folder + "/data", outputs: [], time: SystemTime(), logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        let journal = await store.journalState()
        let polls = try await store.read(first: 1, last: journal.lastSeq, limit: .max)
        var kept: [String: Int] = [:]
        for stored in polls {
            let entry = try #require(try await store.entry(stored.poll.entry))
            let words = stored.poll.answers.count { answer in if case .words = answer.outcome { true } else { false } }
            kept[entry.device, default: 0] += words
        }
        await store.close()
        let taken = daemon.errors.split(separator: "\n").last { $0.contains("meterd ends") }?.split(separator: "polls.taken=").last
        #expect(taken.flatMap { Int($0) } == polls.count, "every poll that a bus brought is in the journal once")
        #expect(polls.map(\.seq) == Array(1...Int64(max(1, polls.count))))
        for (index, bus) in ["steady", "changing", "coming", "growing"].enumerated() {
            for unit in sites[index].units {
                #expect(kept["\(bus)-\(unit)"] ?? 0 == sites[index].answered(unit: unit), "\(bus)-\(unit)")
            }
        }
        for sink in [park, extra] {
            let tally = SinkTally(try sink.records(), through: last)
            #expect(tally.missing == 0)
            #expect(tally.duplicates == 0)
            await sink.stop()
        }
        server.stop()
    }
}
