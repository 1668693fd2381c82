import FoundationEssentials
import Gateway
import Metering
import TestSupport
import Testing

/// What `meterctl profiles` has to say of the files on its path.
@Suite(.timeLimit(.minutes(10))) struct ProfileReportsTests {
    private static let meter = """
        profile = "acme"
        version = 3
        vendor = "ACME"
        models = ["EM-3"]
        source = "ACME map, rev. 1"
        [[point]]
        quantity = "voltage_l1"
        table = "input"
        type = "float32"
        address = 0
        unit = "V"
        [[example]]
        quantity = "voltage_l1"
        words = "4366 6666"
        value = 230.4
        [[example]]
        quantity = "voltage_l1"
        words = "7FC0 0000"
        absent = true
        """

    private func withShelf(_ files: [String: String], _ body: (ProfileShelf, String) throws -> Void) throws {
        let folder = try TemporaryFolder.make("profiles")
        defer { TemporaryFolder.remove(folder) }
        for directory in ["own", "shipped"] {
            try FileManager.default.createDirectory(atPath: "\(folder)/\(directory)", withIntermediateDirectories: true)
        }
        for (name, text) in files { try TextFile.write(text, to: "\(folder)/\(name)") }
        try body(ProfileShelf(path: ["\(folder)/own", "\(folder)/shipped"]), folder)
    }

    @Test func aFileOfOnesOwnTakesThePlaceOfAShippedOneAndIsNamed() throws {
        let files = ["own/acme.toml": Self.meter, "shipped/acme.toml": Self.meter.replacing("version = 3", with: "version = 2")]
        try withShelf(files) { shelf, folder in
            let entry = try #require(shelf.entry("acme"))
            #expect(entry.profile?.version == 3 && entry.file == "\(folder)/own/acme.toml")
            #expect(entry.hidden == ["\(folder)/shipped/acme.toml"])
            let listing = ProfileListing(shelf)
            #expect(listing.overrides == ["\(folder)/own/acme.toml takes the place of \(folder)/shipped/acme.toml"])
            let row = listing.table.lines(width: nil, paint: Paint(coloured: false)).first { $0.hasPrefix("acme") }
            #expect(row?.contains("\(folder)/own") == true && row?.contains("EM-3") == true)
            #expect(shelf.entries.map(\.name) == ["acme", "sunspec"] && shelf.entry("sunspec")?.file == nil)
            #expect(shelf.hint("acne").contains("did you mean \"acme\"?"))
        }
    }

    @Test func aFaultyFileIsListedWithEveryProblemAtItsPlace() throws {
        let faulty = Self.meter.replacing("type = \"float32\"", with: "type = \"float23\"").replacing("address = 0", with: "adress = 0")
        try withShelf(["own/acme.toml": faulty]) { shelf, folder in
            let problems = ProfileListing(shelf).problems
            #expect(problems.contains { $0.hasPrefix("\(folder)/own/acme.toml:9:8: point[0].type: \"float23\" is none of") })
            #expect(problems.contains { $0.contains("did you mean \"address\"?") })
            #expect(shelf.entry("acme")?.profile == nil)
        }
    }

    @Test func workedExamplesAreDecodedAndAWrongOneIsFound() throws {
        let right = ProfileTest(try Profile(toml: Self.meter, file: "acme.toml"))
        #expect(right.passed && right.outcomes.count == 2)
        #expect(right.outcomes[1].value == nil && right.outcomes[1].expected == nil)
        let wrong = ProfileTest(try Profile(toml: Self.meter.replacing("230.4", with: "230.5"), file: "acme.toml"))
        #expect(!wrong.passed && wrong.outcomes.map(\.passed) == [false, true])
        let text = wrong.table.lines(width: nil, paint: Paint(coloured: false)).joined(separator: "\n")
        #expect(text.contains("4366 6666") && text.contains("230.4") && text.contains("wrong"))
        let none = try #require(Self.meter.split(separator: "[[example]]").first)
        #expect(!ProfileTest(try Profile(toml: String(none), file: "acme.toml")).passed, "nothing was tested")
    }

    @Test func aProfileIsShownPointByPoint() throws {
        try withShelf(["own/acme.toml": Self.meter]) { shelf, _ in
            let card = try #require(shelf.entry("acme").flatMap { ProfileCard($0) })
            let lines = card.lines(width: nil, paint: Paint(coloured: false))
            #expect(lines.first == "acme, version 3: ACME EM-3")
            #expect(lines.contains { $0.contains("input") && $0.contains("float32") && $0.contains("ABCD") && $0.contains("voltage_l1") })
            #expect(String(decoding: card.json, as: UTF8.self).contains("\"address\":0,\"registers\":2,\"type\":\"float32\""))
        }
    }

    @Test func thePathIsTheConfigurationsOwn() throws {
        try withShelf(["meterd.toml": "[gateway]\nprofile_path = [\"own\", \"/srv/p\"]\n[[bus]]\nnonsense = 1\n"]) { _, folder in
            #expect(ProfileShelf.path(configuration: folder + "/meterd.toml") == [folder + "/own", "/srv/p"])
            #expect(ProfileShelf.path(configuration: folder + "/none.toml") == ["/etc/meterd/profiles", "/usr/share/meterd/profiles"])
        }
    }

    @Test func whatNoMeterShowsIsImplausible() {
        func objection(_ id: String, _ value: String) -> String? {
            guard let quantity = Vocabulary.quantity(id), let number = ExactDecimal(value) else { return "no such quantity" }
            return Plausibility.objection(to: number, of: quantity)
        }
        #expect(objection("voltage_l1", "230.4") == nil && objection("voltage_l1", "2.7e23") != nil)
        #expect(objection("frequency", "50") == nil && objection("frequency", "5000") != nil)
        #expect(objection("power_factor_l1", "-0.98") == nil && objection("power_factor_l1", "98") != nil)
        #expect(objection("energy_active_import", "-1") != nil && objection("energy_active_net", "-1") == nil)
        #expect(objection("battery_soc", "62") != nil && objection("battery_soc", "0.62") == nil)
    }
}
