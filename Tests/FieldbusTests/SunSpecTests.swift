import Host
import Logging
import Metering
import Simulators
import TestSupport
import Testing

@testable import Fieldbus

/// Devices whose map is found out by asking them, over real TCP connections.
@Suite(.serialized, .timeLimit(.minutes(5))) struct SunSpecTests {
    /// Keeps the maps that were found; each has an entry of its own, the same map the same.
    final class Keeper: MapKeeper {
        private let state = Lock<[(device: String, map: FoundMap, id: CatalogID)]>([])
        var maps: [(device: String, map: FoundMap, id: CatalogID)] { state.withLock { $0 } }

        func keep(_ map: FoundMap, of device: String) -> CatalogID {
            state.withLock { maps in
                let id = maps.first { $0.map.text == map.text && $0.device == device }?.id ?? CatalogID(Int64(maps.count + 1))
                maps.append((device, map, id))
                return id
            }
        }
    }

    /// A device that a test may exchange and silence while it is polled.
    final class Plug: Sendable {
        private let state: Lock<(device: SunSpecDevice?, asked: Int)>
        private let lose: @Sendable (WireRequest, Int) -> Bool
        /// - Parameter lose: gets the request and how many came before it; true leaves it without an answer.
        init(_ device: SunSpecDevice?, lose: @escaping @Sendable (WireRequest, Int) -> Bool = { _, _ in false }) {
            state = Lock((device, 0))
            self.lose = lose
        }
        func put(_ device: SunSpecDevice?) { state.withLock { $0.device = device } }

        var wire: WireDevice {
            WireDevice { [self] request, index in
                guard let device = state.withLock({ $0.device }), !lose(request, index) else { return [] }
                let block = Block(.holding, request.address, count: request.count)
                let words = device.image(at: Timestamp(milliseconds: 0), reset: nil).words(block)
                guard let words else { return [.send(request.tcp([0x83, 2]))] }
                let bytes = words.flatMap { [UInt8($0 >> 8), UInt8($0 & 0xFF)] }
                return [.send(request.tcp([3, UInt8(bytes.count)] + bytes))]
            }
        }
    }

    private func describe(_ search: MapSearch = MapSearch(), known: FoundMap? = nil) -> DeviceDescription {
        DeviceDescription(
            name: "roof", unit: 1, entry: known == nil ? .none : CatalogID(99), profile: known?.profile ?? .unfound("sunspec"),
            periods: [.live: .milliseconds(100), .slow: .milliseconds(200), .once: .zero], search: search)
    }

    /// Polls the device until the body has seen enough.
    private func poll(
        _ plug: Plug, _ device: DeviceDescription? = nil, _ body: (Basket, Keeper, Bus, WireDevice) async throws -> Void
    ) async throws {
        let wire = plug.wire
        try await withTCPDevice(wire) { port in
            let (basket, keeper) = (Basket(), Keeper())
            let description = BusDescription(name: "lan", address: .tcp(host: "127.0.0.1", port: port), timeout: .milliseconds(300))
            let bus = Bus(
                description, devices: [device ?? describe()], reader: makeReader(for: description, time: SystemTime()), sink: basket,
                maps: keeper, time: SystemTime(), logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await bus.run() }
                let outcome: Result<Void, any Error>
                do { outcome = .success(try await body(basket, keeper, bus, wire)) } catch { outcome = .failure(error) }
                group.cancelAll()
                while await group.nextResult() != nil {}
                try outcome.get()
            }
        }
    }

    private func value(_ quantity: String, _ polls: [Poll], _ maps: [(device: String, map: FoundMap, id: CatalogID)]) -> Value? {
        values(quantity, polls, maps).last { $0.value != nil }?.value
    }

    /// Each poll decoded by the map that it names.
    private func values(_ quantity: String, _ polls: [Poll], _ maps: [(device: String, map: FoundMap, id: CatalogID)]) -> [Reading] {
        polls.flatMap { poll -> [Reading] in
            guard let profile = maps.first(where: { $0.id == poll.entry })?.map.profile,
                let index = profile.points.firstIndex(where: { $0.quantity.id == quantity })
            else { return [] }
            return ReadingDecoder(profile: profile).decode(poll.answers).filter { $0.point == index }
        }
    }

    private func number(_ text: String) -> Value? { ExactDecimal(text).map { .number($0) } }

    private static let inverter = SunSpecDevice(models: [
        .common("metersim", "Roof 30k", serial: "A-1"),
        .model(103, length: 50, [14: 3000, 15: 0xFFFF, 10: 2301, 13: 0xFFFF, 24: 0x00BC, 25: 0x614E, 26: 0]),
    ])

    private static let meter = SunSpecDevice(
        base: 50_000,
        models: [
            .common("Fronius", "Smart Meter", serial: "B-2", length: 65), .model(64_200, length: 17, [:]),
            .model(203, length: 105, [18: 0xFB50, 22: 0, 8: 2299, 15: 0xFFFF, 46: 1, 47: 2, 54: 0]),
        ], end: [0xFFFF, 0xFFFF])

    @Test func twoDevicesBehindOneWordHaveEachTheirOwnMap() async throws {
        try await poll(Plug(Self.inverter)) { basket, keeper, _, _ in
            await basket.wait(for: 3)
            #expect(keeper.maps.count == 1)
            #expect(value("power_active", basket.polls, keeper.maps) == number("-300"))
            #expect(value("pv_energy", basket.polls, keeper.maps) == number("12345678"))
            #expect(value("device_serial", basket.polls, keeper.maps) == .text("A-1"))
        }
        try await poll(Plug(Self.meter)) { basket, keeper, bus, _ in
            await basket.wait(for: 3)
            #expect(value("power_active", basket.polls, keeper.maps) == number("-1200"))
            #expect(value("voltage_l1", basket.polls, keeper.maps) == number("229.9"))
            #expect(value("energy_active_import", basket.polls, keeper.maps) == number("65538"))
            #expect(keeper.maps[0].map.chain.unknown.map(\.id) == [64_200])
            #expect(bus.devices[0].entry == keeper.maps[0].id)
            // Read in one request, with the register that says which model it is, and nothing of another model in it.
            let blocks = Set(basket.polls.flatMap { $0.answers.map(\.block) }.filter { $0.address > 50_090 })
            #expect(blocks.allSatisfy { $0.address >= 50_088 && $0.range.upperBound <= 50_195 })
        }
    }

    @Test func anyBaseIsFoundWhereTheConfigSaysIt() async throws {
        var odd = Self.inverter
        odd.base = 1234
        try await poll(Plug(odd), describe(MapSearch(bases: [1234]))) { basket, keeper, _, _ in
            await basket.wait(for: 2)
            #expect(value("pv_power", basket.polls, keeper.maps) == number("300"))
        }
    }

    @Test func oddOrdersUnknownModelsBetweenAndAMissingEndLoseNothing() async throws {
        let odd = SunSpecDevice(
            models: [
                .model(160, length: 48, [2: 0xFFFF, 3: 0xFFFF, 4: 0, 19: 51, 20: 6200, 21: 3162], filler: 0),
                .model(64_001, length: 300, [:]),
                .common("metersim", "odd"), .model(120, length: 26, [3: 300, 4: 2]), .model(7, length: 1, [:]),
                .model(111, length: 60, [22: 0x4497, 23: 0x5000, 16: 0x4366, 17: 0x0000], filler: 0x7FC0),
            ], end: nil)
        try await poll(Plug(odd)) { basket, keeper, bus, _ in
            await basket.wait(for: 3)
            #expect(value("dc_power_s1", basket.polls, keeper.maps) == number("3162"))
            #expect(value("pv_power", basket.polls, keeper.maps) == number("1210.5"))
            #expect(value("x_sunspec_rated_power_w", basket.polls, keeper.maps) == number("30000"))
            #expect(keeper.maps[0].map.chain.models.map(\.id) == [160, 64_001, 1, 120, 7, 111])
            #expect(bus.status().devices[0].refusedPoints == [])
        }
    }

    /// The factor is another one in every answer, and the power the same.
    @Test func scaleFactorThatChangesBetweenPollsGivesNoSpike() async throws {
        let plug = Plug(Self.inverter)
        try await poll(plug) { basket, keeper, _, _ in
            await basket.wait(for: 1)
            for step in 0..<12 {
                var device = Self.inverter
                device.models[1] =
                    step.isMultiple(of: 2)
                    ? .model(103, length: 50, [14: 30, 15: 1, 24: 0x0012, 25: 0xD687, 26: 1])
                    : .model(103, length: 50, [14: 3000, 15: 0xFFFF, 24: 0x00BC, 25: 0x614E, 26: 0])
                plug.put(device)
                await basket.wait(for: basket.polls.count + 2)
            }
            // A poll that a busy machine made late has no value.
            func told(_ quantity: String) -> [Reading] {
                values(quantity, basket.polls, keeper.maps).filter { $0.quality != .noCommunication }
            }
            let powers = told("pv_power")
            #expect(powers.count >= 12 && powers.allSatisfy { $0.value == number("300") })
            let energies = Set(told("pv_energy").map(\.value))
            #expect(energies == [number("12345678"), number("12345670")])
            #expect(keeper.maps.count == 1)
        }
    }

    /// Requests that get lost on the way make the search longer and the map no poorer.
    @Test func walkThatLosesRequestsFindsTheWholeMap() async throws {
        let plug = Plug(Self.meter) { request, index in index < 40 && index % 3 == 1 && request.address != 40_000 }
        try await poll(plug) { basket, keeper, _, _ in
            await basket.wait(for: 2)
            #expect(keeper.maps.first?.map.chain.models.map(\.id) == [1, 64_200, 203])
            #expect(keeper.maps.first?.map.chain.isUncertain == false)
        }
    }

    /// It answers up to the last model's header and then no more: what was found is used, and looked at again later.
    @Test func walkThatIsCutShortKeepsWhatItFound() async throws {
        let plug = Plug(Self.inverter) { request, _ in request.address == 40_122 }
        try await poll(plug) { basket, keeper, _, _ in
            await basket.wait(for: 2)
            #expect(keeper.maps.first?.map.chain.isUncertain == true)
            #expect(value("pv_power", basket.polls, keeper.maps) == number("300"))
        }
    }

    /// The first map stays in force while nothing certain speaks against it.
    @Test func searchThatIsCutShortDoesNotTakeAKnownMapAway() async throws {
        var chain = SunSpecChain(base: 40_000, models: [])
        var address = 40_002
        for model in Self.inverter.models {
            chain.models.append(SunSpecModel(id: model.id, address: UInt16(address), length: UInt16(model.words.count)))
            address += 2 + model.words.count
        }
        chain.identities[40_002] = SunSpecIdentity(manufacturer: "metersim", model: "Roof 30k", version: "1.0.0", serial: "A-1")
        let known = try FoundMap(chain)
        // The length of model 103 is never answered.
        let plug = Plug(Self.inverter) { request, _ in request.address == 40_071 && request.count == 1 }
        try await poll(plug, describe(known: known)) { basket, keeper, _, _ in
            await basket.wait(for: 3)
            let good = basket.polls.filter { !$0.failed }
            #expect(keeper.maps.isEmpty)
            #expect(good.allSatisfy { $0.entry == CatalogID(99) })
        }
    }

    /// Runs on the manual clock until so many polls were delivered; the device at each moment is what `site` says, nil for none.
    private func run(
        _ device: DeviceDescription, polls count: Int, _ site: @escaping @Sendable (Uptime) -> SunSpecDevice?
    ) async throws -> (polls: [Poll], keeper: Keeper) {
        let (basket, keeper, time) = (Basket(), Keeper(), ManualTime(uptime: Uptime(nanoseconds: 0)))
        let reader = ScriptedReader(time) { block, _, now in
            guard let device = site(now) else { return .fault(.timeout) }
            let words = device.image(at: Timestamp(milliseconds: 0), reset: nil).words(block)
            return words.map { .words($0) } ?? .fault(.exception(2))
        }
        let description = BusDescription(name: "lan", address: .tcp(host: "127.0.0.1", port: 502))
        let bus = Bus(
            description, devices: [device], reader: reader, sink: basket, maps: keeper, time: time,
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await bus.run() }
            await basket.wait(for: count)
            group.cancelAll()
            try await group.waitForAll()
        }
        return (basket.polls, keeper)
    }

    private static let night = Uptime(nanoseconds: 20_000_000_000)..<Uptime(nanoseconds: 120_000_000_000)

    /// Another model comes back at the same address: of the same kind, so that its registers look like the old one's.
    @Test func deviceThatComesBackAsAnotherOneIsFoundAnewBeforeItIsRead() async throws {
        var other = Self.inverter
        other.models = [.common("SMA", "Sunny", serial: "D-4", length: 65), Self.inverter.models[1]]
        let after = other
        let result = try await run(describe(), polls: 600) { now in
            Self.night.contains(now) ? nil : now < Self.night.lowerBound ? Self.inverter : after
        }
        #expect(result.keeper.maps.map(\.map.profile.vendor) == ["metersim", "SMA"])
        let late = result.polls.filter { $0.uptime >= Self.night.upperBound && !$0.failed }
        #expect(late.count > 50 && late.allSatisfy { $0.entry == CatalogID(2) })
        #expect(values("pv_power", late, result.keeper.maps).allSatisfy { $0.value == number("300") })
    }

    @Test func deviceThatComesBackUnchangedKeepsItsMap() async throws {
        let result = try await run(describe(), polls: 600) { Self.night.contains($0) ? nil : Self.inverter }
        #expect(result.keeper.maps.count == 1)
        #expect(Set(result.polls.map(\.entry)) == [CatalogID(1)])
        let asleep = result.polls.filter { Self.night.contains($0.uptime) }
        #expect(asleep.count >= 5 && asleep.allSatisfy(\.failed))
        #expect(result.polls.last?.failed == false)
    }

    /// After a restart at night: what is known from before says that there is no value, until the device wakes up.
    @Test func deviceThatSleepsAtTheStartIsDecodedByTheMapOfBefore() async throws {
        let before = try await run(describe(), polls: 10) { _ in Self.inverter }
        let known = before.keeper.maps[0].map
        let result = try await run(describe(known: known), polls: 300) { $0 < Self.night.upperBound ? nil : Self.inverter }
        #expect(result.keeper.maps.isEmpty)
        #expect(Set(result.polls.map(\.entry)) == [CatalogID(99)])
        let asleep = result.polls.filter { $0.uptime < Self.night.upperBound }
        let readings = asleep.flatMap { ReadingDecoder(profile: known.profile).decode($0.answers) }
        #expect(readings.count > 20 && readings.allSatisfy { $0.value == nil && $0.quality == .noCommunication })
        #expect(result.polls.last?.failed == false)
    }

    @Test func deviceThatAnswersWithoutAMapSaysSo() async throws {
        let other = SunSpecDevice(base: 100, models: [])
        try await poll(Plug(other)) { basket, keeper, bus, wire in
            while bus.status().devices[0].state != .offline { try await Task.sleep(for: .milliseconds(50)) }
            #expect(bus.status().devices[0].mapFault == "answers, but there is no SunSpec map at 40000, 0, 50000")
            #expect(keeper.maps.isEmpty && basket.polls.isEmpty)
            #expect(Set(wire.requests.map(\.address)) == [40_000, 0, 50_000])
        }
    }

    /// Exchanged under way, without ever falling silent: the words of the new one are told as values only by its own map.
    @Test func exchangedDeviceIsFoundAnewAndNoWordOfItIsReadByTheOldMap() async throws {
        let plug = Plug(Self.inverter)
        try await poll(plug) { basket, keeper, _, _ in
            await basket.wait(for: 3)
            plug.put(
                SunSpecDevice(models: [
                    .common("metersim", "float", serial: "C-3"),
                    .model(113, length: 60, [22: 0x4497, 23: 0x5000, 16: 0x4366, 17: 0], filler: 0x7FC0),
                ]))
            while keeper.maps.count < 2 { try await Task.sleep(for: .milliseconds(20)) }
            await basket.wait(for: basket.polls.count + 3)
            #expect(keeper.maps.map(\.id) == [CatalogID(1), CatalogID(2)])
            let powers = Set(values("pv_power", basket.polls, keeper.maps).map(\.value))
            #expect(powers == [number("300"), nil, number("1210.5")] || powers == [number("300"), number("1210.5")])
            #expect(value("device_serial", basket.polls, keeper.maps) == .text("C-3"))
        }
    }
}
