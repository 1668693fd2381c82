import FoundationEssentials
import Gateway
import Glibc
import Metering
import Simulators
import TestSupport
import Testing

/// A whole installation in real processes: a simulated plant, the daemon, an upstream; everything they write in one folder.
final class Factory {
    struct Options {
        var faults: [String] = []
        var serial = false
        /// TOML of the devices and their bus lines; `$plant` and `$line` stand for where the plant is.
        var devices = Factory.threeDevices
        var commitInterval = "1s"
        var output = "batch_age = \"1s\""
        var url: String?
    }

    static let threeDevices = """
        [[bus]]
        name = "lan"
        url = "tcp://$plant"
        [[device]]
        name = "grid"
        bus = "lan"
        unit = 1
        profile = "eastron-sdm630"
        role = "grid"
        live = "200ms"
        [[device]]
        name = "sub"
        bus = "lan"
        unit = 2
        profile = "schneider-iem3155"
        role = "load"
        live = "200ms"
        [[device]]
        name = "roof"
        bus = "lan"
        unit = 3
        profile = "sunspec-103"
        role = "pv"
        live = "200ms"
        """

    let folder: String
    /// The same plant as the simulator's: the truth.
    let truth: Plant
    let plant: ChildProcess
    private(set) var sink: ChildProcess
    private(set) var daemon: ChildProcess?
    let sinkAddress: String
    var config: String { folder + "/meterd.toml" }
    var socket: String { folder + "/meterd.sock" }
    var received: String { folder + "/received.jsonl" }

    init(_ options: Options = Options()) async throws {
        folder = try TemporaryFolder.make("factory")
        // Eleven in the morning: import, export and sun.
        let epoch = Timestamp(milliseconds: Plant.now().milliseconds - 11 * 3_600_000)
        truth = Plant(seed: 7, epoch: epoch)
        var arguments = ["plant", "--seed", "7", "--epoch", "\(epoch.milliseconds)", "--tcp", "127.0.0.1:0"]
        if options.serial { arguments += ["--link", folder + "/line"] }
        for fault in options.faults { arguments += ["--fault", fault] }
        plant = try ChildProcess("metersim", arguments, folder: try Factory.subfolder(folder, "plant"))
        let listening = try await plant.waitForLine { $0.hasPrefix("listening tcp ") }
        _ = try await plant.waitForLine { $0.hasPrefix("ready") }
        sink = try ChildProcess(
            "metersim", ["sink", "--listen", "127.0.0.1:\(freePort())", "--file", folder + "/received.jsonl"],
            folder: try Factory.subfolder(folder, "sink"))
        sinkAddress = String(try await sink.waitForLine { $0.hasPrefix("listening http ") }.dropFirst("listening http ".count))
        let devices = options.devices.replacing("$plant", with: listening.dropFirst("listening tcp ".count))
            .replacing("$line", with: folder + "/line")
        try #require(makeDirectory(folder + "/data"))
        try TextFile.write(
            """
            [gateway]
            id = "gw"
            data_directory = "\(folder)/data"
            profile_path = ["\(Products.repository)/profiles"]
            [journal]
            commit_interval = "\(options.commitInterval)"
            [api]
            socket = "\(folder)/meterd.sock"
            \(devices)
            [[output]]
            name = "park"
            type = "http"
            url = "\(options.url ?? "http://\(sinkAddress)/v1/batches")"
            \(options.output)
            """, to: folder + "/meterd.toml")
    }

    private static func subfolder(_ folder: String, _ name: String) throws -> String {
        try #require(makeDirectory(folder + "/" + name))
        return folder + "/" + name
    }

    deinit {
        daemon?.signal(SIGKILL)
        sink.signal(SIGKILL)
        plant.signal(SIGKILL)
    }

    // MARK: The daemon

    /// - Parameter wrapper: a program and its arguments that ends by running the words after them.
    func startDaemon(through wrapper: [String] = []) async throws {
        let words = wrapper.isEmpty ? ["meterd"] : wrapper + [Products.directory + "/meterd"]
        let child = try ChildProcess(
            words[0], words.dropFirst() + ["--config", config],
            folder: try Factory.subfolder(folder, "meterd-\(Int.random(in: 0 ..< .max))"))
        daemon = child
        _ = try await child.waitForLine { $0.contains("local API listens") }
    }

    func kill() async throws {
        let child = try #require(daemon)
        child.signal(SIGKILL)
        #expect(await child.exit() == .signal(SIGKILL))
    }

    /// SIGTERM; what it exited with and how long that took.
    func stop() async throws -> (exit: ChildProcess.Exit, took: Duration) {
        let child = try #require(daemon)
        let start = ContinuousClock.now
        child.signal(SIGTERM)
        return (await child.exit(), ContinuousClock.now - start)
    }

    func meterctl(_ arguments: String...) async throws -> (exit: ChildProcess.Exit, output: String, errors: String) {
        try await runToEnd("meterctl", arguments, environment: ["METERD_SOCKET": socket])
    }

    func status() async throws -> StatusReport {
        let answer = try await meterctl("status", "--json")
        return try JSONDecoder().decode(StatusReport.self, from: Data(answer.output.utf8))
    }

    /// Asks for the status until it fits.
    @discardableResult
    func waitForStatus(within bound: Duration = .seconds(150), _ fits: (StatusReport) -> Bool) async throws -> StatusReport {
        let end = ContinuousClock.now + bound
        var last: StatusReport?
        while ContinuousClock.now < end {
            guard let report = try? await status() else {
                // On a busy machine the daemon may answer later than meterctl waits.
                try await Task.sleep(for: .milliseconds(200))
                continue
            }
            if fits(report) { return report }
            last = report
            try await Task.sleep(for: .milliseconds(100))
        }
        throw ChildProcess.SpawnError(description: "the status did not come to fit: \(String(describing: last))")
    }

    /// Waits until all that is committed now is handed on, and returns its last seq.
    func waitForDelivery(within bound: Duration = .seconds(150)) async throws -> Int64 {
        let last = try await status().journal.lastSeq
        try await waitForStatus(within: bound) { $0.outputs[0].cursor >= last }
        return last
    }

    // MARK: The upstream

    func stopSink() async {
        sink.signal(SIGTERM)
        _ = await sink.exit()
    }

    func startSink() async throws {
        sink = try ChildProcess(
            "metersim", ["sink", "--listen", sinkAddress, "--file", received], folder: try Factory.subfolder(folder, "sink-again"))
        _ = try await sink.waitForLine { $0.hasPrefix("ready") }
    }

    func records() throws -> [SinkRecord] { try Sink.records(file: received) }
}
