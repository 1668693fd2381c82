import Fieldbus
import FoundationEssentials
import Gateway
import Host
import Logging
import Metering
import NIOPosix
import ServiceLifecycle
import Simulators
import TestSupport
import Testing

/// The load of buses and the plans of devices: foretold from a config, and shown of a bus that polls a simulated site.
@Suite(.timeLimit(.minutes(5))) struct FieldTests {
    private let plain = Paint(coloured: false)

    private static let profile = """
        profile = "partial"
        version = 1
        vendor = "tests"
        models = ["partial"]
        source = "SDM630 registers, and one that it has not"
        [read]
        max_gap = 0
        [defaults]
        table = "input"
        type = "float32"
        [[point]]
        quantity = "voltage_l1"
        address = 0
        unit = "V"
        [[point]]
        quantity = "energy_active_import"
        address = 72
        unit = "kWh"
        class = "slow"
        [[point]]
        quantity = "x_tests_missing"
        address = 3000
        """

    /// Writes the profile and a config with this bus and these devices, and loads it.
    private static func configuration(_ folder: String, bus: String, devices: String) throws -> Configuration {
        try TextFile.write(profile, to: folder + "/partial.toml")
        try TextFile.write(
            "[gateway]\nprofile_path = [\"\(folder)\"]\n[[bus]]\nname = \"line-1\"\n\(bus)\n\(devices)", to: folder + "/meterd.toml")
        return try Configuration.load(file: folder + "/meterd.toml", hostName: "box")
    }

    private static func devices(_ count: Int, live: String) -> String {
        (1...count).map { number in
            """
            [[device]]
            name = "m-\(number)"
            bus = "line-1"
            unit = \(number)
            profile = "partial"
            role = "load"
            live = "\(live)"

            """
        }.joined()
    }

    @Test(arguments: [("5s", true), ("500ms", false)]) func aConfigThatAsksTooMuchOfALineIsToldWithACure(live: String, fits: Bool) throws {
        let folder = try TemporaryFolder.make("budget")
        defer { TemporaryFolder.remove(folder) }
        let configuration = try Self.configuration(folder, bus: "url = \"serial:///dev/ttyUSB0\"", devices: Self.devices(20, live: live))
        let forecasts = configuration.budgets.map { BusForecast($0) }
        #expect(forecasts.count == 1 && forecasts[0].devices == 20)
        let verdict = ConfigurationVerdict(file: "m.toml", buses: 1, devices: 20, outputs: 0, budgets: forecasts)
        #expect(verdict.valid)
        if fits {
            #expect(verdict.warnings.isEmpty)
        } else {
            // Three requests of two registers, 45 ms each, one of them slow: 2.7 s for all of them, 1.8 s for the live ones.
            #expect(verdict.warnings.count == 1)
            let text = verdict.warnings.first ?? ""
            #expect(text.hasPrefix("line-1: live = \"500ms\" of m-1, m-2, m-3 and 17 more cannot be met, "), "\(text)")
            #expect(text.hasSuffix("; live = \"3s\" fits"), "\(text)")
        }
        let table = BusForecast.table(forecasts).lines(width: nil, paint: plain)
        #expect(table.count == 2 && table[1].hasPrefix("line-1       20 "), "\(table)")
        let narrow = BusForecast.table(forecasts).lines(width: 40, paint: plain)
        #expect(narrow.count == 3 && narrow[0].hasSuffix("BUSY") && narrow[1].hasSuffix(" %"), "\(narrow)")
        #expect(
            String(decoding: verdict.json, as: UTF8.self).contains(#""buses":[{"name":"line-1","devices":20,"predicted":{"utilization":"#))
    }

    /// Polls unit 1 of the simulated site ten times a second.
    private func withSite(_ body: @escaping @Sendable (String) async throws -> Void) async throws {
        let server = try TCPServer(site: Site(plant: Plant(seed: 3, epoch: Timestamp(milliseconds: 1_795_500_000_000))))
        defer { server.stop() }
        let folder = try TemporaryFolder.make("field")
        defer { TemporaryFolder.remove(folder) }
        let configuration = try Self.configuration(
            folder, bus: "url = \"tcp://127.0.0.1:\(server.ports[0])\"\ntimeout = \"30s\"", devices: Self.devices(1, live: "100ms"))
        let time = SystemTime()
        let devices = configuration.devices.map {
            DeviceDescription(name: $0.name, unit: $0.unit, entry: CatalogID(1), profile: $0.profile, periods: $0.periods)
        }
        let bus = Bus(
            configuration.buses[0], devices: devices, reader: makeReader(for: configuration.buses[0], time: time), sink: NoSink(),
            time: time, logger: quietLogger)
        var view = CannedView()
        view.status.devices[0].name = "m-1"
        view.all.readings[0].device = "m-1"
        let (listening, listens) = AsyncStream.makeStream(of: Void.self)
        let socket = folder + "/api.sock"
        let api = LocalAPIServer(
            view: view, field: FieldDesk { [bus] }, socket: socket, group: nil, eventLoopGroup: MultiThreadedEventLoopGroup.singleton,
            time: time, logger: quietLogger, onListening: { listens.yield() })
        let services = ServiceGroup(configuration: .init(services: [.init(service: api)], logger: quietLogger))
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { try await services.run() }
            tasks.addTask { try await bus.run() }
            var iterator = listening.makeAsyncIterator()
            _ = await iterator.next()
            let outcome: Result<Void, any Error>
            do { outcome = .success(try await body(socket)) } catch { outcome = .failure(error) }
            await services.triggerGracefulShutdown()
            tasks.cancelAll()
            while await tasks.nextResult() != nil {}
            try outcome.get()
        }
    }

    @Test func aDevicesPlanShowsItsRequestsAndTheRegistersItRefuses() async throws {
        try await withSite { socket in
            var report: DeviceDetailReport?
            // The missing register is found in the first visits.
            for _ in 0..<600 where report?.plan?.excluded.isEmpty != false {
                try await Task.sleep(for: .milliseconds(50))
                let answer = try await exchange(socket, "/v1/device?device=m-1")
                #expect(answer.status == 200)
                report = try JSONDecoder().decode(DeviceDetailReport.self, from: Data(answer.body.utf8))
            }
            let plan = try #require(report?.plan)
            #expect(plan.liveMilliseconds == 100 && plan.slowMilliseconds == 60_000)
            #expect(plan.requests.map(\.points) == [["voltage_l1"], ["energy_active_import"]])
            #expect(plan.requests.map(\.pointClass) == ["live", "slow"])
            #expect(plan.requests.map(\.address) == [0, 72] && plan.requests.map(\.count) == [2, 2])
            let missing = try #require(plan.excluded.first)
            #expect(missing.reason == .refused && missing.address == 3000 && missing.points == ["x_tests_missing"])
            #expect((1...600).contains(missing.retrySeconds))
            #expect(plan.responseMilliseconds != nil && (plan.timeoutMilliseconds ?? 0) >= 100)
            let screen = DeviceScreen(try #require(report), now: cannedNow).lines(width: nil, paint: Paint(coloured: false))
            #expect(screen.contains("periods   live 100ms, slow 1m"))
            #expect(screen.contains { $0.hasPrefix("learned: input 3000 to 3001 is refused (exception 2), asked again in ") }, "\(screen)")
        }
    }

    @Test func aBusShowsWhatIsMeasuredBesideWhatIsExpected() async throws {
        try await withSite { socket in
            var report: BusesReport?
            for _ in 0..<600 where (report?.buses.first?.devices.first?.pollsOK ?? 0) < 3 {
                try await Task.sleep(for: .milliseconds(50))
                let answer = try await exchange(socket, "/v1/buses?bus=line-1")
                #expect(answer.status == 200)
                report = try JSONDecoder().decode(BusesReport.self, from: Data(answer.body.utf8))
            }
            let bus = try #require(report?.buses.first)
            #expect(bus.state == .up && bus.fault == nil && bus.requests > 3 && bus.responseMilliseconds != nil)
            // 5 ms for each of the two live requests, ten times a second.
            #expect(abs(bus.predicted.utilization - 0.1) < 0.01)
            #expect(bus.predicted.sweepMilliseconds != nil)
            let lines = BusListing([bus], now: cannedNow).lines(width: nil, paint: Paint(coloured: false), withDevices: true)
            #expect(lines.first?.hasPrefix("BUS     STATE  BUSY  EXPECTED") == true)
            #expect(lines.contains { $0.hasPrefix("expected: 20 requests and ") }, "\(lines)")
            #expect(lines.last?.hasPrefix("m-1        1  online") == true, "\(lines)")
        }
    }

    @Test func wrongNamesAreToldWithWhatThereIs() async throws {
        try await withSite { socket in
            let cases = [
                ("/v1/device?device=m1", 404, "did you mean \\\"m-1\\\"?"), ("/v1/device", 400, "name the device"),
                ("/v1/buses?bus=line1", 404, "did you mean \\\"line-1\\\"?"), ("/v1/buses?device=x", 400, "no parameter"),
                ("/v1/bses", 404, "/v1/buses"),
            ]
            for (target, status, text) in cases {
                let answer = try await exchange(socket, target)
                #expect(answer.status == status, "\(target)")
                #expect(answer.body.contains(text), "\(target): \(answer.body)")
            }
            #expect(try await exchange(socket, "/v1/buses").status == 200)
        }
    }
}

private struct NoSink: PollSink {
    func take(_ poll: Poll) {}
}
