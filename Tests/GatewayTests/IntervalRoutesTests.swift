import Gateway
import Host
import Metering
import Store
import TestSupport
import Testing

/// Quarter hours from a real journal, through the real API, to the real meterctl.
@Suite(.timeLimit(.minutes(10))) struct IntervalRoutesTests {
    private struct FixedTime: TimeSource {
        var now: Timestamp
        func uptime() -> Uptime { Uptime(nanoseconds: 1_000_000_000_000) }
        func wall() -> Timestamp { now }
        func clockState() -> ClockState { ClockState(quality: .synchronized, maxErrorMilliseconds: 1) }
        func sleep(until deadline: Uptime) async throws {}
    }

    private static let profile = """
        profile = "meter"
        version = 1
        vendor = "Test"
        models = ["T"]
        source = "made up for these tests"
        [defaults]
        table = "input"
        [[point]]
        quantity = "energy_active_import"
        type = "uint32"
        address = 0
        unit = "Wh"
        scale = 0.1
        [[point]]
        quantity = "power_active"
        type = "int16"
        address = 2
        unit = "W"
        [[point]]
        quantity = "device_serial"
        type = "uint32"
        address = 10
        class = "once"
        """

    private static func entry(_ device: String) -> CatalogEntry {
        CatalogEntry(device: device, unit: 1, role: .grid, profile: "meter", profileText: profile)
    }

    private static func poll(_ entry: CatalogID, minute: Int, tenths: Int?, power: UInt16, serial: UInt16? = nil) -> CountedPoll {
        var answers = [BlockAnswer(block: Block(.input, 0, count: 3), outcome: .fault(.timeout))]
        if let tenths { answers[0].outcome = .words([UInt16(tenths >> 16), UInt16(tenths & 0xFFFF), power]) }
        if let serial { answers.append(BlockAnswer(block: Block(.input, 10, count: 2), outcome: .words([0, serial]))) }
        let poll = Poll(
            entry: entry, time: cannedNow.advanced(by: .seconds(minute * 60)),
            uptime: Uptime(nanoseconds: Int64(minute + 10_000) * 60_000_000_000), clock: .synchronized, answers: answers)
        return CountedPoll(poll: poll, readings: 3)
    }

    /// From 06:00 on a poll a minute. `main` uses 10.1 Wh a minute, falls to 0 once, and is another meter from 07:10 on, after ten minutes
    /// of silence; `hall` was never heard.
    private func withPlant(_ body: @escaping @Sendable (String) async throws -> Void) async throws {
        let directory = try TemporaryFolder.make("intervals")
        defer { TemporaryFolder.remove(directory) }
        let time = FixedTime(now: cannedNow.advanced(by: .seconds(5520)))
        let store = try await Store.open(directory: directory, outputs: [], time: time, logger: quietLogger)
        let entries = ["main", "hall"].map(IntervalRoutesTests.entry)
        let main = try await store.adopt(entries)[0]
        for minute in 0...92 {
            let tenths: Int?
            switch minute {
            case 30: tenths = 0
            case 60..<70: tenths = nil
            case 70...: tenths = 5000 + (minute - 70) * 101
            default: tenths = 1_000_000 + minute * 101
            }
            let serial: UInt16? = minute == 0 ? 111 : minute == 70 ? 222 : nil
            let poll = IntervalRoutesTests.poll(main, minute: minute, tenths: tenths, power: UInt16(600 + minute % 2), serial: serial)
            _ = try await store.commit([poll])
        }
        let desk = IntervalDesk(store: store, time: time) { (entries.map(\.device), entries) }
        try await withServer(intervals: desk, body)
        await store.close()
    }

    @Test func aTableNamesWhatEachQuarterHourUsed() async throws {
        try await withPlant { socket in
            let run = try await runToEnd(
                "meterctl", ["intervals", "main", "--from", "2026-11-24T06:00:00Z", "--to", "2026-11-24T09:00:00Z", "--socket", socket])
            #expect(run.exit == .code(0) && run.errors.isEmpty, "\(run.errors)")
            #expect(
                run.output == """
                    START              DEVICE  QUANTITY               USED  UNIT   COUNTER   READ  QUALITY                      EVENTS
                    2026-11-24T06:00Z  main    energy_active_import  151.5  Wh    100151.5  15/15  good
                    2026-11-24T06:15Z  main    energy_active_import  141.4  Wh    100292.9  15/15  LATE_READ
                    2026-11-24T06:30Z  main    energy_active_import  161.6  Wh    100454.5  15/15  LATE_READ                    glitch
                    2026-11-24T06:45Z  main    energy_active_import  141.4  Wh    100595.9  15/15  LATE_READ
                    2026-11-24T07:00Z  main    energy_active_import   50.5  Wh       550.5   5/15  LATE_READ,PARTIAL,REG_BREAK  gap, device_exchanged, device_exchanged
                    2026-11-24T07:15Z  main    energy_active_import  151.5  Wh         702  15/15  good
                    2026-11-24T07:30Z  main    energy_active_import   20.2  Wh       722.2    3/2  PARTIAL                      running

                    """)
        }
    }

    @Test func csvAndJSONAreGolden() async throws {
        try await withPlant { socket in
            let csv = try await exchange(
                socket, "/v1/intervals?device=main&format=csv&from=2026-11-24T07:00:00.000Z&until=2026-11-24T07:15:00.000Z")
            #expect(csv.status == 200 && csv.head.contains("text/csv"))
            let rows = [
                IntervalText.columns.joined(separator: ","),
                "2026-11-24T07:00:00.000Z,2026-11-24T07:15:00.000Z,main,0,energy_active_import,Wh,50.5,100595.9,550.5,"
                    + "2026-11-24T06:59:00.000Z,2026-11-24T07:15:00.000Z,,,,5,15,2240,S,true,gap device_exchanged device_exchanged",
                "2026-11-24T07:00:00.000Z,2026-11-24T07:15:00.000Z,main,0,power_active,W,,,,,,600,600.4,601,5,15,128,S,true,"
                    + "gap device_exchanged",
            ]
            for row in rows { #expect(csv.body.contains(row + "\n"), "\(csv.body)") }
            let json = try await exchange(
                socket, "/v1/intervals?device=main&from=2026-11-24T07:00:00.000Z&until=2026-11-24T07:15:00.000Z")
            let golden =
                #"{"device":"main","start":"2026-11-24T07:00:00.000Z","end":"2026-11-24T07:15:00.000Z","segment":0,"complete":true,"#
                + #""serial":"222","clock":"S","polls":5,"failed_polls":10,"quality":2240,"#
                + #""quality_names":["LATE_READ","PARTIAL","REG_BREAK"],"counters":[{"quantity":"energy_active_import","unit":"Wh","#
                + #""advance":50.5,"open":100595.9,"open_time":"2026-11-24T06:59:00.000Z","open_way":"late","close":550.5,"#
                + #""close_time":"2026-11-24T07:15:00.000Z","close_way":"read","samples":5,"expected":15,"quality":2240,"#
                + #""quality_names":["LATE_READ","PARTIAL","REG_BREAK"]}],"gauges":[{"quantity":"power_active","unit":"W","min":600,"#
                + #""mean":600.4,"max":601,"samples":5,"expected":15,"quality":128,"quality_names":["PARTIAL"]}],"events":["#
                + #"{"kind":"gap","time":"2026-11-24T07:10:00.000Z","quantity":null,"before":null,"after":null,"#
                + #""since":"2026-11-24T06:59:00.000Z","step_ms":null},{"kind":"device_exchanged","time":"2026-11-24T07:10:00.000Z","#
                + #""quantity":null,"before":"111","after":"222","since":"2026-11-24T06:00:00.000Z","step_ms":null},{"kind":"device_exchanged","#
                + #""time":"2026-11-24T07:10:00.000Z","quantity":"energy_active_import","before":100595.9,"after":500,"#
                + #""since":"2026-11-24T06:59:00.000Z","step_ms":null}],"events_dropped":0}"#
            #expect(json.body.contains(golden + "\n"), "\(json.body)")
        }
    }

    @Test func aDeviceThatWasNeverHeardHasItsIntervalsToo() async throws {
        try await withPlant { socket in
            let run = try await runToEnd("meterctl", ["intervals", "hall", "--csv", "--socket", socket])
            let rows = run.output.split(separator: "\n").filter { $0.contains("energy_active_import") }
            #expect(rows.count == 7 && rows.allSatisfy { $0.contains(",hall,0,energy_active_import,Wh,,,,,,,,,0,,") }, "\(run.output)")
            #expect(rows.dropLast().allSatisfy { $0.hasSuffix(",1,,true,") })
        }
    }

    @Test func whatIsAskedWronglyIsNamed() async throws {
        try await withPlant { socket in
            func answer(_ target: String, method: String = "GET") async throws -> String {
                let answer = try await exchange(socket, target, method: method)
                return "\(answer.status) \(answer.body)"
            }
            #expect(try await answer("/v1/intervals?device=mian").hasPrefix("404 {\"error\":{\"code\":\"unknown_device\""))
            #expect(try await answer("/v1/intervals?device=mian").contains("did you mean \\\"main\\\"?"))
            #expect(try await answer("/v1/intervals?form=csv").hasPrefix("400 {\"error\":{\"code\":\"unknown_parameter\""))
            #expect(try await answer("/v1/intervals?from=yesterday").hasPrefix("400 {\"error\":{\"code\":\"bad_parameter\""))
            #expect(
                try await answer("/v1/intervals?from=2026-11-24T07:00:00.000Z&until=2026-11-24T07:00:00.000Z")
                    .hasPrefix("400 {\"error\":{\"code\":\"bad_parameter\""))
            #expect(try await answer("/v1/intervals", method: "POST").hasPrefix("405 "))
            for wrong in [["--last", "soon"], ["--last", "1h", "--from", "2026-11-24"], ["--json", "--csv"], ["--to", "noon"]] {
                let run = try await runToEnd("meterctl", ["intervals"] + wrong + ["--socket", socket])
                #expect(run.exit == .code(64), "\(wrong)")
            }
        }
    }
}
