import FoundationEssentials
import Gateway
import TestSupport
import Testing

/// `config show` and `config diff`: every key with its value and origin, and no secret.
@Suite struct ConfigurationListingTests {
    private let folder: String
    private var file: String { folder + "/meterd.toml" }

    init() throws {
        folder = try TemporaryFolder.make("listing")
        try #require(makeDirectory(folder + "/conf.d"))
        try TextFile.write("secret-in-a-file", to: folder + "/token")
    }

    private static let head = """
        [gateway]
        id = "gw-017"
        profile_path = ["\(Products.repository)/profiles"]
        [journal]
        retention = "30d"
        """

    private static let site = """
        [journal]
        retention = "10d"
        [defaults.device]
        role = "load"
        live = "5s"
        [[bus]]
        name = "line"
        url = "serial:///dev/ttyUSB0"
        [[device]]
        bus = "line"
        profile = "eastron-sdm630"
        slow = "20s"
        [device.units]
        hall = 2
        roof = { unit = 3, role = "pv" }
        """

    private func examine(_ site: String, _ head: String = Self.head) throws -> ConfigurationListing {
        try TextFile.write(head, to: file)
        try TextFile.write(site, to: folder + "/conf.d/site.toml")
        let (configuration, problems) = Configuration.examine(file: file, hostName: "box")
        try #require(problems.isEmpty, "\(problems)")
        return configuration.listing
    }

    private func entry(_ listing: ConfigurationListing, _ table: String, _ name: String?, _ key: String) throws -> ConfigurationEntry {
        try #require(listing.entries.first { $0.table == table && $0.name == name && $0.key == key }, "\(table) \(key)")
    }

