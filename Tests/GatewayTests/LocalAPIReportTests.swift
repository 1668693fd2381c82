import FoundationEssentials
import Gateway
import Metering
import Testing

/// The JSON of the local API is a contract: these are its bytes.
@Suite struct LocalAPIReportTests {
    @Test func statusIsWrittenAsTheContractSays() {
        let text = String(decoding: cannedStatus().json, as: UTF8.self)
        #expect(
            text == """
                {"version":"1.0.0","gateway":"gw-017","journal_id":"0b5c","started":"2026-11-23T05:00:00.000Z","uptime_s":90000,\
                "health":"degraded","problems":[{"code":"device_offline","subject":"hall-2","since":"2026-11-24T05:48:00.000Z",\
                "text":"unit 2 on line-1 does not answer; check its power, its address and the wiring A/B"}],\
                "clock":{"synchronized":true,"max_error_ms":12,"source":"kernel"},\
                "buses":[{"name":"line-1","state":"up","utilization":0.4124,"requests":12345,"timeouts":7,"errors":0}],\
                "devices":[{"name":"main","bus":"line-1","unit":1,"profile":"eastron-sdm630","state":"online",\
                "last_poll":"2026-11-24T05:59:59.000Z","polls_ok":89990,"polls_failed":0,"polls_skipped":3},\
                {"name":"hall-2","bus":"line-1","unit":2,"profile":"schneider-iem3155","state":"offline","last_poll":null,\
                "polls_ok":0,"polls_failed":15,"polls_skipped":0}],\
                "journal":{"first_seq":1,"last_seq":1043,"polls":1043,"readings":41720,"bytes":1048576,"lost_polls":0,\
                "lost_readings":0,\
                "lost_from":null,"lost_until":null,"restored_from":null,"restored_at":null},\
                "outputs":[{"name":"park","type":"http","state":"delivering","cursor":1040,"backlog_polls":3,"accepted_polls":1040,\
                "rejected_polls":0,"dead_letters":0,"last_success":"2026-11-24T05:59:56.000Z","last_error":null,\
                "dead_letters_dropped":0,"paused_by_operator":false,"filtered_polls":0,"live_cursor":1040,"historical_polls":0}]}
                """)
    }

    @Test func aShareHasFourPlacesAndStaysBetweenNoneAndAll() {
        for (share, text) in [(0.41236, "0.4124"), (1.0001, "1"), (-0.1, "0"), (.nan, "0"), (0.00001, "0")] {
            let bus = BusReport(name: "b", state: .up, utilization: share, requests: 0, timeouts: 0, errors: 0)
            #expect(String(decoding: bus.json, as: UTF8.self).contains(#""utilization":\#(text),"#))
        }
    }

    @Test func readingsAreWrittenAsTheContractSays() {
        let text = String(decoding: cannedReadings().json, as: UTF8.self)
        #expect(
            text == """
                {"gateway":"gw-017","time":"2026-11-24T06:00:00.000Z","readings":[{"device":"main","role":"grid",\
                "last_poll":"2026-11-24T05:59:59.000Z","points":[\
                {"quantity":"energy_active_import","value":9007199254740993,"unit":"Wh","time":"2026-11-24T05:59:00.000Z","clock":"S",\
                "quality":0,"quality_names":[]},\
                {"quantity":"power_active","value":30.2,"unit":"W","time":"2026-11-24T05:59:59.000Z","clock":"S","quality":0,\
                "quality_names":[]},\
                {"quantity":"voltage_l2","value":null,"unit":"V","time":"2026-11-24T05:59:59.000Z","clock":"S","quality":1,\
                "quality_names":["NO_COMM"]},\
                {"quantity":"serial_number","value":"SDM \\"630\\"","unit":"","time":"2026-11-24T05:59:59.000Z","clock":"U","quality":0,\
                "quality_names":[]}]},\
                {"device":"hall-2","role":"load","last_poll":null,"points":[]}]}
                """)
    }

    @Test func whatIsWrittenReadsBackTheSame() throws {
        #expect(try read(StatusReport.self, cannedStatus()) == cannedStatus())
        #expect(try read(ReadingsReport.self, cannedReadings()) == cannedReadings())
        let devices = DevicesReport(devices: cannedDevices())
        #expect(try read(DevicesReport.self, devices) == devices)
        var stuck = cannedOutput()
        stuck.lastSuccess = nil
        stuck.lastError = "401 \u{7} tab\t\\ \"Unauthorized\"\nnghỉ"
        let outputs = OutputsReport(outputs: [stuck])
        #expect(try read(OutputsReport.self, outputs) == outputs)
        let error = APIErrorReport(code: "unknown_device", text: "none")
        #expect(try read(APIErrorReport.self, error) == error)
    }

    // Int64.max; more than a Double's 53 bits on either side of the point; far exponents; a float32's shortest form.
    @Test(arguments: [
        "9223372036854775807", "-9007199254740993", "9007199254740.993", "0.1", "30.2", "-0.001", "0", "5e30", "123456789012e-40",
        "398.1", "1e-7",
    ])
    func everyDigitOfANumberSurvives(_ text: String) throws {
        let number = try #require(ExactDecimal(text))
        let report = ReadingsReport(
            gateway: "g", time: cannedNow,
            readings: [DeviceReadings(device: "d", role: .pv, lastPoll: nil, points: [point("power_active", .number(number))])])
        #expect(try read(ReadingsReport.self, report).readings[0].points[0].value == .number(number))
    }

    @Test func fieldsThatAreAddedLaterDoNotDisturb() throws {
        let text = #"{"error":{"code":"a","text":"b","new":1},"more":[]}"#
        #expect(try JSONDecoder().decode(APIErrorReport.self, from: Data(text.utf8)) == APIErrorReport(code: "a", text: "b"))
    }

    @Test(arguments: [0, 1_700_000_000_123, 951_782_399_999, 951_868_800_000, -1, 253_402_300_799_999, -62_135_596_800_000] as [Int64])
    func timesReadBackToTheMillisecond(_ milliseconds: Int64) {
        let time = Timestamp(milliseconds: milliseconds)
        #expect(Timestamp(rfc3339: time.rfc3339) == time)
    }

    @Test(arguments: [
        "2026-02-29T00:00:00.000Z", "2026-13-01T00:00:00.000Z", "2026-11-24T06:00:00Z", "2026-11-24T06:00:00.000+00:00",
        "2026-11-24T24:00:00.000Z", "2026-11-24 06:00:00.000Z", "2026-11-31T06:00:00.000Z", "+026-11-24T06:00:00.000Z", "",
    ])
    func whatIsNoTimeIsRefused(_ text: String) {
        #expect(Timestamp(rfc3339: text) == nil)
    }

    private func read<Report: Decodable & JSONValue>(_ type: Report.Type, _ report: Report) throws -> Report {
        try JSONDecoder().decode(type, from: Data(report.json))
    }
}
