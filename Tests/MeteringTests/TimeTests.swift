import FoundationEssentials
import Metering
import Testing

@Suite struct TimeTests {
    @Test(
        arguments: [
            (1_700_000_000_123, "2023-11-14T22:13:20.123Z"), (0, "1970-01-01T00:00:00.000Z"), (-1, "1969-12-31T23:59:59.999Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"), (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
        ] as [(Int64, String)])
    func noMillisecondIsLost(_ milliseconds: Int64, _ text: String) {
        #expect(Timestamp(milliseconds: milliseconds).rfc3339 == text)
    }

    @Test func everyDayOfFourCenturiesHasItsDate() {
        // Foundation's calendar is the independent witness.
        for day in stride(from: -1_000, to: 150_000, by: 7) {
            let time = Timestamp(milliseconds: Int64(day) * 86_400_000)
            let witness = Date(timeIntervalSince1970: Double(day) * 86_400).formatted(.iso8601)
            #expect(time.rfc3339.prefix(19) == witness.prefix(19))
        }
    }
}

@Suite struct SpellingTests {
    @Test func aTranspositionIsOneStep() {
        #expect(Spelling.nearest("prot", among: ["port", "host"]) == "port")
        #expect(Spelling.nearest("buad", among: ["baud", "bus"]) == "baud")
        #expect(Spelling.nearest("zzz", among: ["baud", "bus"]) == nil)
    }
}

@Suite struct MeasuresTests {
    @Test func durationsAndSizesAreReadAsWritten() {
        #expect(Measures.duration("500ms") == .milliseconds(500))
        #expect(Measures.duration("60d") == .seconds(60 * 86_400))
        #expect(Measures.size("2GiB") == 2 << 30)
        for bad in ["", "5", "s", "-5s", "5 s", "1.5s", "99999999999999999999s", "9223372036854775807d", "5S"] {
            #expect(Measures.duration(bad) == nil, "\(bad)")
        }
        for bad in ["", "5", "5MB", "-1B", "9223372036854775807GiB"] { #expect(Measures.size(bad) == nil, "\(bad)") }
        #expect(Measures.text(.seconds(90)) == "90s")
        #expect(Measures.text(.milliseconds(1500)) == "1500ms")
        #expect(Measures.duration("200us") == .microseconds(200))
        #expect(Measures.text(.microseconds(1200)) == "1200us")
    }
}
