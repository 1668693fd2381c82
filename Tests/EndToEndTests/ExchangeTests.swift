import Gateway
import Glibc
import Metering
import Simulators
import TestSupport
import Testing

/// Meters that are replaced by others at the same address.
extension EndToEndTests {
    @Suite(.serialized, .timeLimit(.minutes(6))) struct ExchangeTests {
        private func server(_ serial: UInt32, port: UInt16) throws -> TCPServer {
            let plant = Plant(seed: 7, epoch: Timestamp(milliseconds: Plant.now().milliseconds - 39_600_000))
            return try TCPServer(
                site: Site(devices: [1: SimulatedMeter(plant: plant, model: .sdm630, place: .grid, unit: 1, serial: serial)]), port: port)
        }

        private func factory(port: UInt16) async throws -> Factory {
            try await Factory(
                .init(
                    devices: """
                        [[bus]]
                        name = "lan"
                        url = "tcp://127.0.0.1:\(port)"
                        [[device]]
                        name = "main"
                        bus = "lan"
                        unit = 1
                        profile = "eastron-sdm630"
                        role = "grid"
                        live = "200ms"
                        """))
        }

        private func exchanged(_ report: StatusReport) -> ProblemReport? {
            report.problems.first { $0.code == "device_exchanged" && $0.subject == "main" }
        }

        @Test func aMeterThatIsExchangedIsAProblemWithBothNumbers() async throws {
            let first = try server(111_111, port: freePort())
            let factory = try await factory(port: first.port)
            try await factory.startDaemon()
            let before = try await factory.waitForStatus { $0.devices[0].pollsOK > 3 }
            #expect(exchanged(before) == nil)
            first.stop()
            try await factory.waitForStatus { $0.devices[0].state == .offline }
            let second = try server(222_222, port: first.port)
            let report = try await factory.waitForStatus { exchanged($0) != nil }
            let text = exchanged(report)?.text ?? ""
            #expect(text.contains("111111") && text.contains("222222") && text.contains("meterctl intervals main"))
            #expect(report.health == .degraded)
            // What the journal says of it: the same two numbers, and nothing booked across.
            try await factory.waitForStatus { $0.devices[0].pollsOK > before.devices[0].pollsOK + 10 }
            let listing = try await factory.meterctl("intervals", "main", "--json")
            #expect(listing.output.contains(#""kind":"device_exchanged""#), "\(listing.output) \(listing.errors)")
            #expect(listing.output.contains(#""before":"111111","after":"222222""#))
            #expect(!listing.output.contains(#""advance":-"#))
            second.stop()
            #expect(try await factory.stop().exit == .code(0))
        }

        @Test func aMeterThatWasExchangedWhileNobodyLookedIsNoticed() async throws {
            let first = try server(111_111, port: freePort())
            let factory = try await factory(port: first.port)
            try await factory.startDaemon()
            try await factory.waitForStatus { $0.journal.polls > 3 }
            #expect(try await factory.stop().exit == .code(0))
            first.stop()
            let second = try server(333_333, port: first.port)
            try await factory.startDaemon()
            let report = try await factory.waitForStatus { exchanged($0) != nil }
            let text = exchanged(report)?.text ?? ""
            #expect(text.contains("111111") && text.contains("333333"))
            second.stop()
            #expect(try await factory.stop().exit == .code(0))
        }
    }
}
