import Gateway
import Testing

/// Tables as a pipe gets them; `LocalAPIConsoleTests` has those of the status, devices, outputs and readings.
@Suite struct TableTests {
    private let plain = Paint(coloured: false)

    @Test func deadLettersAreARowEach() {
        let letters = [
            DeadLetterReport(
                seq: 1042, rejected: cannedNow.advanced(by: .seconds(-90)), reason: "unknown device", replaying: false, device: "main",
                time: cannedNow.advanced(by: .seconds(-100))),
            DeadLetterReport(
                seq: 1043, rejected: cannedNow.advanced(by: .seconds(-5)), reason: "out of range", replaying: true, device: nil, time: nil),
        ]
        let lines = DeadLetterListing(letters, now: cannedNow).table.lines(width: nil, paint: plain)
        #expect(
            lines.joined(separator: "\n") == """
                 SEQ  DEVICE  READ                       REJECTED  AGAIN  REASON
                1042  main    2026-11-24T05:58:20.000Z  1 min ago  -      unknown device
                1043  -       -                           5 s ago  yes    out of range
                """)
        #expect(DeadLetterListing(letters, now: cannedNow).table.lines(width: 60, paint: plain).allSatisfy { $0.count <= 60 })
    }

    /// A telephone's terminal, or half of a screen: of names their ends are left, of numbers every digit.
    @Test func fortyColumnsShowTheValueOfEachReading() {
        var readings = cannedReadings()
        readings.readings[0].points.append(point("device_model", .text("Sunny Tripower 25000TL-30")))
        #expect(
            ReadingListing(readings).table.lines(width: 40, paint: plain).joined(separator: "\n") == """
                DEVICE  QUANTITY                   VALUE
                main    energy…_import  9007199254740993
                main    power_active                30.2
                main    voltage_l2                     -
                main    serial_number          SDM "630"
                main    device_model    Sunny Tripower …
                3 columns do not fit; --json has all
                """)
        readings.readings[0].device = "press-shop-meter-12"
        #expect(
            ReadingListing(readings).table.lines(width: 40, paint: plain).prefix(3).joined(separator: "\n") == """
                DEVICE      QUANTITY               VALUE
                pres…er-12  ener…mport  9007199254740993
                pres…er-12  powe…ctive              30.2
                """)
    }

    @Test func fortyColumnsShowTheStateOfEachPart() {
        let lines = StatusScreen(cannedStatus(), now: cannedNow).lines(width: 40, paint: plain)
        #expect(
            lines.suffix(12).joined(separator: "\n") == """
                BUS     STATE  BUSY  REQUESTS  TIMEOUTS
                line-1  up     41 %    12,345         7
                1 column does not fit; --json has all

                DEVICE  STATE    BUS     UNIT
                main    online   line-1     1
                hall-2  offline  line-1     2
                5 columns do not fit; --json has all

                OUTPUT  TYPE  STATE       BACKLOG
                park    http  delivering        3
                4 columns do not fit; --json has all
                """)
        #expect(lines.allSatisfy { $0.count <= 40 })
    }

    @Test func fortyColumnsShowWhatWasUsedAndWhy() {
        let values = [
            "start": "2026-11-24T06:00:00.000Z", "device": "main", "quantity": "energy_active_import", "advance": "151.5", "unit": "Wh",
            "close": "100151.5", "samples": "15", "expected": "15", "quality": "0", "complete": "true",
        ]
        let row = IntervalText.columns.map { values[$0] ?? "" }
        var intervals = IntervalTable()
        intervals.add(Array("\(IntervalText.columns.joined(separator: ","))\n\(row.joined(separator: ","))\n".utf8))
        #expect(
            intervals.take(atEnd: true)?.lines(width: 40, paint: plain).joined(separator: "\n") == """
                START              QUANTITY         USED
                2026-11-24T06:00Z  energy…_import  151.5
                6 columns do not fit; --json has all
                """)
        let letter = DeadLetterReport(
            seq: 1042, rejected: cannedNow, reason: "unknown device: nobody has told of it", replaying: false, device: "main",
            time: cannedNow)
        #expect(
            DeadLetterListing([letter], now: cannedNow).table.lines(width: 40, paint: plain).joined(separator: "\n") == """
                 SEQ  DEVICE  REASON
                1042  main    unknown device: nobody ha…
                3 columns do not fit; --json has all
                """)
    }

    @Test func theJournalTellsWhatIsKeptAndEachLoss() {
        let kept = JournalDetailReport(
            journalID: "0b5c", journal: cannedJournal(), firstTime: cannedNow.advanced(by: .seconds(-3600)), lastTime: cannedNow, losses: []
        )
        #expect(
            JournalListing(kept).lines(width: nil, paint: plain).joined(separator: "\n") == """
                journal  0b5c
                kept     1,043 polls, 41,720 readings, 1.0 MiB
                seq      1 to 1043
                read     2026-11-24T05:00:00.000Z to 2026-11-24T06:00:00.000Z
                lost     nothing
                """)
        var restored = kept
        restored.journal.restoredFrom = "2f6e"
        restored.journal.restoredAt = cannedNow
        #expect(
            JournalListing(restored).lines(width: nil, paint: plain).suffix(2) == [
                "restored from a backup on 2026-11-24T06:00:00.000Z, when the id changed from 2f6e", "lost     nothing",
            ])
        var losing = kept
        losing.journal.lostPolls = 2
        losing.journal.lostReadings = 4
        losing.losses = [
            LossReport(
                cause: "not_committed", firstSeq: nil, lastSeq: nil, polls: 2, readings: 4, firstTime: cannedNow, lastTime: cannedNow)
        ]
        #expect(
            JournalListing(losing).lines(width: nil, paint: plain).suffix(4).joined(separator: "\n") == """
                lost     2 polls, 4 readings

                CAUSE          SEQ  POLLS  READINGS  FROM                      TO
                not_committed  -        2         4  2026-11-24T06:00:00.000Z  2026-11-24T06:00:00.000Z
                """)
    }

    @Test func aReloadTellsWhatItDid() {
        let report = ReloadReport(
            buses: ReloadChange(kept: ["line"], stopped: ["hall-2", "roof"], started: ["hall-2", "new"]),
            outputs: ReloadChange(kept: ["park", "cloud"], stopped: [], started: []))
        #expect(
            ReloadVerdict(report).lines == [
                "the config is applied", "buses    1 kept, changed hall-2, added new, removed roof", "outputs  2 kept",
            ])
    }

    @Test func theDoctorsReportIsReadable() {
        let report = DoctorReport(checks: [
            .ok("clock", "synchronised, its error is at most 3 ms"),
            .failure("bus", about: "line-1", "/dev/ttyUSB0: No such file or directory", cure: "plug the adapter in"),
        ])
        #expect(
            report.lines(width: nil, paint: plain).joined(separator: "\n") == """
                ok       clock       synchronised, its error is at most 3 ms
                failure  bus line-1  /dev/ttyUSB0: No such file or directory
                                     → plug the adapter in

                1 failure
                """)
        #expect(
            report.lines(width: 40, paint: plain).joined(separator: "\n") == """
                ok       clock
                         synchronised, its error is at
                         most 3 ms
                failure  bus line-1
                         /dev/ttyUSB0: No such file or
                         directory
                         → plug the adapter in

                1 failure
                """)
    }

    @Test(arguments: [40, 50, 60, 80, 120]) func noLineOfTheDoctorIsWiderThanTheTerminal(_ width: Int) {
        let report = DoctorReport(checks: [
            .ok("clock", "synchronised, its error is at most 3 ms"),
            .warning(
                "output", about: "the-park-power-company-1", "nothing was accepted for a day, and 86,400 polls wait for it",
                cure: "see what the receiver says with: meterctl outputs the-park-power-company-1"),
        ])
        #expect(report.lines(width: width, paint: plain).allSatisfy { $0.count <= width })
    }
}
