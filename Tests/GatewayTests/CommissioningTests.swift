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

/// Reading and identifying through the local API, on a bus that polls a simulated site.
@Suite(.timeLimit(.minutes(5))) struct CommissioningTests {
    /// Polls unit 1 of the simulated site once a second; units 1 to 3 are there.
    private func withSite(_ body: @escaping @Sendable (String, Bus) async throws -> Void) async throws {
        let site = Site(plant: Plant(seed: 3, epoch: Timestamp(milliseconds: 1_795_500_000_000)))
        let server = try TCPServer(site: site)
        defer { server.stop() }
        let folder = try TemporaryFolder.make("commission")
        defer { TemporaryFolder.remove(folder) }
        let file = folder + "/meterd.toml"
        try TextFile.write(
            """
            [gateway]
            profile_path = ["\(Products.repository)/profiles"]
            [[bus]]
            name = "roof"
            url = "tcp://127.0.0.1:\(server.ports[0])"
            timeout = "2s"
            [[device]]
            name = "main"
            bus = "roof"
            unit = 1
            profile = "eastron-sdm630"
            role = "grid"
            """, to: file)
        let configuration = try Configuration.load(file: file, hostName: "box")
        let time = SystemTime()
        let devices = configuration.devices.map {
            DeviceDescription(name: $0.name, unit: $0.unit, entry: CatalogID(1), profile: $0.profile, periods: $0.periods)
        }
        let bus = Bus(
            configuration.buses[0], devices: devices, reader: makeReader(for: configuration.buses[0], time: time), sink: NoSink(),
            time: time, logger: quietLogger)
        let (listening, listens) = AsyncStream.makeStream(of: Void.self)
        let socket = folder + "/api.sock"
        let api = LocalAPIServer(
            view: CannedView(), commissioning: Commissioner { (configuration, [bus]) }, socket: socket, group: nil,
            eventLoopGroup: MultiThreadedEventLoopGroup.singleton, time: time, logger: quietLogger, onListening: { listens.yield() })
        let services = ServiceGroup(configuration: .init(services: [.init(service: api)], logger: quietLogger))
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { try await services.run() }
            tasks.addTask { try await bus.run() }
            var iterator = listening.makeAsyncIterator()
            _ = await iterator.next()
            let outcome: Result<Void, any Error>
            do { outcome = .success(try await body(socket, bus)) } catch { outcome = .failure(error) }
            await services.triggerGracefulShutdown()
            tasks.cancelAll()
            while await tasks.nextResult() != nil {}
            try outcome.get()
        }
    }

    /// The daemon may just be starting, and the simulated device may be slow on a busy machine: asked again while it says so.
    private func ask(
        _ socket: String, _ target: String,
        unless isLate: (String) -> Bool = { $0.contains("no answer in time") || $0.contains("\"timeout\"") }
    ) async throws -> (status: Int, head: String, body: String) {
        var answer = try await exchange(socket, target)
        for _ in 0..<200 where answer.status == 503 || isLate(answer.body) {
            try await Task.sleep(for: .milliseconds(50))
            answer = try await exchange(socket, target)
        }
        return answer
    }

    @Test func registersAreReadByDeviceAndByUnitWhilePollsGoOn() async throws {
        try await withSite { socket, bus in
            let marker = try await ask(socket, "/v1/read?bus=roof&unit=3&address=40000&count=2")
            #expect(marker.status == 200)
            let report = try JSONDecoder().decode(ReadReport.self, from: Data(marker.body.utf8))
            #expect(report.words == [0x5375, 0x6E53])
            #expect(report.fault == nil)
            #expect(report.unit == 3 && report.bus == "roof" && report.table == "holding")
            let volts = try await ask(socket, "/v1/read?device=main&table=input&address=0&count=2")
            let words = try JSONDecoder().decode(ReadReport.self, from: Data(volts.body.utf8))
            let decoded = words.decodings(type: "float32", order: .abcd).first
            guard case .number(let number) = decoded?.value else {
                Issue.record("no voltage in \(volts.body)")
                return
            }
            #expect((200...260).contains(number.double))
            let missing = try await ask(socket, "/v1/read?bus=roof&unit=3&address=9")
            #expect(try JSONDecoder().decode(ReadReport.self, from: Data(missing.body.utf8)).fault?.exception == 2)
            let device = bus.status().devices[0]
            #expect(device.pollsOK > device.pollsFailed)
        }
    }

    @Test func inverterIsIdentifiedByItsOwnWords() async throws {
        try await withSite { socket, _ in
            let answer = try await ask(socket, "/v1/identify?bus=roof&unit=3") { !$0.contains("metersim") }
            #expect(answer.status == 200)
            let report = try JSONDecoder().decode(IdentifyReport.self, from: Data(answer.body.utf8))
            #expect(report.present && report.device == nil)
            #expect(report.sunSpec?.manufacturer == "metersim")
            #expect(report.sunSpec?.models == [1, 103])
            #expect(IdentifyListing([report]).table.lines(width: nil, paint: Paint(coloured: false)).last?.contains("Roof 30k") == true)
        }
    }

    @Test func everyPointOfADeviceIsTriedWithItsWordsAndItsPlausibility() async throws {
        try await withSite { socket, _ in
            let answer = try await ask(socket, "/v1/trial?device=main")
            #expect(answer.status == 200)
            let report = try JSONDecoder().decode(TrialReport.self, from: Data(answer.body.utf8))
            #expect(report.profile == "eastron-sdm630" && report.device == "main")
            let volts = try #require(report.points.first { $0.quantity == "voltage_l1" })
            #expect(volts.verdict == .plausible && volts.words?.count == 2 && volts.unit == "V")
            #expect(report.points.filter { $0.verdict == .plausible }.count > 30)
            // A profile of another device on the inverter: what it cannot be is said, point by point.
            let other = try await ask(socket, "/v1/trial?bus=roof&unit=3&profile=schneider-iem3155")
            let wrong = try JSONDecoder().decode(TrialReport.self, from: Data(other.body.utf8))
            #expect(!wrong.passed && wrong.points.allSatisfy { $0.verdict != .plausible })
            #expect(wrong.points.contains { $0.reason == "exception 2: the device has no such registers" })
            let sunspec = try await ask(socket, "/v1/trial?bus=roof&unit=3&profile=sunspec-103")
            #expect(try JSONDecoder().decode(TrialReport.self, from: Data(sunspec.body.utf8)).passed, "\(sunspec.body)")
            #expect(try await ask(socket, "/v1/trial?bus=roof&unit=3").body.contains("name a profile to try"))
            #expect(
                try await ask(socket, "/v1/trial?bus=roof&unit=3&profile=sunspec-10").body.contains("did you mean \\\"sunspec-103\\\"?"))
        }
    }

    @Test func wrongRequestsAreToldWhatIsWrong() async throws {
        try await withSite { socket, _ in
            let cases = [
                ("/v1/read?device=mian&address=0", 404, "did you mean \\\"main\\\"?"), ("/v1/read?bus=rof&unit=1&address=0", 404, "roof"),
                ("/v1/read?bus=roof&unit=256&address=0", 400, "unit must be"), ("/v1/read?bus=roof&unit=1", 400, "address must be"),
                ("/v1/read?bus=roof&unit=1&address=0&count=126", 400, "1 to 125"), ("/v1/read?address=0", 400, "name a device"),
                ("/v1/read?bus=roof&unit=1&address=0&table=holdin", 400, "table must be"),
                ("/v1/identify?device=main&unit=3", 400, "either"), ("/v1/identify?adress=3", 400, "no parameter"),
            ]
            for (target, status, text) in cases {
                let answer = try await exchange(socket, target)
                #expect(answer.status == status, "\(target)")
                #expect(answer.body.contains(text), "\(target): \(answer.body)")
            }
        }
    }
}

private struct NoSink: PollSink {
    func take(_ poll: Poll) {}
}
