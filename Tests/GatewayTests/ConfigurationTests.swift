import Fieldbus
import Gateway
import Metering
import TestSupport
import Testing
import Uplink

@Suite struct ConfigurationTests {
    private let folder: String

    init() throws { folder = try TemporaryFolder.make("config") }

    private func load(_ text: String) throws(Problems) -> Configuration {
        let file = folder + "/meterd.toml"
        do {
            try TextFile.write(text, to: file)
        } catch {
            throw Problems([Problem(file: file, place: nil, key: "", text: "\(error)")])
        }
        return try Configuration.load(file: file, hostName: "box")
    }

    private func problems(_ text: String) -> [String] {
        do throws(Problems) {
            _ = try load(text)
            return []
        } catch {
            return error.list.map { problem in
                var short = problem
                short.file = String(problem.file.split(separator: "/").last ?? "")
                return short.description.replacing(folder, with: "")
            }
        }
    }

    private static let profiles = "profile_path = [\"\(Products.repository)/profiles\"]"

    private static let plant = """
        [gateway]
        site = "park-2/factory-12"
        \(profiles)
        [[bus]]
        name = "line-1"
        url = "serial:///dev/ttyUSB0"
        baud = 19200
        format = "8E1"
        [[bus]]
        name = "roof"
        url = "tcp://[2001:db8::1]:1502"
        timeout = "500ms"
        [[device]]
        name = "main"
        bus = "line-1"
        unit = 1
        profile = "eastron-sdm630"
        role = "grid"
        slow = "off"
        [[device]]
        name = "pv"
        bus = "roof"
        unit = 0
        profile = "sunspec-103"
        role = "pv"
        live = "5s"
        [[output]]
        name = "park"
        type = "http"
        url = "https://ingest.example.org/v1/batches"
        """

