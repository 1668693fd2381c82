import Gateway
import Glibc
import TestSupport
import Testing

/// What becomes of a config's files by hasty hands, foreign editors, full disks and power cuts.
@Suite struct HostileConfigurationTests {
    private let folder: String
    private var main: String { folder + "/meterd.toml" }
    private var part: String { folder + "/conf.d/meters.toml" }

    private static let good = """
        [gateway]
        id = "gw"
        profile_path = ["\(Products.repository)/profiles"]
        [[bus]]
        name = "lan"
        url = "tcp://127.0.0.1:1502"
        [[output]]
        name = "park"
        type = "http"
        url = "http://127.0.0.1:9/in"
        devices = ["m1"]

        """

    private static let meters = """
        [[device]]
        bus = "lan"
        profile = "eastron-sdm630"
        role = "load"
        [device.units]
        m1 = 1
        m2 = 2

        """

    init() throws {
        folder = try TemporaryFolder.make("hostile")
        try #require(makeDirectory(folder + "/conf.d"))
        try write(Self.good, Self.meters)
    }

    private func write(_ good: String, _ meters: String) throws {
        try TextFile.write(good, to: main)
        try TextFile.write(meters, to: part)
    }

    private func write(_ bytes: [UInt8], to path: String) throws {
        let file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        defer { close(file) }
        #expect(Glibc.write(file, bytes, bytes.count) == bytes.count)
    }

    private var problems: [String] {
        Configuration.examine(file: main).problems.map { $0.description.replacing(folder + "/", with: "") }
    }

    @Test func whatEditorsOfOtherSystemsWriteIsRead() throws {
        #expect(problems.isEmpty)
        for change in [{ $0.replacing("\n", with: "\r\n") }, { "\u{FEFF}" + $0 }, { $0.replacing(" = ", with: "\t=\t") }]
            as [(String) -> String]
        {
            try write(change(Self.good), change(Self.meters))
            #expect(problems.isEmpty)
            #expect(Configuration.examine(file: main).configuration.devices.map(\.name) == ["m1", "m2"])
        }
        // What an editor leaves beside the file is no part of it.
        try write(Self.good, Self.meters)
        for name in ["meters.toml~", "#meters.toml#", ".meters.toml.swp", "meters.toml.dpkg-old", ".meters.toml"] {
            try TextFile.write("rubbish", to: folder + "/conf.d/" + name)
        }
        #expect(problems.isEmpty)
    }

    /// What else is missing then, a bus or a device, stands in the part that cannot be read, and is not complained of.
    @Test func aMainFileThatCannotBeReadIsTheOnlyProblem() throws {
        let half = Array((Self.good.split(separator: ":1502").first ?? "").utf8)
        for (bytes, words) in [
            ([], "meterd.toml: is empty, as a full disk or a power cut leaves a file"), (half, "meterd.toml:6:"),
            (Array(Self.good.utf8) + [0x23, 0xE4, 0x0A], "meterd.toml: is not UTF-8 text; save it as UTF-8"),
            ([UInt8](repeating: 0, count: 100), "meterd.toml:1:1: "), (Array("[gateway]\n[gateway]\n".utf8), "meterd.toml:2:1: "),
            (Array(Self.good.replacing("\n", with: "\r").utf8), "meterd.toml:1:1"),
            (Array("x = \(String(repeating: "[", count: 100_000))".utf8), "meterd.toml:1:"),
        ] as [([UInt8], String)] {
            try write(bytes, to: main)
            #expect(problems.count == 1 && problems.first?.hasPrefix(words) == true, "\(words): \(problems)")
        }
    }

    @Test func aPartThatCannotBeReadIsTheOnlyProblem() throws {
        unlink(part)
        for (words, make) in [
            ("is a directory; name a file, or give", { mkdir(part, 0o755) }), ("is no regular file; remove it", { mkfifo(part, 0o600) }),
            ("is no regular file; remove it", { symlink("/dev/zero", part) }), ("is a link that leads to itself", { symlink(part, part) }),
            ("does not exist", { symlink("/none", part) }),
            ("has 104857600 bytes, and at most 4194304 are read", { truncate(part, 100 << 20) }),
        ] as [(String, () -> Int32)] {
            if words.hasPrefix("has") { try TextFile.write("", to: part) }
            #expect(make() == 0)
            #expect(problems.count == 1 && problems.first?.hasPrefix("conf.d/meters.toml: \(words)") == true, "\(words): \(problems)")
            remove(part)
        }
    }

    /// Root reads what it likes, so that is tried only as somebody else.
    @Test(.enabled(if: geteuid() != 0, "root may read every file")) func aPartThatMayNotBeReadIsNamed() throws {
        chmod(part, 0)
        #expect(problems == ["conf.d/meters.toml: cannot be read: permission denied; give the user that runs meterd the right to read it"])
    }

    @Test func whatIsWrongInSeveralFilesBeginsWithTheMainOne() throws {
        try write(
            Self.good.replacing("[[output]]", with: "[[outputt]]"), Self.meters.replacing("m1", with: "m2").replacing("\nm2 = 2", with: ""))
        try TextFile.write(
            "[[device]]\nname = \"m2\"\nbus = \"lann\"\nunit = 9\nprofile = \"eastron-sdm360\"\nrole = \"loads\"\n",
            to: folder + "/conf.d/z.toml")
        let problems = problems
        #expect(problems[0] == "meterd.toml:7:3: outputt: unknown key; did you mean \"output\"?")
        #expect(
            problems.contains(
                "conf.d/z.toml:2:8: device[0].name: \"m2\" is taken by the device at conf.d/meters.toml:6; give it another name"),
            "\(problems)")
        for hint in ["\"lan\"", "\"eastron-sdm630\"", "\"load\""] { #expect(problems.contains { $0.contains("did you mean \(hint)?") }) }
    }

    @Test func aProblemIsAsLongAsALineCanBe() throws {
        let long = String(repeating: "x", count: 100_000)
        try write(Self.good + "[[output]]\nname = \"\(long)\"\n\(long) = 1\n", Self.meters)
        #expect(problems.count >= 3)
        for problem in problems { #expect(problem.count < 1000, "\(problem.prefix(200))") }
    }
}
