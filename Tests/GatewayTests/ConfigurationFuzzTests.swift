import Fieldbus
import FoundationEssentials
import Gateway
import Glibc
import Metering
import TestSupport
import Testing

/// Configurations that chance has spoiled: the main file, a part of it, a profile. `METERD_FUZZ=50` makes it fifty times as long.
@Suite(.timeLimit(.minutes(30))) struct ConfigurationFuzzTests {
    private static let seed: UInt64 = 20_261_124
    private static var factor: Int { getenv("METERD_FUZZ").flatMap { Int(String(cString: $0)) } ?? 1 }

    private static let spoiler = TextSpoiler(scraps: [
        "[[device]]", "[[bus]]\nname = \"b\"", "[defaults.device]", "[[", "\"", "'''", "=", "unit = 256", "unit = -1", "name = \"\"",
        "profile = \"sunspec\"", "profile = \"../acme\"", "sunspec_base = 65536", "live = \"off\"", "live = \"1e9s\"", "baud = 0",
        "url = \"tcp://[::1]:0\"", "units = [1, 1]", "size_limit = \"99999999999GiB\"", "1e999", "99999999999999999999", "nan", "\u{0}",
        "\u{FEFF}",
        "batch_records = 0", "url = \"serial://\"", "profile_path = []",
    ])

    private static let main = """
        [gateway]
        id = "gw-017"
        site = "park"
        timezone = "Etc/UTC"
        data_directory = "/var/lib/meterd"
        profile_path = ["profiles"]
        [journal]
        commit_interval = "5s"
        retention = "60d"
        size_limit = "2GiB"
        [api]
        socket = "/run/meterd/meterd.sock"
        [[bus]]
        name = "line-1"
        url = "serial:///dev/ttyUSB0"
        baud = 9600
        format = "8E1"
        timeout = "1s"
        [[device]]
        name = "main"
        bus = "line-1"
        unit = 1
        profile = "acme"
        role = "grid"
        live = "1s"
        slow = "60s"
        [[output]]
        name = "park"
        type = "http"
        url = "https://ingest.example.org/v1/batches"
        batch_records = 500
        batch_bytes = "256KiB"
        batch_age = "5s"
        """

    private static let part = """
        [[bus]]
        name = "roof"
        url = "tcp://192.0.2.10:502"
        [defaults.device]
        bus = "roof"
        role = "pv"
        profile = "sunspec"
        [[device]]
        name = "inverter-1"
        unit = 1
        [[device]]
        name = "inverter-2"
        unit = 2
        sunspec_base = 0
        """

    private static let profile = """
        profile = "acme"
        version = 1
        vendor = "ACME"
        models = ["EM-3"]
        source = "ACME map, rev. 1"
        [defaults]
        table = "holding"
        type = "uint32"
        order = "CDAB"
        [[point]]
        quantity = "energy_active_import"
        address = 342
        unit = "kWh"
        scale = 0.01
        absent = [0xFFFFFFFF]
        [[point]]
        quantity = "frequency"
        address = 362
        type = "uint16"
        unit = "Hz"
        scale = 0.01
        class = "slow"
        """

    private static let files = ["meterd.toml": main, "conf.d/roof.toml": part, "profiles/acme.toml": profile]

    /// Each spoiled configuration is refused with file, line and cure, or it is one that the daemon can run as it stands.
    @Test func spoiledConfigurationsAreRefusedWithTheirPlaceOrSound() async throws {
        print("configuration fuzz: seed \(Self.seed)")
        var random = SeededGenerator(seed: Self.seed)
        let folder = try TemporaryFolder.make("config-fuzz")
        defer { TemporaryFolder.remove(folder) }
        for name in ["conf.d", "profiles"] {
            try FileManager.default.createDirectory(atPath: "\(folder)/\(name)", withIntermediateDirectories: true)
        }
        for (name, text) in Self.files { try TextFile.write(text, to: "\(folder)/\(name)") }
        let valid = try Configuration.load(file: folder + "/meterd.toml", hostName: "box")
        #expect(valid.devices.count == 3 && valid.buses.count == 2)
        let names = Self.files.keys.sorted()
        var (refused, sound) = (0, 0)
        for round in 0..<150 * Self.factor {
            // Others want the thread too.
            await Task.yield()
            let name = names[round % names.count]
            let text = Self.files[name] ?? ""
            let spoiled = Self.spoiler.spoil(text, &random)
            try TextFile.write(spoiled, to: "\(folder)/\(name)")
            do throws(Problems) {
                let configuration = try Configuration.load(file: folder + "/meterd.toml", hostName: "box")
                sound += 1
                check(configuration, "round \(round) of seed \(Self.seed), \(name)")
                // The same files are the same configuration: a reload of them touches nothing.
                let again = try Configuration.load(file: folder + "/meterd.toml", hostName: "box")
                let plan = ReloadPlan(from: configuration, to: again)
                #expect(plan.buses.start.isEmpty && plan.buses.stop.isEmpty && plan.outputs.start.isEmpty && plan.refusals.isEmpty)
                // What only a comment or a blank was spoiled in is the valid one.
                if spoiled == text { #expect(ReloadPlan(from: valid, to: configuration).buses.start.isEmpty) }
            } catch {
                refused += 1
                checkProblems(error, folder, "round \(round) of seed \(Self.seed), \(name)")
            }
            try TextFile.write(text, to: "\(folder)/\(name)")
        }
        #expect(refused > 20 && sound > 20, "\(refused) refused, \(sound) sound")
    }

    private func check(_ configuration: Configuration, _ round: String) {
        let buses = Set(configuration.buses.map(\.name))
        #expect(buses.count == configuration.buses.count, "\(round)")
        #expect(Set(configuration.devices.map(\.name)).count == configuration.devices.count, "\(round)")
        #expect(Set(configuration.devices.map { "\($0.bus) \($0.unit)" }).count == configuration.devices.count, "\(round)")
        for device in configuration.devices {
            #expect(buses.contains(device.bus), "\(round)")
            #expect(device.isFound != (device.search != nil), "\(round)")
            #expect(device.periods.values.allSatisfy { $0 == .zero || (.milliseconds(100) ... .seconds(86_400)).contains($0) }, "\(round)")
            #expect(device.profile.points.allSatisfy { $0.factor.mantissa != 0 && $0.run.upperBound <= 65_536 }, "\(round)")
        }
        #expect((Duration.seconds(1) ... .seconds(60)).contains(configuration.journal.commitInterval), "\(round)")
        #expect(configuration.outputs.allSatisfy { $0.batchRecords > 0 && $0.batchBytes > 0 }, "\(round)")
    }

    /// Every problem names a file of the configuration and, but for a file as a whole, a line that it has.
    private func checkProblems(_ problems: Problems, _ folder: String, _ round: String) {
        #expect(!problems.list.isEmpty, "\(round)")
        for problem in problems.list {
            #expect(problem.file.hasPrefix(folder), "\(round): \(problem)")
            #expect(!problem.text.isEmpty && !problem.text.contains("\n"), "\(round): \(problem)")
            guard let place = problem.place, let text = try? String(contentsOfFile: problem.file, encoding: .utf8) else { continue }
            let lines = text.utf8.reduce(1) { $0 + ($1 == UInt8(ascii: "\n") ? 1 : 0) }
            #expect((1...lines + 1).contains(place.line) && place.column >= 1, "\(round): \(problem)")
        }
    }
}
