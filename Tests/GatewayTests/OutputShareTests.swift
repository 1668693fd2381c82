import Gateway
import Metering
import Store
import TestSupport
import Testing
import Uplink

/// What an output hands on of it all, how fast, and in which order: the keys, and how they say no.
@Suite final class OutputShareTests {
    private let folder: String

    init() throws { folder = try TemporaryFolder.make("shares") }

    deinit { TemporaryFolder.remove(folder) }

    private func load(_ lines: String, target: String = "type = \"http\"\nurl = \"http://h/\"") throws -> Configuration.Output {
        let meters =
            """
            [gateway]
            profile_path = ["\(Products.repository)/profiles"]
            [[bus]]
            name = "line"
            url = "tcp://192.0.2.1:502"
            [[device]]
            name = "main"
            bus = "line"
            unit = 1
            profile = "eastron-sdm630"
            role = "grid"
            [[device]]
            name = "hall-1"
            bus = "line"
            unit = 2
            profile = "eastron-sdm630"
            role = "load"
            """
        try TextFile.write("\(meters)\n[[output]]\nname = \"o\"\n\(target)\n\(lines)\n", to: folder + "/meterd.toml")
        return try #require(try Configuration.load(file: folder + "/meterd.toml", hostName: "box").outputs.first)
    }

    private func problems(_ lines: String, target: String = "type = \"http\"\nurl = \"http://h/\"") -> [String] {
        do {
            _ = try load(lines, target: target)
            return []
        } catch {
            return (error as? Problems)?.list.map { "\($0.key): \($0.text)" } ?? ["\(error)"]
        }
    }

    @Test func aFilterIsReadWhole() throws {
        let output = try load("devices = [\"main\", \"hall-*\", \"!hall-1\"]\nquantities = [\"energy_*\"]\nclasses = [\"live\", \"slow\"]")
        #expect(
            output.filter
                == OutputFilter(
                    devices: NamePatterns(["main", "hall-*", "!hall-1"]), quantities: NamePatterns(["energy_*"]), classes: [.live, .slow]))
        #expect(try load("").filter == nil)
    }

    @Test(
        arguments: [
            ("devices = [\"mian\"]", "output[0].devices: \"mian\" matches no device; did you mean \"main\"?"),
            ("devices = [\"roof-*\"]", "output[0].devices: \"roof-*\" matches no device; name one of the [[device]] tables, or remove it"),
            ("devices = [\"!hal-1\"]", "output[0].devices: \"hal-1\" matches no device; did you mean \"hall-1\"?"),
            ("devices = []", "output[0].devices: is empty, so nothing would be handed on; remove it, or write devices = [\"main\"]"),
            ("devices = [\"\"]", "output[0].devices: holds \"\", which names nothing; write a name such as \"main\""),
            ("devices = \"main\"", "output[0].devices: must be an array of strings, found a string; write devices = [\"...\"]"),
            (
                "quantities = [\"energy_activ_import\"]",
                "output[0].quantities: \"energy_activ_import\" matches no quantity; did you mean \"energy_active_import\"?"
            ),
            (
                "quantities = [\"x_acme_foo\"]",
                "output[0].quantities: \"x_acme_foo\" matches no quantity; name what `meterctl readings` lists, or remove it"
            ),
            ("classes = [\"lively\"]", "output[0].classes: \"lively\" is none of live, slow, once; did you mean \"live\"?"),
            (
                "devices = [\"hall-1\"]\nquantities = [\"irradiance_ghi\"]",
                "output[0].quantities: devices, quantities and classes together leave nothing of any device to hand on; "
                    + "widen one, or remove the output"
            ),
            ("pace = \"fast\"", "output[0].pace: \"fast\" is no rate such as \"5000/s\""),
            ("pace = \"0/s\"", "output[0].pace: 0/s is outside 1/s ... 1000000/s"),
            (
                "pace = \"64KiB/s\"",
                "output[0].pace: \"64KiB/s\" is no rate such as \"5000/s\"; bytes a second are pace_bytes = \"64KiB/s\""
            ),
            ("pace_bytes = \"64KiB\"", "output[0].pace_bytes: \"64KiB\" is no rate such as \"256KiB/s\""),
            ("pace_bytes = \"1B/s\"", "output[0].pace_bytes: must be 1KiB/s ... 1GiB/s"),
            ("lane = \"live\"", "output[0].lane: \"live\" is none of live_first, in_order"),
        ]
    ) func aSlipIsNamedWithItsCure(_ lines: String, _ problem: String) {
        #expect(problems(lines) == [problem])
    }

    @Test func aPaceIsRecordsOrBytesASecond() throws {
        #expect(try load("pace = \"5000/s\"").pace == Pace(records: 5000))
        #expect(try load("pace = \"10/s\"\npace_bytes = \"64KiB/s\"").pace == Pace(records: 10, bytes: 65_536))
        #expect(try load("").pace == nil)
    }

    @Test func newReadingsGoFirstWhereTheReceiverCanTell() throws {
        #expect(try load("").policy == .liveFirst)
        #expect(try load("lane = \"in_order\"").policy == .inOrder)
        let file = "type = \"file\"\nformat = \"csv\"\ndirectory = \"/var\""
        let homeAssistant = "type = \"mqtt\"\nurl = \"mqtt://h\"\npreset = \"homeassistant\""
        for target in [file, homeAssistant] {
            #expect(try load("", target: target).policy == .inOrder)
            #expect(problems("lane = \"live_first\"", target: target).first?.contains("is not for this output") == true)
        }
        #expect(try load("", target: "type = \"mqtt\"\nurl = \"mqtt://h\"").policy == .liveFirst)
    }
}
