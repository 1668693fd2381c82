import Metering
import Testing

/// What a profile can say of a device's habits, each told by a small profile and the words on the wire.
@Suite struct ProfileFormatTests {
    private func profile(_ body: String, read: String = "") throws -> Profile {
        try Profile(
            toml: """
                profile = "x"
                version = 1
                vendor = "ACME"
                models = ["A"]
                source = "test"
                [read]
                \(read)
                [defaults]
                table = "holding"
                type = "uint16"
                \(body)
                """, file: "x.toml")
    }

    private func problems(_ body: String, read: String = "") -> [String] {
        do {
            _ = try profile(body, read: read)
            return []
        } catch { return (error as? Problems)?.list.map { "\($0.key): \($0.text)" } ?? ["\(error)"] }
    }

    private func words(_ address: UInt16, _ words: UInt16...) -> BlockAnswer {
        BlockAnswer(block: Block(.holding, address, count: UInt16(words.count)), outcome: .words(words))
    }

    private func value(_ profile: Profile, _ answers: BlockAnswer...) -> String? {
        ReadingDecoder(profile: profile).decode(answers).first?.value.map {
            switch $0 {
            case .number(let number): number.description
            case .text(let text): text
            }
        }
    }

    @Test func importMinusExportIsOnePoint() throws {
        let own = try profile(
            """
            [[point]]
            quantity = "power_active"
            address = 10
            unit = "kW"
            scale = 0.1
            plus = [{ address = 12, scale = -0.1 }]
            """)
        #expect(value(own, words(10, 5, 0, 20)) == "-1500")
        #expect(value(own, words(10, 5), words(12, 20)) == nil)  // torn between two answers
        #expect(own.points.first?.run == 10..<13)
    }

    @Test func aTotalOfWholeAndFractionIsExact() throws {
        let own = try profile(
            """
            [[point]]
            quantity = "water_volume"
            address = 3017
            type = "int32"
            unit = "m3"
            plus = [{ address = 3019, scale = 1e-9 }]
            """)
        #expect(value(own, words(3017, 0, 0xB26E, 0x0EE6, 0xB280)) == "45678.25")
    }

    @Test func halvesThatStandApartAreOneValue() throws {
        let own = try profile(
            """
            [[point]]
            quantity = "power_active"
            parts = [87, 25]
            type = "int32"
            unit = "W"
            """)
        let image = [UInt16](repeating: 7, count: 63)
        var answer = image
        answer[0] = 0xFB2E
        answer[62] = 0xFFFF
        #expect(value(own, BlockAnswer(block: Block(.holding, 25, count: 63), outcome: .words(answer))) == "-1234")
        #expect(own.points.first?.companions == [Block(.holding, 25, count: 1)])
    }

    @Test func aRatioOfTheSamePollMultiplies() throws {
        let own = try profile(
            """
            [[point]]
            quantity = "energy_active_import"
            address = 10
            type = "uint32"
            unit = "kWh"
            scale = 0.01
            multiply = [{ address = 141 }, { address = 142, scale = 0.1 }]
            """)
        #expect(value(own, words(10, 0, 100), words(141, 1, 400)) == "40000")
        #expect(value(own, words(10, 0, 100), words(141, 1, 0)) == nil)  // no ratio makes no value 0
        #expect(value(own, words(10, 0, 100)) == nil)
        let silent = BlockAnswer(block: Block(.holding, 141, count: 2), outcome: .fault(.timeout))
        #expect(ReadingDecoder(profile: own).decode([words(10, 0, 100), silent]).first?.quality == .noCommunication)
        #expect(own.points.first?.companions == [])
    }

    @Test func aSettingOfTheDeviceChoosesTheFactor() throws {
        let own = try profile(
            """
            [[point]]
            quantity = "battery_power"
            address = 590
            type = "int16"
            unit = "W"
            multiply = [{ address = 0, map = { 0x0005 = 1, 6 = 10 } }]
            """)
        #expect(value(own, words(590, 0xFF9C), words(0, 6)) == "-1000")
        #expect(value(own, words(590, 0xFF9C), words(0, 5)) == "-100")
        #expect(value(own, words(590, 0xFF9C), words(0, 7)) == nil)  // an unknown device is not guessed at
    }

    @Test func aFlagGivesTheSign() throws {
        let own = try profile(
            """
            [[point]]
            quantity = "battery_power"
            address = 33149
            type = "uint32"
            unit = "W"
            sign = { address = 33135, mask = 0x0F, negative = 1 }
            """)
        func answer(_ flag: UInt16) -> BlockAnswer {
            BlockAnswer(
                block: Block(.holding, 33135, count: 16), outcome: .words([flag] + [UInt16](repeating: 0, count: 14) + [0x04D2]))
        }
        #expect(value(own, answer(0xF1)) == "-1234")
        #expect(value(own, answer(0)) == "1234")
    }

