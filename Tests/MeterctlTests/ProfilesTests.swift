import FoundationEssentials
import TestSupport
import Testing

/// `meterctl profiles`, run as people run it.
@Suite(.timeLimit(.minutes(10))) struct ProfilesTests {
    private static let shipped = Products.repository + "/profiles"

    private func profiles(_ arguments: String...) async throws -> MeterctlRun { try await meterctl(["profiles"] + arguments) }

    @Test func everyShippedProfileIsListedAndPassesItsOwnTest() async throws {
        let list = try await profiles("list", "-q", "--path", Self.shipped)
        let names = list.output.split(separator: "\n").map(String.init)
        #expect(list.status == 0 && names.count > 75 && names.contains("sunspec"))
        let table = try await profiles("list", "--path", Self.shipped)
        #expect(table.output.hasPrefix("PROFILE ") && table.output.contains("found by asking the device"))
        let test = try await profiles("test", "eastron-sdm630", "--path", Self.shipped)
        #expect(test.status == 0 && test.output.contains("voltage_l1") && !test.output.contains("wrong"))
        let json = try await profiles("test", "eastron-sdm630", "--json", "--path", Self.shipped)
        #expect(json.output.contains("\"passed\":true"))
    }

    @Test func aProfileIsShownAsATableAndAsItsFile() async throws {
        let table = try await profiles("show", "eastron-sdm630", "--path", Self.shipped)
        #expect(table.status == 0 && table.output.hasPrefix("eastron-sdm630, version "))
        #expect(["ADDRESS", "ORDER", "QUANTITY", "voltage_l1"].allSatisfy(table.output.contains))
        let file = try await profiles("show", "eastron-sdm630", "--toml", "--path", Self.shipped)
        #expect(try file.output == String(contentsOfFile: Self.shipped + "/eastron-sdm630.toml", encoding: .utf8))
        let json = try await profiles("show", "eastron-sdm630", "--json", "--path", Self.shipped)
        #expect(json.output.hasPrefix("{\"profile\":\"eastron-sdm630\""))
    }

    @Test func whatIsWrongEndsWithItsStatusAndItsReason() async throws {
        let folder = try TemporaryFolder.make("profiles")
        defer { TemporaryFolder.remove(folder) }
        let missing = try await profiles("show", "eastron-smd630", "--path", Self.shipped)
        #expect(missing.status == 1 && missing.error.contains("did you mean \"eastron-sdm630\"?"))
        let good = try String(contentsOfFile: Self.shipped + "/eastron-sdm72.toml", encoding: .utf8)
        try TextFile.write(good.replacing("address = 52", with: "address = 70000"), to: folder + "/eastron-sdm72.toml")
        let faulty = try await profiles("test", "eastron-sdm72", "--path", folder)
        #expect(
            faulty.status == 65 && faulty.error.contains("eastron-sdm72.toml:") && faulty.error.contains("70000 is outside 0 ... 65535"))
        let list = try await profiles("list", "--path", folder, "--path", Self.shipped)
        #expect(list.status == 65 && list.error.contains("takes the place of \(Self.shipped)/eastron-sdm72.toml"))
        try TextFile.write(good.replacing("\nvalue = ", with: "\nvalue = 9"), to: folder + "/eastron-sdm72.toml")
        let wrong = try await profiles("test", "eastron-sdm72", "--path", folder)
        #expect(wrong.status == 1 && wrong.output.contains("wrong") && wrong.error.contains("decoded wrongly"))
        #expect(try await profiles("test").status == 64)
        #expect(try await profiles("show", "sunspec", "--path", Self.shipped).error.contains("a device is asked for it"))
        let away = try await meterctl(["profiles", "test", "--device", "main", "--socket", folder + "/none.sock"])
        #expect(away.status == 69)
    }
}
