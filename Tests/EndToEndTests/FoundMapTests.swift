import Gateway
import Simulators
import TestSupport
import Testing

/// `profile = "sunspec"`, with the real programs: nobody wrote down the inverter's map.
extension EndToEndTests {
    @Suite struct FoundMapTests {
        @Test(.timeLimit(.minutes(6))) func anInverterThatIsOnlyCalledSunSpecIsReadToTheReceiver() async throws {
            let devices = Factory.threeDevices.replacing("\"sunspec-103\"", with: "\"sunspec\"")
            #expect(devices.contains("profile = \"sunspec\""))
            let factory = try await Factory(.init(devices: devices))
            try await factory.startDaemon()
            let found = try await factory.waitForStatus { report in
                report.devices.allSatisfy { $0.state == .online && $0.pollsOK > 10 } && report.outputs[0].acceptedPolls > 30
            }
            #expect(!found.problems.contains { $0.subject == "roof" }, "\(found.problems)")
            _ = try await factory.waitForDelivery()
            let screen = try await factory.meterctl("devices", "roof")
            #expect(
                screen.output.contains("metersim") && screen.output.contains("Roof 30k") && screen.output.contains("SIM-30K-0003"),
                "\(screen)")

            // The map is remembered: after a restart the first answer is a reading.
            #expect(try await factory.stop().exit == .code(0))
            let before = try factory.records()
            let last = try #require(before.map(\.seq).max())
            try await factory.startDaemon()
            try await factory.waitForStatus { $0.devices.allSatisfy { $0.pollsOK > 3 } && $0.outputs[0].cursor > last }
            #expect(try await factory.stop().exit == .code(0))

            let records = try factory.records()
            #expect(records.count > before.count)
            let roof = records.filter { $0.device == "roof" }
            #expect(roof.count > 10)
            // What came is what the inverter showed, scaled by the factors that it gave itself.
            let truth = Truth(plant: factory.truth)
            for record in records { truth.check(record) }
            let live = roof.filter { $0.values["pv_power"] != nil }
            #expect(live.count > 10, "\(roof.first.map { "\($0.values)" } ?? "")")
            // Those of the factors 10^-2 and 10^-1.
            for (quantity, range) in [("frequency", 49.0...51.0), ("voltage_l1", 200.0...260.0)] {
                let values = live.compactMap { $0.values[quantity]?.number }
                #expect(values.count > 10 && values.allSatisfy { range.contains($0) }, "\(quantity): \(values.prefix(3))")
            }
            #expect(roof.contains { $0.values["pv_energy"]?.number != nil })
        }
    }
}
