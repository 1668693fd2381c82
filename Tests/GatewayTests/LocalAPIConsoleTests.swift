import Gateway
import Metering
import Testing

@Suite struct LocalAPIConsoleTests {
    private let plain = Paint(coloured: false)

    @Test func theStatusScreenPutsHealthFirst() {
        let lines = StatusScreen(cannedStatus(), now: cannedNow).lines(width: 100, paint: plain)
        #expect(
            lines.joined(separator: "\n") == """
                health   degraded, 1 problem
                gateway  gw-017, meterd 1.0.0, up 1 d 1 h

                ! hall-2: device_offline, for 12 min
                  unit 2 on line-1 does not answer; check its power, its address and the wiring A/B

                clock    synchronized, error at most 12 ms
                journal  1,043 polls, 41,720 readings, 1.0 MiB, seq 1 to 1043, nothing lost

                BUS     STATE  BUSY  REQUESTS  TIMEOUTS  ERRORS
                line-1  up     41 %    12,345         7       0

                DEVICE  STATE    BUS     UNIT  PROFILE            LAST POLL      OK  FAILED  SKIPPED
                main    online   line-1     1  eastron-sdm630           1 s  89,990       0        3
                hall-2  offline  line-1     2  schneider-iem3155      never       0      15        0

                OUTPUT  TYPE  STATE       BACKLOG  ACCEPTED  REJECTED  DEAD  LAST SUCCESS
                park    http  delivering        3     1,040         0     0           4 s
                """)
    }

    @Test func lossesUnsetClockAndAnEmptyPlantAreTold() {
        var report = cannedStatus()
        report.health = .failed
        report.problems = []
        report.clock.synchronized = false
        report.journal = JournalReport(firstSeq: 0, lastSeq: 0, polls: 0, readings: 0, bytes: 4096, lostPolls: 1, lostReadings: 40)
        (report.buses, report.devices, report.outputs) = ([], [], [])
        let lines = StatusScreen(report, now: cannedNow).lines(width: nil, paint: plain)
        #expect(
            lines.joined(separator: "\n") == """
                health   failed
                gateway  gw-017, meterd 1.0.0, up 1 d 1 h

                clock    not synchronized: times of readings are marked so
                journal  0 polls, 0 readings, 4.0 KiB, LOST 1 poll, 40 readings
                devices  none is configured; man meterd.toml says how
                """)
    }

    @Test func manyDevicesAreSummedUpAndOnlyTheTroubledListed() {
        var report = cannedStatus()
        report.devices = (1...40).map { number in
            var device = cannedDevices()[number == 7 ? 1 : 0]
            device.name = "m-\(number)"
            return device
        }
        let lines = StatusScreen(report, now: cannedNow).lines(width: nil, paint: plain)
        #expect(lines.contains("devices  39 online, 1 offline"))
        #expect(lines.contains { $0.hasPrefix("m-7 ") })
        #expect(!lines.contains { $0.hasPrefix("m-8 ") })
        #expect(lines.count < 24)
    }

    @Test(arguments: 20...120)
    func noLineIsWiderThanTheTerminal(_ width: Int) {
        var report = cannedStatus()
        report.problems = []
        let tables = [
            DeviceListing(report.devices, now: cannedNow).table, OutputListing(report.outputs, now: cannedNow).table,
            ReadingListing(cannedReadings()).table,
        ]
        for line in tables.flatMap({ $0.lines(width: width, paint: plain) }) { #expect(line.count <= width) }
    }

    /// A hundred meters of which ten are dead, an output that somebody paused, a clock that is not set.
    private static func troubledStatus() -> StatusReport {
        var report = cannedStatus()
        report.devices = (1...100).map { number in
            var device = cannedDevices()[number % 10 == 3 ? 1 : 0]
            device.name = "press-shop-meter-\(number)"
            return device
        }
        report.problems = report.devices.filter { $0.state == .offline }.enumerated().map { index, device in
            ProblemReport(
                code: "device_offline", subject: device.name, since: cannedNow.advanced(by: .seconds(Int64(-60 * (index + 1)))),
                text: "does not answer on line-1, unit \(device.unit) (timeout); it is probed, check its power, wiring and address")
        }
        let paused = ProblemReport(
            code: "output_paused_by_operator", subject: "park", since: cannedNow,
            text: "someone paused it; go on with: meterctl outputs park resume")
        report.problems.append(paused)
        report.clock.synchronized = false
        report.journal.lostPolls = 7
        (report.journal.lostFrom, report.journal.lostUntil) = (cannedNow, cannedNow)
        return report
    }

    @Test func manyProblemsOfOneKindAreOneOnTheScreen() {
        let lines = StatusScreen(Self.troubledStatus(), now: cannedNow).lines(width: 80, paint: plain)
        #expect(lines.count <= 40, "one screen")
        #expect(lines.contains("! 10 of device_offline, the longest for 10 min"))
        let names = lines.drop { !$0.hasPrefix("! 10") }.dropFirst().prefix { $0.hasPrefix("  ") }.joined(separator: " ")
        for number in [3, 13, 93] { #expect(names.contains("press-shop-meter-\(number)")) }
        #expect(names.contains("the first: does not answer on line-1, unit 2 (timeout); it is probed"))
        #expect(lines.contains("! park: output_paused_by_operator, for 0 s"), "what is alone of its kind is told whole")
        var few = Self.troubledStatus()
        few.problems = Array(few.problems.prefix(3))
        #expect(StatusScreen(few, now: cannedNow).lines(width: 80, paint: plain).count { $0.hasPrefix("! press-shop-meter-") } == 3)
        var many = Self.troubledStatus()
        many.problems = (1...30).map { ProblemReport(code: "device_offline", subject: "d\($0)", since: cannedNow, text: "is silent") }
        #expect(StatusScreen(many, now: cannedNow).lines(width: 80, paint: plain).contains { $0.hasSuffix("d12 and 18 more") })
    }

    /// Also with colours, which take no place.
    @Test(arguments: [44, 50, 80, 120, 200]) func noLineOfAScreenIsWiderThanTheTerminal(_ width: Int) {
        let journal = JournalDetailReport(
            journalID: "0123456789abcdef0123456789abcdef", journal: cannedJournal(), firstTime: cannedNow, lastTime: cannedNow, losses: [])
        for paint in [plain, Paint(coloured: true)] {
            let lines =
                StatusScreen(Self.troubledStatus(), now: cannedNow).lines(width: width, paint: paint)
                + JournalListing(journal).lines(width: width, paint: paint)
            for line in lines.map(withoutColour) { #expect(line.count <= width, "\(line)") }
            let journals = lines.map(withoutColour).filter { $0.hasPrefix("journal  1,043") }
            #expect(journals.count == 1)
        }
    }

    @Test func aNumberIsShownWholeOrNotAtAll() {
        let table = DeviceListing(cannedStatus().devices, now: cannedNow).table
        let whole = Set(table.lines(width: nil, paint: plain).flatMap { $0.split(separator: " ").map(String.init) })
        for width in 20...120 {
            // Below the two devices it may say how many columns do not fit.
            for word in table.lines(width: width, paint: plain).prefix(3).flatMap({ $0.split(separator: " ").map(String.init) }) {
                #expect(whole.contains(word) || word.first?.isLetter == true)
            }
        }
    }

    @Test func colourAddsNothingButColour() {
        let screen = StatusScreen(cannedStatus(), now: cannedNow)
        let coloured = screen.lines(width: 90, paint: Paint(coloured: true))
        #expect(coloured[0] == "health   \u{1B}[33mdegraded\u{1B}[0m, 1 problem")
        #expect(coloured.map(withoutColour) == screen.lines(width: 90, paint: plain))
    }

    @Test func readingsShowExactDigitsAndWhatIsWrong() {
        let lines = ReadingListing(cannedReadings()).table.lines(width: nil, paint: plain)
        #expect(
            lines.joined(separator: "\n") == """
                DEVICE  QUANTITY                         VALUE  UNIT    AGE  QUALITY
                main    energy_active_import  9007199254740993  Wh    1 min  good
                main    power_active                      30.2  W       1 s  good
                main    voltage_l2                           -  V       1 s  NO_COMM
                main    serial_number                SDM "630"          1 s  good
                """)
    }

    @Test func onlyWhatIsNewIsNews() {
        let first = cannedReadings()
        var second = first
        second.readings[0].points[1] = point("power_active", .number(ExactDecimal(31)), secondsAgo: 0)
        #expect(ReadingListing(first).news(since: nil).count == 4)
        #expect(ReadingListing(first).news(since: first).isEmpty)
        #expect(ReadingListing(second).news(since: first) == ["2026-11-24T06:00:00.000Z main power_active 31 W good"])
        #expect(ReadingListing(first).news(since: nil)[2] == "2026-11-24T05:59:59.000Z main voltage_l2 - V NO_COMM")
    }

    @Test func aStuckOutputSaysWhy() {
        var output = cannedOutput()
        output.state = .blocked
        output.lastError = "401 Unauthorized; renew the token in token_file"
        let lines = OutputListing([output], now: cannedNow).lines(width: nil, paint: plain)
        #expect(lines.last == "park: 401 Unauthorized; renew the token in token_file")
    }

    @Test func escapeSequencesFromFarAwayDoNotReachTheTerminal() {
        var report = cannedStatus()
        report.gateway = "gw\u{1B}]0;x\u{7}"
        report.problems[0].text = "401 \u{1B}[2J\u{9B}2J\r\nnghỉ"
        report.devices[0].name = "\u{1B}[31mmain"
        report.outputs[0].lastError = "\u{1B}c"
        var readings = cannedReadings()
        readings.readings[0].points[3] = point("serial_number", .text("a\u{1B}[1mb\n"))
        let lines =
            StatusScreen(report, now: cannedNow).lines(width: 60, paint: plain)
            + OutputListing(report.outputs, now: cannedNow).lines(width: nil, paint: plain)
            + ReadingListing(readings).table.lines(width: nil, paint: plain) + ReadingListing(readings).news(since: nil)
        for line in lines {
            #expect(!line.unicodeScalars.contains { $0.properties.generalCategory == .control }, "\(line.debugDescription)")
        }
        #expect(lines.contains { $0.contains("nghỉ") })
        #expect(lines.contains { $0.hasSuffix("serial_number a?[1mb? - good") })
    }

    @Test func aRedrawnScreenFitsAndSaysWhatItLeavesOut() {
        let text = Screen.redraw((1...10).map { "line \($0)" }, height: 5)
        let lines = ["line 1", "line 2", "line 3", "and 7 more lines: make the terminal taller, or name a device"]
        #expect(text == "\u{1B}[H" + lines.map { $0 + "\u{1B}[K\n" }.joined() + "\u{1B}[J")
    }

    @Test func figuresAreReadable() {
        let spans: [(Int64, String)] = [
            (-5, "0 s"), (0, "0 s"), (59, "59 s"), (60, "1 min"), (3599, "59 min"), (3600, "1 h"), (7500, "2 h 5 min"), (86_400, "1 d"),
            (273_600, "3 d 4 h"),
        ]
        for (seconds, text) in spans { #expect(Humanize.span(.seconds(seconds)) == text) }
        #expect(Humanize.age(of: nil, at: cannedNow) == "never")
        for (number, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (-1_234_567, "-1,234,567")] {
            #expect(Humanize.count(number) == text)
        }
        let sizes = [
            (0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (1536, "1.5 KiB"), (1_048_575, "1.0 MiB"), (1_073_741_824, "1.0 GiB"),
            (5_497_558_138_880, "5120.0 GiB"),
        ]
        for (bytes, text) in sizes { #expect(Humanize.bytes(bytes) == text) }
        for (share, text) in [(0, "0 %"), (0.001, "<1 %"), (0.414, "41 %"), (1, "100 %"), (.nan, "-")] {
            #expect(Humanize.percent(share) == text)
        }
    }

    @Test func aVerdictCountsOrLists() {
        #expect(
            ConfigurationVerdict(file: "m.toml", buses: 1, devices: 2, outputs: 1).summary == "m.toml: valid; 1 bus, 2 devices, 1 output")
        #expect(
            ConfigurationVerdict(file: "m.toml", buses: 1, devices: 2, outputs: 1).lines(width: 40, paint: plain)
                == ["m.toml: valid; 1 bus, 2 devices, 1", "  output"])
        let bad = ConfigurationVerdict(file: "m.toml", problems: ["m.toml:1:1: prot: unknown key; did you mean \"port\"?"])
        #expect(
            String(decoding: bad.json, as: UTF8.self)
                == #"{"valid":false,"file":"m.toml","problems":["m.toml:1:1: prot: unknown key; did you mean \"port\"?"],"buses":[],"warnings":[]}"#
        )
    }

    private func withoutColour(_ line: String) -> String {
        var text = ""
        var inside = false
        for character in line {
            if character == "\u{1B}" { inside = true }
            if !inside { text.append(character) }
            if character == "m" { inside = false }
        }
        return text
    }
}
