import Fieldbus
import Gateway
import Host
import Metering
import Simulators
import Store
import TestSupport
import Testing

/// Devices of `profile = "sunspec"`: from the config through the bus into the store and out of it.
@Suite(.timeLimit(.minutes(5))) struct FoundMapTests {
    /// The parts of a gateway that have to do with maps, on one folder.
    private struct Box {
        let store: Store
        let live = LiveReadings([])
        let desk: MapDesk
        let known: Configuration
        let ids: [CatalogID]

        init(_ folder: String, _ configuration: Configuration) async throws {
            store = try await Store.open(directory: folder, outputs: ["park"], time: SystemTime(), logger: quietLogger)
            desk = MapDesk(store: store, live: live)
            known = try await desk.recall(configuration)
            ids = known.ids(try await store.promise(known.entries))
            desk.show(known.devices, ids)
        }

        /// Polls until the store holds so many polls of every device that are not failed.
        func poll(_ count: Int) async throws {
            let sink = Sink(live)
            let devices = zip(known.devices, ids).map { device, id in
                DeviceDescription(
                    name: device.name, unit: device.unit, entry: id, profile: device.profile, periods: device.periods, search: device.search
                )
            }
            let bus = Bus(
                known.buses[0], devices: devices, reader: makeReader(for: known.buses[0], time: SystemTime()), sink: sink, maps: desk,
                time: SystemTime(), logger: quietLogger)
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await bus.run() }
                for _ in 0..<600 where !sink.holds(count, of: devices.count) { try await Task.sleep(for: .milliseconds(50)) }
                group.cancelAll()
                while await group.nextResult() != nil {}
            }
            #expect(sink.holds(count, of: devices.count))
            _ = try await store.commit(sink.polls)
        }
    }

    private final class Sink: PollSink {
        private let live: LiveReadings
        private let state = Lock<[CountedPoll]>([])
        init(_ live: LiveReadings) { self.live = live }
        var polls: [CountedPoll] { state.withLock { $0 } }
        func take(_ poll: Poll) {
            let readings = live.remember(poll)
            state.withLock { $0.append(CountedPoll(poll: poll, readings: readings)) }
        }
        func holds(_ count: Int, of devices: Int) -> Bool {
            let good = Dictionary(grouping: polls.filter { !$0.poll.failed }, by: \.poll.entry)
            return good.count == devices && good.values.allSatisfy { $0.count >= count }
        }
    }

    private func withSite(_ body: (Site, String, Configuration) async throws -> Void) async throws {
        let folder = try TemporaryFolder.make("maps")
        defer { TemporaryFolder.remove(folder) }
        let site = Site(devices: [
            1: SunSpecDevice(models: [.common("metersim", "Roof", serial: "A"), .model(103, length: 50, [14: 3000, 15: 0xFFFF])]),
            2: SunSpecDevice(
                base: 1000, models: [.common("metersim", "Meter", serial: "B", length: 65), .model(203, length: 105, [18: 77, 22: 0])]),
        ])
        let server = try TCPServer(site: site)
        defer { server.stop() }
        let file = folder + "/meterd.toml"
        try TextFile.write(
            """
            [[bus]]
            name = "roof"
            url = "tcp://127.0.0.1:\(server.ports[0])"
            timeout = "2s"
            [[device]]
            name = "inverter"
            bus = "roof"
            unit = 1
            profile = "sunspec"
            role = "pv"
            live = "100ms"
            [[device]]
            name = "meter"
            bus = "roof"
            unit = 2
            profile = "sunspec"
            sunspec_base = 1000
            role = "grid"
            live = "100ms"
            """, to: file)
        try await body(site, folder, try Configuration.load(file: file, hostName: "box"))
    }

    /// Every poll of the journal decoded by the entry that the store has for it: what an output does, and an export years later.
    private func decoded(_ store: Store, _ quantity: String) async throws -> [String: Set<String>] {
        var values: [String: Set<String>] = [:]
        for record in try await store.read(first: 1, last: .max, limit: 1000) {
            let entry = try #require(try await store.entry(record.poll.entry))
            let profile = try Profile(toml: entry.profileText, file: entry.profile + ".toml")
            for reading in ReadingDecoder(profile: profile).decode(record.poll.answers)
            where profile.points[reading.point].quantity.id == quantity {
                if case .number(let number) = reading.value { values[entry.device, default: []].insert(number.description) }
            }
        }
        return values
    }

    @Test func historyDecodesByTheMapThatWasFoundAndARestartKnowsItWithoutTheDevice() async throws {
        try await withSite { site, folder, configuration in
            #expect(configuration.devices.map { $0.isFound || $0.search == nil } == [false, false])
            let first = try await Box(folder, configuration)
            #expect(first.ids == [.none, .none])
            try await first.poll(2)
            let powers = try await decoded(first.store, "power_active")
            #expect(powers == ["inverter": ["-300"], "meter": ["77"]])
            #expect(first.live.snapshots().map(\.entry.device).sorted() == ["inverter", "meter"])
            await first.store.close()
            // Night: nobody answers.
            site.put(nil, unit: 1)
            let second = try await Box(folder, configuration)
            #expect(second.known.devices.map(\.isFound) == [true, true])
            #expect(second.known.devices[0].profile.vendor == "metersim" && second.ids.allSatisfy { $0.rawValue > 0 })
            #expect(second.known.devices[1].profile.points.contains { $0.quantity.id == "energy_active_import" })
            // Another unit is another device.
            var moved = configuration
            moved.devices[0].unit = 9
            let recalled = try await second.desk.recall(moved)
            #expect(recalled.devices.map(\.isFound) == [false, true])
            await second.store.close()
        }
    }

    @Test func anExchangedDeviceHasAnEntryOfItsOwnAndTheOldOneStaysAsItWas() async throws {
        try await withSite { site, folder, configuration in
            let first = try await Box(folder, configuration)
            try await first.poll(2)
            await first.store.close()
            site.put(
                SunSpecDevice(
                    base: 0,
                    models: [
                        .common("other", "Roof 2", serial: "C"), .model(64_001, length: 9, [:]), .model(101, length: 50, [14: 44, 15: 0]),
                    ]), unit: 1)
            let second = try await Box(folder, configuration)
            try await second.poll(2)
            let powers = try await decoded(second.store, "power_active")
            #expect(powers == ["inverter": ["-300", "-44"], "meter": ["77"]])
            let newest = try await second.store.newestEntry(device: "inverter", profile: "sunspec")
            #expect(newest?.profileText.contains("\"other\"") == true)
            await second.store.close()
        }
    }

    @Test func aReloadKnowsWhatTheRunningBusHasFound() async throws {
        try await withSite { _, folder, configuration in
            let box = try await Box(folder, configuration)
            try await box.poll(1)
            let known = try await box.desk.recall(configuration)
            #expect(known.devices.map(\.isFound) == [true, true])
            let ids = known.ids(try await box.store.adopt(known.entries))
            // By name: before the reload they stand in the order in which they were found.
            func shown() -> [String: Int] {
                Dictionary(box.live.snapshots().map { ($0.entry.device, $0.readings.count) }) { first, _ in first }
            }
            let before = shown()
            // The bus that goes on names its polls as before: they are shown.
            box.desk.show(known.devices, ids, kept: ["roof"])
            #expect(shown() == before && before.count == 2 && before.values.allSatisfy { $0 > 0 }, "\(before)")
            #expect(ReloadPlan(from: configuration, to: configuration).buses.keep == ["roof"])
            await box.store.close()
        }
    }

    @Test func theKeysOfASunSpecDeviceAreCheckedLikeAllOthers() throws {
        let folder = try TemporaryFolder.make("keys")
        defer { TemporaryFolder.remove(folder) }
        let head = "[[bus]]\nname = \"b\"\nurl = \"tcp://127.0.0.1\"\n[[device]]\nname = \"d\"\nbus = \"b\"\nunit = 1\nrole = \"pv\"\n"
        for (rest, message) in [
            ("profile = \"sunspec\"\nsunspec_base = 65533\n", "device[0].sunspec_base: 65533 is outside 0 ... 65532"),
            ("profile = \"sunspec\"\nsunspec_bas = 0\n", "did you mean \"sunspec_base\"?"),
            ("profile = \"eastron-sdm630\"\nsunspec_base = 0\n", "sunspec_base: belongs to profile = \"sunspec\"; remove it"),
        ] {
            try TextFile.write(head + rest, to: folder + "/meterd.toml")
            do {
                _ = try Configuration.load(file: folder + "/meterd.toml", hostName: "box")
                Issue.record("\(rest) is accepted")
            } catch {
                #expect(error.description.contains(message), "\(error)")
            }
        }
    }
}
