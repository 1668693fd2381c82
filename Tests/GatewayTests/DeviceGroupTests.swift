import Gateway
import Metering
import TestSupport
import Testing

/// Many meters in few lines.
@Suite struct DeviceGroupTests {
    private let folder: String

    init() throws { folder = try TemporaryFolder.make("groups") }

    private static let head = """
        [gateway]
        profile_path = ["\(Products.repository)/profiles"]
        [[bus]]
        name = "line"
        url = "serial:///dev/ttyUSB0"

        """

    private func load(_ text: String) throws -> Configuration {
        try TextFile.write(Self.head + text, to: folder + "/meterd.toml")
        return try Configuration.load(file: folder + "/meterd.toml", hostName: "box")
    }

    private func problems(_ text: String) throws -> [String] {
        try TextFile.write(Self.head + text, to: folder + "/meterd.toml")
        return Configuration.examine(file: folder + "/meterd.toml", hostName: "box").problems
            .map { $0.description.replacing(folder + "/", with: "") }
    }

    @Test func fortyEqualMetersAreOneTable() throws {
        let lines = (1...40).map { "meter-\($0) = \($0)" }
        let text = "[[device]]\nbus = \"line\"\nprofile = \"eastron-sdm630\"\nrole = \"load\"\nlive = \"5s\"\n[device.units]\n"
        let devices = try load(text + lines.joined(separator: "\n")).devices
        #expect(devices.map(\.name) == (1...40).map { "meter-\($0)" })
        #expect(devices.map(\.unit) == Array(1...40))
        #expect(devices.allSatisfy { $0.role == .load && $0.periods[.live] == .seconds(5) && $0.profile.name == "eastron-sdm630" })
    }

    @Test func aLineMaySayWhatIsDifferent() throws {
        let devices = try load(
            """
            [defaults.device]
            profile = "eastron-sdm630"
            slow = "5m"
            [[device]]
            name = "grid"
            bus = "line"
            unit = 1
            role = "grid"
            slow = "off"
            [[device]]
            bus = "line"
            role = "load"
            units = { hall = 2, roof = { unit = 3, role = "pv", invert = true, profile = "schneider-iem3155" } }
            """
        ).devices
        #expect(devices.map(\.name) == ["grid", "hall", "roof"])
        #expect(devices.map(\.role) == [.grid, .load, .pv])
        #expect(devices.map(\.invert) == [false, false, true])
        #expect(devices.map(\.profile.name) == ["eastron-sdm630", "eastron-sdm630", "schneider-iem3155"])
        #expect(devices.map { $0.periods[.slow] } == [nil, .seconds(300), .seconds(300)])
    }

    /// A template for a whole park stands in the main file, the meters of a factory in one of their own.
    @Test func whatTheMainFileSaysOfDevicesHoldsInEveryFile() throws {
        try #require(makeDirectory(folder + "/conf.d"))
        try TextFile.write("[[device]]\nname = \"hall\"\nbus = \"line\"\nunit = 2\n", to: folder + "/conf.d/a.toml")
        try TextFile.write(
            """
            [defaults.device]
            slow = "5m"
            role = "pv"
            [[device]]
            bus = "line"
            units = { roof = 3, barn = { unit = 4, slow = "off" } }
            """, to: folder + "/conf.d/b.toml")
        let template = "[defaults.device]\nprofile = \"eastron-sdm630\"\nrole = \"load\"\nlive = \"5s\"\nslow = \"1m\""
        let devices = try load(template).devices
        #expect(devices.map(\.name) == ["hall", "roof", "barn"])
        #expect(devices.map(\.role) == [.load, .pv, .pv])
        #expect(devices.allSatisfy { $0.periods[.live] == .seconds(5) && $0.profile.name == "eastron-sdm630" })
        #expect(devices.map { $0.periods[.slow] } == [.seconds(60), .seconds(300), nil])

        // What is wrong with it stands in the main file, and is told once.
        #expect(
            try problems(template.replacing("\"5s\"", with: "\"5 s\"")).map { $0.prefix { $0 != " " } } == [
                "meterd.toml:9:8:"
            ])
        // Without the template nobody knows what the meters lack.
        #expect(try problems("[[bus").count == 1)
    }

    @Test func aTemplateIsReadAlsoWhereNoDeviceTakesItOver() throws {
        let told = try problems("[defaults.device]\nlive = 7\nlvie = \"5s\"\nslow = \"5m\"")
        #expect(
            told == [
                "meterd.toml:7:8: defaults.device.live: must be a string, found an integer; write live = \"1s\" or \"off\"",
                "meterd.toml:8:1: defaults.device.lvie: unknown key; did you mean \"live\"?",
            ], "\(told)")
        try #require(makeDirectory(folder + "/conf.d"))
        try TextFile.write("[defaults.device]\nlive = \"5s\"\n", to: folder + "/conf.d/a.toml")
        let lost = try problems("")
        #expect(lost.count == 1 && lost[0].hasPrefix("conf.d/a.toml:1:"), "\(lost)")
        #expect(
            lost.first?.contains("defaults.device: holds for the devices of this file, and it has none; move it to the main file") == true)
    }

    @Test func aProblemIsToldOnceWhereItStands() throws {
        let text = """
            [defaults.device]
            slow = "5 minutes"
            [[device]]
            bus = "line"
            profile = "eastron-sdm630"
            name = "x"
            rol = "load"
            [device.units]
            a = 1
            b = { unit = 300, role = "load" }
            c = { role = "load" }
            d = 1
            "e f" = 5
            """
        let told = try problems(text)
        #expect(
            told == [
                "meterd.toml:7:8: defaults.device.slow: \"5 minutes\" is no duration; "
                    + "write a whole number with ms, s, m, h or d, such as \"1m\" or \"off\"",
                "meterd.toml:8:1: device[0].role: is missing; add role = \"grid\"",
                "meterd.toml:11:8: device[0].name: belongs to a single device; remove it, each line of units has its own",
                "meterd.toml:12:1: device[0].rol: unknown key; did you mean \"role\"?",
                "meterd.toml:15:14: device[0].units.b.unit: 300 is outside 0 ... 255",
                "meterd.toml:16:5: device[0].units.c: has no unit; add unit = 1",
                "meterd.toml:17:5: device[0].units.d.unit: 1 on bus \"line\" is device \"a\"; each needs an address of its own",
                "meterd.toml:18:1: device[0].units.e f.name: \"e f\" is no name; "
                    + "use up to 64 letters, digits, '.', '_' and '-', beginning with a letter or digit",
            ], "\(told.joined(separator: "\n"))")
        #expect(
            try problems("[[device]]\nbus = \"line\"\nprofile = \"eastron-sdm630\"\nrole = \"load\"\nunits = {}") == [
                "meterd.toml:10:9: device[0].units: is empty; add a line for each, such as hall = 1"
            ])
        #expect(try problems("[defaults.bus]\nbaud = 9600").first?.contains("defaults.bus: unknown key") == true)
    }
}
