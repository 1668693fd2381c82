import FoundationEssentials
import Metering
import TestSupport
import Testing

/// The shipped profiles, read from the repository.
enum ShippedProfiles {
    static let directory = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        .appending(path: "profiles")

    static var names: [String] {
        let files = (try? FileManager.default.contentsOfDirectory(atPath: directory.path)) ?? []
        return files.filter { $0.hasSuffix(".toml") }.map { String($0.dropLast(5)) }.sorted()
    }

    static func load(_ name: String) throws -> Profile {
        let text = try String(contentsOf: directory.appending(path: name + ".toml"), encoding: .utf8)
        return try Profile(toml: text, file: name + ".toml")
    }
}

@Suite struct ProfileTests {
    @Test func theThreeFirstFamiliesAreShipped() {
        #expect(Set(ShippedProfiles.names).isSuperset(of: ["eastron-sdm630", "schneider-iem3155", "sunspec-103"]))
    }

    @Test(arguments: ShippedProfiles.names) func everyWorkedExampleDecodes(_ name: String) throws {
        let profile = try ShippedProfiles.load(name)
        #expect(profile.name == name)
        #expect(!profile.examples.isEmpty)
        let decoder = ReadingDecoder(profile: profile)
        for example in profile.examples {
            let index = try #require(profile.points.firstIndex { $0.quantity.id == example.quantity })
            let reading = try #require(decoder.decode(example.answers).first { $0.point == index })
            #expect(reading.value == example.value, "\(name): \(example.quantity)")
            #expect(reading.quality == (example.value == nil ? .badValue : .good), "\(name): \(example.quantity)")
        }
    }

    /// 230.4 V as float32 is 4366 6666; the device was set to send the low word first. A 16-bit register and a text stay as they are.
    @Test(arguments: [WordOrder.cdab, .badc, .dcba]) func anotherWordOrderHoldsForNumbersOfMoreThanOneRegister(_ order: WordOrder) throws {
        let text = """
            profile = "x"
            version = 1
            vendor = "ACME"
            models = ["A"]
            source = "manual"
            [defaults]
            table = "input"
            type = "float32"
            [[point]]
            quantity = "voltage_l1"
            address = 0
            unit = "V"
            [[point]]
            quantity = "frequency"
            address = 2
            type = "uint16"
            unit = "Hz"
            scale = 0.1
            [[point]]
            quantity = "device_serial"
            address = 3
            type = "string"
            length = 2
            class = "once"
            [[example]]
            quantity = "voltage_l1"
            words = "4366 6666"
            value = 230.4
            """
        let own = try Profile(toml: text, file: "x.toml")
        let other = try Profile(toml: Profile.text(text, ordered: order), file: "x.toml")
        #expect(other == own.ordered(order))
        #expect(other.examples.isEmpty && !own.examples.isEmpty)
        let number: [UInt16] = order == .cdab ? [0x6666, 0x4366] : order == .badc ? [0x6643, 0x6666] : [0x6666, 0x6643]
        let answers = [BlockAnswer(block: Block(.input, 0, count: 5), outcome: .words(number + [500, 0x4142, 0x4344]))]
        let values = ReadingDecoder(profile: other).decode(answers).map(\.value)
        #expect(values == [ExactDecimal("230.4").map(Value.number), .number(ExactDecimal(50)), .text("ABCD")])
        let wrong = ReadingDecoder(profile: own).decode(answers).first?.value
        #expect(wrong != values.first)
    }

