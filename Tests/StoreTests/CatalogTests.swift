import Evidence
import Host
import Logging
import Metering
import Testing

@testable import Store

/// What decodes a poll is what was kept for it, or nothing.
struct CatalogTests {
    private static let profile = """
        profile = "one"
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

        [[point]]
        quantity = "voltage_l2"
        address = 1
        unit = "V"
        """
    private static let entry = CatalogEntry(device: "main", unit: 1, role: .grid, profile: "one", profileText: profile)

    private func lines(_ store: Store) async throws -> (text: String, undecodable: Int) {
        var bytes: [UInt8] = []
        let result = try await JournalExport(format: .jsonLines).run(on: store) { bytes += $0 }
        return (String(decoding: bytes, as: UTF8.self), result.undecodable)
    }

    /// One bit of any column: the address of another phase, another device, another sign.
    @Test(
        arguments: [
            "profile_text = replace(profile_text, 'address = 0', 'address = 1')", "profile_text = replace(profile_text, '[[', '[{')",
            "device = 'main2'", "unit = 3", "unit = 257", "role = 'load'", "role = 'gril'", "invert = 1", "profile = 'one2'",
        ])
    func aDamagedRowDecodesNothingUntilItIsWrittenAnew(_ damage: String) async throws {
        let directory = TemporaryDirectory(fleeting: ())
        let log = LogKeeper()
        let store = try await Store.open(
            directory: directory.path, outputs: ["park"], time: ManualTime(), limits: StoreLimits(ballastBytes: 0),
            logger: Logger(label: "test") { _ in log })
        let id = try await store.adopt(CatalogTests.entry)
        _ = try await store.commit(polls(1...3).map { CountedPoll(poll: poll(230, entry: id.rawValue), readings: $0.readings) })
        let whole = try await lines(store)
        #expect(whole.text.contains("\"voltage_l1\":0,\"voltage_l2\":230") && whole.undecodable == 0)

        try await store.setForTest("UPDATE catalog SET \(damage)")
        for _ in 1...2 {
            #expect(try await store.entry(id) == nil)
            #expect(try await lines(store) == ("", 3))
        }
        #expect(log.count(of: "a catalog row is damaged") <= 1)
        #expect(try await store.adopt(CatalogTests.entry) == id)
        #expect(try await store.entry(id) == CatalogTests.entry)
        #expect(try await lines(store) == whole)
        #expect(log.count(of: "a damaged catalog row was written anew") == 1)
        #expect(try await store.adopt(CatalogTests.entry) == id)
        #expect(log.count(of: "a damaged catalog row was written anew") == 1, "it is whole")
        await store.close()
    }

    @Test func damageThatNobodyCanMendIsLoggedOnce() async throws {
        let log = LogKeeper()
        let store = try await Store.open(
            directory: TemporaryDirectory().path, outputs: [], time: ManualTime(), limits: StoreLimits(ballastBytes: 0),
            logger: Logger(label: "test") { _ in log })
        let id = try await store.adopt(CatalogTests.entry)
        try await store.setForTest("UPDATE catalog SET profile_text = replace(profile_text, 'address = 0', 'address = 1')")
        for _ in 1...3 { #expect(try await store.entry(id) == nil) }
        #expect(log.count(of: "a catalog row is damaged") == 1)
        await store.close()
    }

    /// The index has it too.
    @Test func aFlippedBitInTheFingerprintCostsNothing() async throws {
        let directory = TemporaryDirectory()
        let store = try await Store.open(directory)
        let id = try await store.adopt(CatalogTests.entry)
        try await store.copyTheLog()
        await store.close()
        var bytes = try directory.bytes(of: "journal.db")
        let row = Fingerprint(of: CatalogTests.entry.canonicalText.utf8).bytes + Array("main".utf8)
        let place = try #require(bytes.indices.first { bytes[$0...].starts(with: row) })
        bytes[place] ^= 1
        try directory.write(bytes, to: "journal.db")
        let again = try await Store.open(directory)
        #expect(await again.openReport.quarantined == nil)
        #expect(try await again.entry(id) == CatalogTests.entry)
        #expect(try await again.adopt(CatalogTests.entry) == id)
        await again.close()
    }
}

private final class LogKeeper: LogHandler, Sendable {
    private let kept = Lock<[String]>([])
    var metadata: Logger.Metadata {
        get { [:] }
        set {}
    }
    var logLevel: Logger.Level {
        get { .trace }
        set {}
    }
    subscript(metadataKey _: String) -> Logger.Metadata.Value? {
        get { nil }
        set {}
    }

    func log(event: LogEvent) { kept.withLock { $0.append("\(event.message)") } }

    func count(of beginning: String) -> Int { kept.withLock { $0.count { $0.hasPrefix(beginning) } } }
}