    @Test(
        arguments: [("bcd16", [0x1234], "1234"), ("bcd32", [0x0012, 0x3456], "123456"), ("bcd16", [0x12A4], nil)]
            as [(String, [UInt16], String?)])
    func packedDecimalsAreDecimals(_ type: String, _ words: [UInt16], _ expected: String?) throws {
        let own = try profile("[[point]]\nquantity = \"pulse_count\"\naddress = 0\ntype = \"\(type)\"")
        let answer = BlockAnswer(block: Block(.holding, 0, count: UInt16(words.count)), outcome: .words(words))
        #expect(value(own, answer) == expected)
    }

    @Test func bitsAreAFieldAndCodesBecomeStates() throws {
        let own = try profile(
            """
            [[point]]
            quantity = "inverter_state"
            address = 5
            mask = 0xF0
            map = { 2 = 4, 3 = 7 }
            names = { 4 = "running", 7 = "fault" }
            [[point]]
            quantity = "device_model"
            address = 6
            names = { 10779 = "MAG 8000" }
            """)
        #expect(value(own, words(5, 0xAB2F)) == "4")
        #expect(value(own, words(5, 0xAB9F)) == nil)
        #expect(value(own, words(6, 10779)) == "MAG 8000")
        #expect(value(own, words(6, 12)) == "12")
    }

    @Test(arguments: ["coil", "discrete", "discrete_input"]) func aSingleBitIsAPoint(_ table: String) throws {
        let own = try profile("[[point]]\nquantity = \"x_acme_leak\"\ntable = \"\(table)\"\naddress = 3")
        let registers: RegisterTable = table == "coil" ? .coil : .discreteInput
        #expect(own.points.first?.block == Block(registers, 3, count: 1))
        #expect(value(own, BlockAnswer(block: Block(registers, 2, count: 3), outcome: .words([0, 1, 0]))) == "1")
    }

    @Test func eightLettersNameTheSameOrders() throws {
        for (name, order) in [("ABCDEFGH", WordOrder.abcd), ("GHEFCDAB", .cdab), ("BADCFEHG", .badc), ("HGFEDCBA", .dcba)] {
            let own = try profile(
                "[[point]]\nquantity = \"energy_active_import\"\naddress = 0\ntype = \"uint64\"\nunit = \"Wh\"\norder = \"\(name)\"")
            #expect(own.points.first?.order == order)
        }
    }

    @Test func solarEdgeSaysNothingWithTheLowestFloat() throws {
        let own = try profile(
            "[[point]]\nquantity = \"battery_power\"\naddress = 0\ntype = \"float32\"\norder = \"CDAB\"\nunit = \"W\"\nabsent = \"solaredge\""
        )
        #expect(value(own, words(0, 0xFFFF, 0xFF7F)) == nil)
        #expect(value(own, words(0, 0x0000, 0x42C8)) == "100")
    }

    @Test func aDeviceIsKnownByWhatItSaysOfItself() throws {
        let own = try profile(
            """
            [[point]]
            quantity = "frequency"
            address = 51
            unit = "Hz"
            scale = 0.1
            [[detect]]
            address = 11
            equals = [71, 72]
            [[detect]]
            address = 20
            type = "string"
            length = 2
            begins = ["EM"]
            [[detect]]
            address = 51
            scale = 0.1
            between = [45, 65]
            """)
        #expect(own.identifies([words(11, 72), words(20, 0x454D, 0x3234), words(50, 0, 500)]))
        #expect(!own.identifies([words(11, 73), words(20, 0x454D, 0x3234), words(51, 500)]))
        #expect(!own.identifies([words(11, 72), words(20, 0x4142, 0x3234), words(51, 500)]))
        #expect(!own.identifies([words(11, 72), words(20, 0x454D, 0x3234), words(51, 5000)]))
        #expect(!own.identifies([words(11, 72), words(20, 0x454D, 0x3234)]))
    }

    @Test func habitsOfTheConnectionAreKept() throws {
        let own = try profile(
            """
            [[point]]
            quantity = "frequency"
            address = 51
            unit = "Hz"
            [hints]
            unit = 247
            port = 1502
            baud = 2400
            format = "8E1"
            single_client = true
            setup = "menu M63"
            """, read: "connect_delay = \"2s\"\nloses_first_request = true\nwindow = [{ table = \"holding\", first = 50, last = 90 }]")
        #expect(own.hints == ConnectionHints(unit: 247, port: 1502, baud: 2400, format: "8E1", singleClient: true, setup: "menu M63"))
        #expect(own.limits.connectDelay == .seconds(2))
        #expect(own.limits.losesFirstRequest)
        #expect(own.limits.windows == [Block(.holding, 50, count: 41)])
    }