    @Test func whatIsWrittenIsWhatIsMeant() throws {
        let configuration = try load(Self.plant)
        #expect(configuration.gateway.id == "box")
        #expect(configuration.gateway.site == "park-2/factory-12")
        #expect(
            configuration.buses == [
                BusDescription(
                    name: "line-1", address: .serial(path: "/dev/ttyUSB0", line: SerialFormat(baud: 19200, parity: .even)),
                    timeout: .seconds(1)),
                BusDescription(name: "roof", address: .tcp(host: "2001:db8::1", port: 1502), timeout: .milliseconds(500)),
            ])
        #expect(configuration.devices.map(\.profile.name) == ["eastron-sdm630", "sunspec-103"])
        #expect(configuration.devices[0].periods == [.live: .seconds(1), .once: .zero])
        #expect(configuration.devices[1].periods == [.live: .seconds(5), .slow: .seconds(60), .once: .zero])
        #expect(configuration.outputs.map(\.batchRecords) == [500])
        #expect(configuration.journal.commitInterval == .seconds(5))
    }

    @Test func closingReadsAreOnUntilABusIsToldOtherwise() throws {
        func text(_ value: String) -> String {
            Self.plant.replacing("timeout = \"500ms\"", with: "timeout = \"500ms\"\nboundary = \"\(value)\"")
        }
        #expect(try load(text("off")).buses.map(\.closesQuarterHours) == [true, false])
        #expect(try load(text("15m")).buses.map(\.closesQuarterHours) == [true, true])
        #expect(problems(text("1h")).contains { $0.contains("bus[1].boundary: \"1h\" is none of 15m, off") })
    }

    @Test func relativePathsBeginAtTheFilesFolder() throws {
        try TextFile.write("secret", to: folder + "/park.token")
        let text = Self.plant.replacing("[gateway]", with: "[api]\nsocket = \"meterd.sock\"\n[gateway]\ndata_directory = \"data\"")
        let configuration = try load(text + "\ntoken_file = \"park.token\"")
        #expect(configuration.gateway.dataDirectory == folder + "/data")
        #expect(configuration.api.socket == folder + "/meterd.sock")
        guard case .http(let settings) = configuration.outputs[0].target else {
            Issue.record("\(configuration.outputs[0].target)")
            return
        }
        #expect(settings.credentials == .token(TokenFile(path: folder + "/park.token")))
        #expect(problems(text.replacing("\"data\"", with: "\"\"")).contains { $0.contains("gateway.data_directory: is no path") })
    }

    /// What a password in a URL would do in the journal for ever.
    @Test func aPasswordInAURLIsRefusedWithoutBeingSaid() throws {
        let found = problems(Self.plant.replacing("https://ingest", with: "https://user:hunter2@ingest"))
        #expect(found.count == 1)
        #expect(found[0].contains("token_file") && !found[0].contains("hunter2"))
    }

    @Test func everyProblemOfTheFileIsToldAtOnceAtItsPlace() {
        let found = problems(
            """
            [gateway]
            idd = "gw"
            \(Self.profiles)
            [journal]
            commit_interval = "5"
            retention = 60
            [[bus]]
            name = "line 1"
            url = "/dev/ttyUSB0"
            [[bus]]
            name = "a"
            url = "tcp://192.0.2.1"
            baud = 9600
            [[bus]]
            name = "a"
            url = "tcp://192.0.2.1:502"
            [[device]]
            name = "m"
            bus = "b"
            unit = 300
            profile = "eastron-sdm630"
            role = "gird"
            [[device]]
            name = "n"
            bus = "b"
            unit = 1
            profile = "eastron-sdm603"
            role = "grid"
            [[output]]
            name = "o"
            type = "http"
            url = "ftp://x"
            token = "secret"
            """)
        #expect(
            found == [
                #"meterd.toml:2:1: gateway.idd: unknown key; did you mean "id"?"#,
                #"meterd.toml:5:19: journal.commit_interval: "5" is no duration; write a whole number with ms, s, m, h or d, such as "5s""#,
                #"meterd.toml:6:13: journal.retention: must be a string, found an integer; write retention = "60d""#,
                #"meterd.toml:8:8: bus[0].name: "line 1" is no name; use up to 64 letters, digits, '.', '_' and '-', beginning with a letter or digit"#,
                #"meterd.toml:9:7: bus[0].url: "/dev/ttyUSB0" is no bus address; write "serial:///dev/...", "tcp://host:port" or "rtu+tcp://host:port""#,
                #"meterd.toml:13:8: bus[1].baud: belongs to serial lines; remove it, tcp://192.0.2.1 is a network address"#,
                #"meterd.toml:15:8: bus[2].name: "a" is taken by the bus at /meterd.toml:11; give it another name"#,
                #"meterd.toml:16:7: bus[2].url: leads to the same place as bus "a"; put the devices on that bus, it shares the connection"#,
                #"meterd.toml:19:7: device[0].bus: no bus is named "b"; did you mean "a"?"#,
                #"meterd.toml:20:8: device[0].unit: 300 is outside 0 ... 255"#,
                #"meterd.toml:22:8: device[0].role: "gird" is none of grid, load, pv, battery, genset, water, gas, heat, sensor; did you mean "grid"?"#,
                #"meterd.toml:25:7: device[1].bus: no bus is named "b"; did you mean "a"?"#,
                #"meterd.toml:27:11: device[1].profile: no profile "eastron-sdm603" in \#(Products.repository)/profiles; did you mean "eastron-sdm630"?"#,
                #"meterd.toml:32:7: output[0].url: "ftp://x" is no http:// or https:// address; write one such as "https://ingest.example.org/v1/batches""#,
                #"meterd.toml:33:1: output[0].token: unknown key; remove it"#,
            ])
    }

    @Test func aSyntaxErrorHasItsPlace() throws {
        let line = try #require(problems("[gateway]\nid = = 2\n").first)
        #expect(line.hasPrefix("meterd.toml:2:"))
    }

    @Test func twoDevicesOfOneAddressAreRefused() throws {
        let twice = Self.plant.replacing("bus = \"roof\"\nunit = 0", with: "bus = \"line-1\"\nunit = 1")
        #expect(problems(twice).contains { $0.contains("1 on bus \"line-1\" is device \"main\"") })
    }

    @Test func aLineHasNoUnitZero() {
        let zero = Self.plant.replacing("unit = 1\n", with: "unit = 0\n")
        #expect(problems(zero).contains { $0.contains("0 is outside 1 ... 247, the addresses of a serial line") })
    }

    @Test func aFileThatIsNotThereOrNoTextIsNamed() throws {
        #expect(throws: Problems.self) { try Configuration.load(file: folder + "/none.toml") }
        #expect(throws: Problems.self) { try Configuration.load(file: folder) }
        for text in ["\u{1}", String(repeating: "x", count: 5 << 20)] { #expect(!problems(text).isEmpty) }
    }

    @Test func partsOfConfDAreReadInNameOrder() throws {
        _ = try? load(Self.plant)
        #expect(makeDirectory(folder + "/conf.d"))
        try TextFile.write("[journal]\ncommit_interval = \"10s\"\n", to: folder + "/conf.d/10-a.toml")
        try TextFile.write(
            """
            [journal]
            commit_interval = "20s"
            [[device]]
            name = "sub"
            bus = "line-1"
            unit = 2
            profile = "schneider-iem3155"
            role = "load"
            """, to: folder + "/conf.d/20-b.toml")
        let configuration = try Configuration.load(file: folder + "/meterd.toml")
        #expect(configuration.journal.commitInterval == .seconds(20))
        #expect(configuration.devices.map(\.name) == ["main", "pv", "sub"])
        try TextFile.write("[journal]\ncommit_intervall = \"10s\"\n", to: folder + "/conf.d/30-c.toml")
        let problems = #expect(throws: Problems.self) { try Configuration.load(file: folder + "/meterd.toml") }
        #expect(try #require(problems).list.map(\.file) == [folder + "/conf.d/30-c.toml"])
    }

    @Test func aProfileWithAFaultIsReportedOnceWithItsOwnPlace() throws {
        #expect(makeDirectory(folder + "/profiles"))
        try TextFile.write("profile = \"eastron-sdm630\"\nversion = \"1\"\n", to: folder + "/profiles/eastron-sdm630.toml")
        let text = Self.plant.replacing("[\"\(Products.repository)", with: "[\"\(folder)/profiles\", \"\(Products.repository)")
        let found = problems(text)
        #expect(found.contains { $0.hasPrefix("eastron-sdm630.toml:2:11: version: must be an integer") })
        #expect(!found.contains { $0.contains("device[1]") })
    }

    @Test(arguments: [
        "tcp://", "tcp://:502", "tcp://h:0", "tcp://h:70000", "tcp://a b", "tcp://::1:502", "udp://h", "serial://dev", "serial:///", "",
    ])
    func aWrongBusAddressIsRefused(_ url: String) {
        let text = Self.plant.replacing("serial:///dev/ttyUSB0", with: url)
        #expect(problems(text).contains { $0.contains("is no bus address") }, "\(url)")
    }

    @Test func aWordOrderOfOneDeviceIsPartOfWhatDecodesItsHistory() throws {
        let text = Self.plant.replacing("slow = \"off\"", with: "slow = \"off\"\nword_order = \"CDAB\"")
        let device = try load(text).devices[0]
        let plain = try load(Self.plant).devices[0]
        #expect(device.profile.points.first?.order == .cdab && plain.profile.points.first?.order == .abcd)
        #expect(device.catalogEntry.canonicalText != plain.catalogEntry.canonicalText)
        // What is stored with the polls decodes them so.
        #expect(try Profile(toml: device.catalogEntry.profileText, file: "stored.toml").points == device.profile.points)
        #expect(problems(text.replacing("CDAB", with: "CDBA")).first?.contains("\"CDBA\" is none of ABCD, CDAB, BADC, DCBA") == true)
        // A profile that says it itself.
        let own = TextFile.content("\(Products.repository)/profiles/eastron-sdm630.toml")
        try TextFile.write("word_order = \"DCBA\"\n" + own, to: folder + "/eastron-sdm630.toml")
        let both = text.replacing("[\"", with: "[\"\(folder)\", \"")
        #expect(problems(both).contains { $0.contains("word_order: does not go with profile \"eastron-sdm630\"") }, "\(problems(both))")
    }

    @Test func aLineSaysWhoTurnsItsDirection() throws {
        func direction(_ keys: String) throws -> LineDirection? {
            let text = Self.plant.replacing("format = \"8E1\"", with: "format = \"8E1\"\n\(keys)")
            guard case .serial(_, let line) = try load(text).buses[0].address else { return nil }
            return line.direction
        }
        #expect(try direction("") == .automatic)
        #expect(try direction("rs485 = \"off\"") == .automatic)
        #expect(try direction("rs485 = \"driver\"") == .driver)
        #expect(try direction("rs485 = \"rts\"") == .rts(isHigh: true, delay: nil))
        #expect(
            try direction("rs485 = \"rts-inverted\"\nrts_delay = \"200us\"") == .rts(isHigh: false, delay: .microseconds(200)))
        let cases = [
            ("format = \"8E1\"", "rs485 = \"yes\"", "is none of off, driver, rts, rts-inverted"),
            ("format = \"8E1\"", "rts_delay = \"1ms\"", "belongs to rs485"),
            ("format = \"8E1\"", "rs485 = \"rts\"\nrts_delay = \"1s\"", "1s is outside 0ms ... 100ms"),
            ("timeout = \"500ms\"", "rs485 = \"rts\"", "belongs to serial lines"),
        ]
        for (place, keys, text) in cases {
            let found = problems(Self.plant.replacing(place, with: "\(place)\n\(keys)"))
            #expect(found.contains { $0.contains(text) }, "\(keys): \(found)")
        }
    }
}
