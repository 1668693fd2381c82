import FoundationEssentials
import Host
import Metering
import Testing

@testable import Store

struct ExportTests {
    private static let profile = """
        profile = "two"
        version = 1
        vendor = "V"
        models = ["M"]
        source = "none"

        [defaults]
        table = "input"
        type = "uint16"
        order = "ABCD"
        class = "live"

        [[point]]
        quantity = "voltage_l1"
        address = 0
        unit = "V"
        scale = 0.1

        [[point]]
        quantity = "current_l1"
        address = 1
        unit = "A"
        absent = "sunspec"
        """

    /// Thirty polls a commit, devices in turn, one a second; the fifth one's device did not answer.
    private func filled(commits: Int = 4, time: ManualTime = ManualTime()) async throws -> Store {
        let store = try await Store.open(TemporaryDirectory(), time: time)
        let ids = try await store.adopt(
            ["main", "roof, \"east\""].map {
                CatalogEntry(device: $0, unit: 1, role: .load, profile: "two", profileText: ExportTests.profile)
            })
        for commit in 0..<commits {
            let polls = (commit * 30..<commit * 30 + 30).map { answered($0, by: ids[$0 % 2]) }
            _ = try await store.commit(polls)
        }
        return store
    }

    private func answered(_ number: Int, by entry: CatalogID) -> CountedPoll {
        let words: [UInt16] = [2300 + UInt16(number), number == 1 ? 0xffff : 7]
        let answer = BlockAnswer(block: Block(.input, 0, count: 2), outcome: number == 4 ? .fault(.timeout) : .words(words))
        let poll = Poll(
            entry: entry, time: Timestamp(milliseconds: 1_795_459_200_000 + Int64(number) * 1000),
            uptime: Uptime(nanoseconds: Int64(number) * 1_000_000_000), clock: .synchronized, answers: [answer])
        return CountedPoll(poll: poll, readings: 2)
    }

    private func text(_ export: JournalExport, _ store: Store) async throws -> (lines: [String], result: JournalExport.Progress) {
        var bytes: [UInt8] = []
        let result = try await export.run(on: store) { bytes += $0 }
        return (String(decoding: bytes, as: UTF8.self).split(separator: "\n").map(String.init), result)
    }

    @Test func theProfileOfTheseTestsIsOne() {
        #expect(throws: Never.self) { try Profile(toml: ExportTests.profile, file: "two.toml") }
    }

    @Test func csvHasARowForEveryReading() async throws {
        let store = try await filled()
        let (lines, result) = try await text(JournalExport(format: .csv), store)
        try #require(lines.count == 1 + 240)
        #expect(
            Array(lines[0...4]) == [
                "time,device,quantity,value,unit,quality,clock,seq",
                "2026-11-23T18:40:00.000Z,main,voltage_l1,230,V,0,S,1",
                "2026-11-23T18:40:00.000Z,main,current_l1,7,A,0,S,1",
                "2026-11-23T18:40:01.000Z,\"roof, \"\"east\"\"\",voltage_l1,230.1,V,0,S,2",
                "2026-11-23T18:40:01.000Z,\"roof, \"\"east\"\"\",current_l1,,A,4,S,2",
            ])
        #expect(lines[9] == "2026-11-23T18:40:04.000Z,main,voltage_l1,,V,1,S,5")
        #expect(result.polls == 120 && result.readings == 240 && result.undecodable == 0 && result.fraction == 1)
    }

    @Test func jsonLinesHaveALineForEveryPoll() async throws {
        let store = try await filled()
        let (lines, _) = try await text(JournalExport(format: .jsonLines), store)
        try #require(lines.count == 120)
        #expect(
            lines[1] == "{\"seq\":2,\"device\":\"roof, \\\"east\\\"\",\"time\":\"2026-11-23T18:40:01.000Z\",\"clock\":\"S\","
                + "\"values\":{\"voltage_l1\":230.1},\"quality\":{\"current_l1\":4}}")
        for line in lines { #expect(throws: Never.self) { try JSONDecoder().decode(Line.self, from: Data(line.utf8)) } }
    }

    private struct Line: Decodable {
        var seq: Int
        var values: [String: Double]
        var quality: [String: Int]?
    }

    @Test func timeAndDeviceNarrowIt() async throws {
        let store = try await filled()
        let start = Timestamp(milliseconds: 1_795_459_200_000)
        let export = JournalExport(
            format: .jsonLines, devices: ["main"], from: start.advanced(by: .seconds(40)), until: start.advanced(by: .seconds(100)))
        let (lines, result) = try await text(export, store)
        #expect(lines.count == 30 && result.polls == 30)
        #expect(lines.first?.hasPrefix("{\"seq\":41,") == true && lines.last?.hasPrefix("{\"seq\":99,") == true)
        let nothing = try await text(JournalExport(format: .csv, from: start.advanced(by: .seconds(9999))), store)
        #expect(nothing.lines.count == 1 && nothing.result.fraction == 1)
    }

    @Test func progressRisesToTheEnd() async throws {
        let store = try await filled(commits: 10)
        var seen: [Double] = []
        try await JournalExport(format: .csv).run(on: store, write: { _ in }, progress: { seen.append($0.fraction) })
        #expect(seen == seen.sorted() && seen.count >= 10 && seen.last == 1)
    }

    @Test func whatCannotBeDecodedIsCounted() async throws {
        let store = try await filled(commits: 1)
        _ = try await store.commit(polls(1...3).map { CountedPoll(poll: poll(1, entry: 99), readings: $0.readings) })
        let (lines, result) = try await text(JournalExport(format: .jsonLines), store)
        #expect(lines.count == 30 && result.undecodable == 3)
    }

    @Test func anEmptyJournalIsAnEmptyExport() async throws {
        let store = try await Store.open(TemporaryDirectory())
        let (lines, result) = try await text(JournalExport(format: .jsonLines), store)
        #expect(lines.isEmpty && result.fraction == 1)
    }
}