    @Test func everyProblemIsNamedAtOnceWithItsPlaceAndItsCure() throws {
        let text = """
            profile = "x"
            version = 1
            vendor = "ACME"
            models = ["A"]
            source = "manual"
            [defaults]
            table = "input"
            type = "float32"
            [[point]]
            quantity = "voltage_l9"
            address = 0
            unit = "V"
            [[point]]
            quantity = "power_active"
            adress = 2
            unit = "kWh"
            [[point]]
            quantity = "frequency"
            address = 70000
            unit = "Hz"
            """
        let problems = #expect(throws: Problems.self) { _ = try Profile(toml: text, file: "x.toml") }
        let lines = try #require(problems).list.map(\.description)
        #expect(
            lines == [
                #"x.toml:10:12: point[0].quantity: "voltage_l9" is no quantity of the vocabulary (a vendor's own is named x_<vendor>_<name>); did you mean "voltage_l1"?"#,
                "x.toml:13:1: point[1].address: is missing; add address = 0",
                #"x.toml:15:1: point[1].adress: unknown key; did you mean "address"?"#,
                #"x.toml:16:8: point[1].unit: "kWh" does not measure power_active, which is in W"#,
                "x.toml:19:11: point[2].address: 70000 is outside 0 ... 65535",
            ])
    }

    @Test(arguments: [
        "", "profile = ", "[[point]]\nquantity = 3", "\u{0}\u{1}", "a = 1\na = 2", "point = 7", String(repeating: "[", count: 5000),
    ])
    func whatIsNoProfileIsRefusedInWords(_ text: String) throws {
        let problems = #expect(throws: Problems.self) { _ = try Profile(toml: text, file: "bad.toml") }
        let list = try #require(problems).list
        #expect(!list.isEmpty)
        #expect(list.allSatisfy { $0.description.hasPrefix("bad.toml:") && !$0.text.isEmpty })
    }
}

@Suite struct TomlDepthTests {
    @Test(arguments: [
        "x" + String(repeating: ".a", count: 60_000) + " = 1", "[x" + String(repeating: ".a", count: 60_000) + "]\n",
        "x" + String(repeating: " . \"a.b\"", count: 60_000) + " = 1", String(repeating: "{a=", count: 60_000),
        "a = " + String(repeating: "[", count: 60_000),
    ])
    func noDepthCrashesTheReader(_ text: String) {
        let problem = #expect(throws: Problem.self) { try TomlNode.parse(text, file: "deep.toml") }
        #expect(problem?.place?.line == 1)
    }

    @Test func dotsInStringsAndNumbersAreNoDepth() throws {
        let dots = String(repeating: ".", count: 1000)
        let text = """
            a = "\(dots)" # \(dots)
            b = '\(dots)'
            c = \"\"\"
            \(dots) "quoted" \(dots)
            \"\"\"
            d = [\((0..<500).map { "\($0).5" }.joined(separator: ", "))]
            e.f.g."h.i" = 1
            """
        #expect(throws: Never.self) { try TomlNode.parse(text, file: "flat.toml") }
    }
}

/// Whatever bytes a file holds, reading it ends in a profile or in problems; never in a crash.
@Suite struct TomlFuzzTests {
    @Test func noBytesCrashTheReader() throws {
        var random = SeededGenerator(seed: 20_261_124)
        // The smallest files that use every key between them.
        let seeds = try ["tuf-2000m", "siemens-mag8000", "kostal-ksem", "foxess-h3-g2", "deye-hybrid-3p-32bit", "solis-hybrid"].map {
            Array(try String(contentsOf: ShippedProfiles.directory.appending(path: $0 + ".toml"), encoding: .utf8).utf8)
        }
        let spice = Array("[]{}=.,'\"#\n\\ u_1e+-:TZ\u{0}\u{7f}".utf8) + [0xC3, 0xFF]
        for round in 0..<3000 {
            var bytes = seeds[round % seeds.count]
            for _ in 0..<Int.random(in: 1...6, using: &random) {
                let at = Int.random(in: 0..<bytes.count, using: &random)
                switch Int.random(in: 0..<4, using: &random) {
                case 0: bytes[at] = spice.randomElement(using: &random) ?? 0
                case 1: bytes.insert(spice.randomElement(using: &random) ?? 0, at: at)
                case 2: bytes.removeSubrange(at..<min(bytes.count, at + 5))
                default: bytes.removeSubrange(at...)
                }
                if bytes.isEmpty { bytes = [0x5B] }
            }
            let text = String(decoding: bytes, as: UTF8.self)
            do { _ = try Profile(toml: text, file: "fuzz.toml") } catch { #expect(!error.list.isEmpty) }
        }
    }
}