    @Test func whatCannotComeInOneAnswerIsRefused() {
        let far = "[[point]]\nquantity = \"power_active\"\naddress = 10\nunit = \"W\"\nplus = [{ address = 30, scale = -1 }]"
        #expect(problems(far) == [])
        #expect(
            problems(far, read: "max_registers = 20") == [
                "point[0].address: 21 registers from 10 to 30 must come in one answer; the device allows 20 per request (point power_active)"
            ])
        #expect(
            problems(far, read: "window = [{ table = \"holding\", first = 0, last = 29 }]") == [
                "point[0].address: one answer would cross the border of the window from 0 to 29 (point power_active)"
            ])
        #expect(
            problems(far, read: "forbidden = [{ table = \"holding\", first = 20, last = 21 }]") == [
                "point[0].address: one answer would reach across the forbidden registers 20 to 21 (point power_active)"
            ])
        #expect(
            problems(
                "[[point]]\nquantity = \"voltage_l1\"\naddress = 1\nunit = \"V\"\nmultiply = [{ address = 20 }]",
                read: "forbidden = [{ table = \"holding\", first = 20, last = 21 }]") == [
                    "point[0].multiply: one answer would reach across the forbidden registers 20 to 21 (point voltage_l1)"
                ])
    }

    @Test(
        arguments: [
            ("mask = 0x1FFFF", "has more than the 16 bits of uint16"),
            ("type = \"int16\"\nmask = 1", "picks bits of uint16, uint32 or uint64, not of int16"),
            ("sign = { address = 1, mask = 1, negative = 2 }", "negative: has bits that mask = 1 takes away; it could never be met"),
            ("sign = { address = 1 }", "sign.negative: is missing; add negative = 0"),
            ("plus = [{ address = 1, scale = 0 }]", "0 would add nothing"),
            ("plus = [{ adress = 1 }]", "unknown key; did you mean \"address\"?"),
            ("multiply = [{ address = 1, type = \"string\" }]", "is none of uint16"),
            ("map = { one = 1 }", "must be a whole number, such as 3 or 0x10"),
            ("parts = [1, 2]", "stands beside parts; parts already say where the words are"),
            ("table = \"coil\"\ntype = \"uint32\"", "a coil is one bit"),
            (
                "multiply = [{ address = 1, table = \"discrete_input\", type = \"uint32\" }]",
                "multiply[0].type: a discrete_input is one bit"
            ),
            ("table = \"coil\"\nscale_register = 3", "scale_register: a coil is one bit"),
            ("absent = [0xFFFFFFFF]", "absent: 4294967295 has more than the 16 bits of uint16; it would never be met"),
            ("absent = [-40000]", "absent: -40000 has more than the 16 bits of uint16"),
            ("map = { 70000 = 1 }", "map: 70000 is no number of uint16"), ("names = { 70000 = \"on\" }", "names: 70000 is no number"),
            ("absent = [0xFFFF, -1, -32768]\nscale = 0", "scale: 0 would make every value 0 (point x_acme_thing)"),
        ])
    func whatCannotBeMeantIsToldInWords(_ line: String, _ expected: String) {
        let found = problems("[[point]]\nquantity = \"x_acme_thing\"\naddress = 0\n\(line)")
        #expect(found.contains { $0.contains(expected) }, "\(found)")
    }

    @Test(
        arguments: [
            ("source = \"test\"", "source = \" \"", "source: is empty"), ("vendor = \"ACME\"", "vendor = \"\"", "vendor: is empty"),
            ("models = [\"A\"]", "models = []", "models: must name at least one model"),
            ("models = [\"A\"]", "models = [\"A\", \"\"]", "models: must name at least one model, and each by its name"),
            (
                "[read]", "[[detect]]\ntable = \"coil\"\ntype = \"uint32\"\naddress = 1\nequals = [1]\n[read]",
                "detect[0].type: a coil is one bit"
            ),
            (
                "[read]", "[[detect]]\ntable = \"holding\"\ntype = \"uint16\"\naddress = 1\nequals = [65536]\n[read]",
                "detect[0].equals: 65536 is no number of uint16"
            ),
            (
                "[read]", "[[detect]]\ntable = \"holding\"\ntype = \"uint16\"\naddress = 1\nbetween = [65, 45]\n[read]",
                "detect[0].between: the first number must be the lower one"
            ),
        ])
    func aProfileThatSaysNothingOfItselfIsRefused(_ before: String, _ after: String, _ expected: String) {
        let text =
            "profile = \"x\"\nversion = 1\nvendor = \"ACME\"\nmodels = [\"A\"]\nsource = \"test\"\n[read]\n"
            + "[[point]]\nquantity = \"x_acme_thing\"\ntable = \"holding\"\ntype = \"uint16\"\naddress = 0\n"
        #expect(throws: Never.self) { try Profile(toml: text, file: "x.toml") }
        do {
            _ = try Profile(toml: text.replacing(before, with: after), file: "x.toml")
            Issue.record("\(after) is accepted")
        } catch {
            #expect(error.list.contains { $0.description.contains(expected) && $0.place != nil }, "\(error)")
        }
    }

    @Test func anExampleThatLeavesOutARegisterIsRefused() {
        let found = problems(
            """
            [[point]]
            quantity = "power_active"
            address = 10
            unit = "W"
            multiply = [{ address = 300 }]
            [[example]]
            quantity = "power_active"
            words = "0001"
            value = 1
            """)
        #expect(
            found == [
                #"example[0].beside: the words of holding register 300 are missing; add beside = [{ address = 300, words = "0000" }] (example power_active)"#
            ])
    }
}