    @Test func eachValueIsToldWithWhereItComesFrom() throws {
        let listing = try examine(Self.site)
        let site = folder + "/conf.d/site.toml"
        #expect(listing.files == [file, site])
        let expected: [(String, String?, String, String, ConfigurationEntry.Origin)] = [
            ("gateway", nil, "id", "\"gw-017\"", .file(file, line: 2)),
            ("gateway", nil, "data_directory", "\"/var/lib/meterd\"", .standard(note: nil)),
            ("journal", nil, "retention", "\"10d\"", .file(site, line: 2)),
            ("journal", nil, "commit_interval", "\"5s\"", .standard(note: nil)),
            ("api", nil, "socket", "\"/run/meterd/meterd.sock\"", .standard(note: nil)),
            ("bus", "line", "timeout", "\"1s\"", .standard(note: nil)),
            ("device", "hall", "unit", "2", .file(site, line: 14)),
            ("device", "hall", "slow", "\"20s\"", .inherited(from: "[[device]]", file: site, line: 12)),
            ("device", "hall", "role", "\"load\"", .inherited(from: "[defaults.device]", file: site, line: 4)),
            ("device", "roof", "role", "\"pv\"", .file(site, line: 15)),
            ("device", "roof", "live", "\"5s\"", .inherited(from: "[defaults.device]", file: site, line: 5)),
            ("device", "roof", "invert", "false", .standard(note: nil)),
        ]
        for (table, name, key, value, origin) in expected {
            let entry = try entry(listing, table, name, key)
            #expect(entry.value?.literal == value, "\(table) \(key)")
            #expect(entry.origin == origin, "\(table) \(key)")
        }
        #expect(try entry(listing, "gateway", nil, "site").value == nil)
        let again = try JSONDecoder().decode(ConfigurationListing.self, from: Data(listing.json))
        #expect(again.json == listing.json)
        let lines = ConfigurationScreen(listing).lines(width: nil, paint: Paint(coloured: false))
        #expect(lines.contains { $0.hasPrefix("live = \"5s\"  ") && $0.hasSuffix("# \(site):5, from [defaults.device]") })
        for width in [20, 60, 200] {
            let narrow = ConfigurationScreen(listing).lines(width: width, paint: Paint(coloured: false))
            #expect(
                narrow.filter { $0.contains("  # ") }.allSatisfy { $0.count <= width }, "at \(width) a comment stands above what is long")
        }
    }

    @Test func whatTheMainFileGivesIsToldWithItsLine() throws {
        let head = Self.head + "\n[defaults.device]\nlive = \"7s\"\nrole = \"sensor\""
        let listing = try examine(Self.site.replacing("live = \"5s\"\n", with: ""), head)
        let site = folder + "/conf.d/site.toml"
        let expected: [(String, String, String, ConfigurationEntry.Origin)] = [
            ("hall", "live", "\"7s\"", .inherited(from: "[defaults.device]", file: file, line: 7)),
            ("hall", "role", "\"load\"", .inherited(from: "[defaults.device]", file: site, line: 4)),
            ("roof", "live", "\"7s\"", .inherited(from: "[defaults.device]", file: file, line: 7)),
            ("roof", "role", "\"pv\"", .file(site, line: 14)),
        ]
        for (name, key, value, origin) in expected {
            let entry = try entry(listing, "device", name, key)
            #expect(entry.value?.literal == value && entry.origin == origin, "\(name) \(key): \(entry)")
        }
    }

    /// Passwords and tokens in every place that takes a text.
    @Test func noSecretIsShown() throws {
        let listing = try examine(
            Self.site + """

                [[output]]
                name = "park"
                type = "http"
                url = "https://ingest.example.org/api/v1/A1planted0SECRET1zz/telemetry?org=factory&key=planted0SECRET2"
                token_file = "\(folder)/token"
                headers = ["X-Api-Key: planted0SECRET3", "X-Park: planted0SECRET4"]
                """)
        let shown =
            String(decoding: listing.json, as: UTF8.self)
            + ConfigurationScreen(listing).lines(width: nil, paint: Paint(coloured: false)).joined(separator: "\n")
        #expect(!shown.contains("planted0SECRET") && !shown.contains("secret-in-a-file"))
        #expect(shown.contains("https://ingest.example.org/api/v1/***/telemetry?org=factory&key=***"))
        #expect(shown.contains("X-Api-Key: ***") && shown.contains("\(folder)/token"))
    }

    private static let sound = "url = \"https://in.example.org/\"\n"

    /// The type of an output and the rest of the config.
    static let mistakes: [(String, String)] = [
        ("http", #"url = "https://in.example.org/planted0SECRET0here?key=planted0SECRET1#top""#),
        ("influx", #"url = "https://in.example.org/write?u=ann&p=planted0SECRET""#),
        ("mqtt", #"url = "mqtts://ann:planted0SECRET@b.example.org""#),
        ("http", #"url = "ann:planted0SECRET@in.example.org/x""#),
        ("mqtt", #"url = "ann:planted0SECRET@b.example.org""#),
        ("http", #"url = "https:/ann:planted0SECRET@in.example.org/x""#),
        ("http", #"url = "https//in.example.org/x?token=planted0SECRET""#),
        ("http", #"url = "http:///ann:planted0SECRET@in.example.org/x""#),
        ("http", #"url = "https://ann:planted0SECRET/1@in.example.org/x""#),
        ("http", #"url = "https://ann:1,planted0SECRET@in.example.org/""#),
        ("http", #"url = "https:/in.example.org/api/v1/A1planted0SECRET1zz/telemetry""#),
        ("http", "\(sound)proxy = \"ann:planted0SECRET@proxy:3128\""),
        ("http", "\(sound)proxy = \"http:/ann:planted0SECRET@proxy:3128\""),
        ("http", "\(sound)token_file = \"planted0SECRET\""),
        ("http", "\(sound)username = \"ann\"\npassword_file = \"planted0SECRET/1\""),
        ("mqtt", "url = \"mqtts://h\"\npreset = \"azure\"\nclient_id = \"roof\"\naccess_key_file = \"planted0SECRET==\""),
        ("http", "\(sound)[api]\ntoken_file = \"planted0SECRET\""),
        ("http", "\(sound)[[bus]]\nname = \"b\"\nurl = \"tcp:/ann:planted0SECRET@192.0.2.1\""),
    ]

    /// Also where the address is none, so that the secret in it does not stand where one is looked for.
    @Test(arguments: ConfigurationListingTests.mistakes)
    func aProblemDoesNotQuoteASecret(_ type: String, _ lines: String) throws {
        try TextFile.write(Self.head + "\n[[output]]\nname = \"o\"\ntype = \"\(type)\"\n\(lines)", to: file)
        let (configuration, problems) = Configuration.examine(file: file, hostName: "box")
        #expect(problems.count == 1 && !problems.description.contains("planted0SECRET"), "\(problems)")
        let listing = configuration.listing
        #expect(!String(decoding: listing.json, as: UTF8.self).contains("planted0SECRET"))
        let screen = ConfigurationScreen(listing).lines(width: nil, paint: Paint(coloured: false)).joined(separator: "\n")
        #expect(!screen.contains("planted0SECRET") && screen.contains("***"))
    }

    @Test func anAddressLosesItsSecretsAndNothingElse() {
        let cases: [(String, String?)] = [
            ("https://ann:p,a s@host:80/in?org=a&token=b", "https://***@host:80/in?org=a&token=***"), ("mqtts://b.example.org:8883", nil),
            ("http://[::1]:8086/write?org=ann@example.org", nil), ("https://h/users/@me", nil), ("tcp://192.0.2.10:502", nil),
            ("serial:///dev/serial/by-path/platform-soc@107c000000-port0", nil), ("/dev/serial/by-id/usb-FTDI_USB-RS485-if00-port0", nil),
            ("rtu+tcp://192.0.2.20:4001", nil), ("ingest.example.org", nil), ("https://ann:p?a@host/", "https://***"), ("ann@host", "***"),
            ("https:/h/A1planted0SECRET1zz/x", "https:/h/***/x"),
        ]
        for (text, expected) in cases { #expect(Redaction.address(text) == expected ?? text) }
    }

    @Test func aLineLosesItsSecretsAndNothingElse() {
        let cases = [
            ("http://ann:p@ss@host:80/in?org=a&token=b said no", "http://***@host:80/in?org=a&token=*** said no"),
            ("GET https://h/x, then mqtts://u:p@b:8883", "GET https://h/x, then mqtts://***@b:8883"),
            ("Authorization: Bearer abc.def", "Authorization: *** ***"),
            ("sent Bearer abc.def to it", "sent Bearer *** to it"),
            ("password=abc api_key=\"x\" unit=3", "password=*** api_key=*** unit=3"),
            ("device is offline device.name=main", "device is offline device.name=main"),
            ("the token file /etc/meterd/token cannot be read", "the token file /etc/meterd/token cannot be read"),
            ("serial:///dev/serial/by-id/usb-FTDI_USB-RS485-if00-port0", "serial:///dev/serial/by-id/usb-FTDI_USB-RS485-if00-port0"),
        ]
        for (text, expected) in cases { #expect(Redaction.line(text) == expected) }
    }

    @Test func whatDiffersIsToldByTableAndKey() throws {
        let old = try examine(Self.site)
        #expect(ConfigurationDifferences(from: old, to: try examine("# a comment\n" + Self.site)).differences.isEmpty)
        // What stands as it would be without it changes nothing.
        #expect(
            ConfigurationDifferences(from: old, to: try examine(Self.site, Self.head + "\ncommit_interval = \"5s\"")).differences.isEmpty)

        let changed = Self.site.replacing("live = \"5s\"", with: "live = \"2s\"").replacing("roof =", with: "barn =")
        let site = folder + "/conf.d/site.toml"
        let report = ConfigurationDifferences(from: old, to: try examine(changed, Self.head))
        let lines = ConfigurationDifferenceScreen(report).lines(paint: Paint(coloured: false))
        #expect(
            lines == [
                "changed device hall live: \"5s\" -> \"2s\" (\(site):5)", "added device barn (\(site):15)", "removed device roof",
            ])
        let more = ConfigurationDifferences(
            from: old, to: try examine(Self.site, Self.head.replacing("id = \"gw-017\"", with: "site = \"a\"")))
        #expect(
            ConfigurationDifferenceScreen(more).lines(paint: Paint(coloured: false)) == [
                "changed gateway id: \"gw-017\" -> \"box\"", "added gateway site: not set -> \"a\" (\(file):2)",
            ])
        let json = String(decoding: more.json, as: UTF8.self)
        #expect(
            json.hasPrefix(#"{"same":false,"differences":[{"change":"changed","table":"gateway","name":null,"key":"id","before":"gw-017""#))
        #expect(try JSONDecoder().decode(ConfigurationDifferences.self, from: Data(more.json)) == more)
    }

    /// A profile that was mended under its name, and a secret that is hidden on both sides.
    @Test func whatIsHiddenOrNamedStillCounts() throws {
        let own = folder + "/profiles"
        try #require(makeDirectory(own))
        let text = try String(contentsOfFile: Products.repository + "/profiles/eastron-sdm630.toml", encoding: .utf8)
        try TextFile.write(text, to: own + "/eastron-sdm630.toml")
        let head = Self.head.replacing("[\"\(Products.repository)", with: "[\"\(own)\", \"\(Products.repository)")
        let output = "\n[[output]]\nname = \"park\"\ntype = \"http\"\nurl = \"http://192.0.2.1/in?key=a\""
        let old = try examine(Self.site + output, head)
        try TextFile.write(text + "\n# mended\n", to: own + "/eastron-sdm630.toml")
        let new = try examine(Self.site + output.replacing("key=a", with: "key=b"), head)
        let lines = ConfigurationDifferenceScreen(ConfigurationDifferences(from: old, to: new)).lines(paint: Paint(coloured: false))
        #expect(lines.count == 3)
        #expect(lines.allSatisfy { $0.contains("but what it names or hides differs") })
        #expect(lines.last?.contains("http://192.0.2.1/in?key=***") == true)
    }

    /// What `config show` calls a default is what holds: written out, it changes nothing; and the page says the same.
    @Test(arguments: [
        "gateway", "journal", "bus", "device", "http", "influx", "mqtt", "file", "thingsboard", "homeassistant", "aws", "azure",
    ])
    func theDefaultsThatAreShownHoldAndAreDocumented(_ kind: String) throws {
        let broker = "[[output]]\nname = \"o\"\ntype = \"mqtt\"\nurl = \"mqtt://192.0.2.1\""
        let cloud = broker.replacing("mqtt://", with: "mqtts://")
        let start = [
            "bus": "[[bus]]\nname = \"b\"\nurl = \"serial:///dev/ttyUSB9\"",
            "device": "[[bus]]\nname = \"b\"\nurl = \"tcp://192.0.2.1\"\n[[device]]\nname = \"d\"\nbus = \"b\"\nunit = 1\n"
                + "profile = \"eastron-sdm630\"\nrole = \"load\"",
            "http": "[[output]]\nname = \"o\"\ntype = \"http\"\nurl = \"http://192.0.2.1/in\"",
            "influx": "[[output]]\nname = \"o\"\ntype = \"influx\"\nurl = \"http://192.0.2.1/in\"\ntoken_file = \"\(folder)/token\"",
            "mqtt": broker, "thingsboard": broker + "\npreset = \"thingsboard\"", "homeassistant": broker + "\npreset = \"homeassistant\"",
            "aws": cloud + "\npreset = \"aws\"\ncert_file = \"\(folder)/token\"\nkey_file = \"\(folder)/token\"",
            "azure": cloud + "\npreset = \"azure\"\nclient_id = \"box\"\naccess_key_file = \"\(folder)/token\"",
            "file": "[[output]]\nname = \"o\"\ntype = \"file\"\ndirectory = \"\(folder)\"\nformat = \"csv\"",
        ]
        let isPreset = ["thingsboard", "homeassistant", "aws", "azure"].contains(kind)
        let isOutput = isPreset || ["http", "influx", "mqtt", "file"].contains(kind)
        let table = isOutput ? "output" : kind
        let text = start[kind] ?? "[\(kind)]\n\(kind == "gateway" ? "profile_path = [\"\(Products.repository)/profiles\"]" : "")"
        let rest = kind == "gateway" ? "" : "[gateway]\nprofile_path = [\"\(Products.repository)/profiles\"]\n"
        func configuration(_ text: String) throws -> Configuration {
            try TextFile.write(text, to: file)
            return try Configuration.load(file: file, hostName: "box")
        }
        let bare = try configuration(rest + text)
        let keys = bare.listing.entries.filter { entry in
            guard case .standard = entry.origin else { return false }
            return entry.table == table && entry.value != nil && entry.key != "profile_path"
        }
        #expect(!keys.isEmpty)
        let written = try configuration(rest + text + keys.map { "\n\($0.key) = \($0.value?.literal ?? "")" }.joined())
        #expect(written.gateway == bare.gateway && written.journal == bare.journal)
        #expect(written.buses == bare.buses && written.devices == bare.devices && written.outputs == bare.outputs)

        let headings = isOutput ? ["[[output]]", "type = \"\(isPreset ? "mqtt" : kind)\""] : [kind]
        for (key, literals) in try Self.documentedDefaults(of: headings) {
            // Its row says itself that these know one way only.
            if ["file", "homeassistant"].contains(kind), key == "lane" { continue }
            guard let entry = bare.listing.entries.first(where: { $0.table == table && $0.key == key }), case .standard = entry.origin
            else {
                continue
            }
            // What differs for a preset stands behind what holds without; a preset may also have none.
            let shown = entry.value?.literal
            #expect(
                isPreset ? shown.map(literals.contains) ?? true : shown == literals.first,
                "docs/configuration.md: \(kind).\(key) is \(literals) by default, config show says \(shown ?? "nothing")")
        }
    }

    /// The keys of the tables below these headings whose default is a value: `"5s"`, `500`; with what else the cell names.
    private static func documentedDefaults(of headings: [String]) throws -> [(key: String, literals: [String])] {
        let text = try String(contentsOfFile: Products.repository + "/docs/configuration.md", encoding: .utf8)
        var heading = ""
        var found: [(String, [String])] = []
        for line in text.split(separator: "\n") {
            if line.hasPrefix("## ") || line.hasPrefix("`type = ") { heading = String(line) }
            guard line.hasPrefix("| `"), headings.contains(where: { heading.contains("\($0)`") || heading.contains("[\($0)]") }) else {
                continue
            }
            let cells = line.split(separator: "|").map { cell in cell.split(separator: " ").joined(separator: " ") }
            guard cells.count >= 3, cells[2].hasPrefix("`") else { continue }
            let literals = cells[2].split(separator: "`").enumerated().filter { $0.offset % 2 == 0 }.map { String($0.element) }
            guard let literal = literals.first else { continue }
            if literal.first == "\"" || literal.first?.isNumber == true || literal == "true" || literal == "false" {
                for key in cells[0].split(separator: ",") { found.append((key.filter { $0 != "`" && $0 != " " }, literals)) }
            }
        }
        return found
    }
}
