import Fieldbus
import FoundationEssentials
import Host
import Metering
import Simulators
import TestSupport
import Testing

/// Any profile's simulated device, read as a real one is: plan, TCP, decoder.
/// One after the other: all at once they would take the descriptors that libmodbus can serve.
@Suite(.serialized) struct ProfiledDeviceTests {
    private static let folder = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().appending(path: "profiles").path

    private static func load(_ name: String) throws -> Profile { try ProfileFile.load(name, directories: [folder]) }

    private static var names: [String] {
        let files = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
        return files.filter { $0.hasSuffix(".toml") }.map { String($0.dropLast(5)) }.sorted()
    }

    /// Everything of a device, block by block as the plan says, over Modbus TCP.
    private func read(_ profile: Profile, from site: Site, unit: UInt8 = 1) async throws -> [BlockAnswer] {
        let server = try TCPServer(site: site)
        defer { server.stop() }
        let reader = TCPReader(name: "sim", host: "127.0.0.1", port: server.port, timeout: .seconds(30), time: SystemTime())
        var plan = ReadPlan(profile: profile, cost: .tcp())
        var answers = await reader.read(plan.blocks(for: Set(PointClass.allCases)) + profile.identity.map(\.block), unit: unit).answers
        // A busy machine may make an answer late; the rest of the visit is then not asked. The device's clock stands still meanwhile.
        for _ in 0..<20 {
            let missing = answers.indices.filter { answers[$0].outcome == .fault(.timeout) }
            if missing.isEmpty { break }
            let again = await reader.read(missing.map { answers[$0].block }, unit: unit).answers
            for (index, answer) in zip(missing, again) { answers[index] = answer }
        }
        await reader.close()
        return answers
    }

    /// What the registers can show of a point: its finest step, or the digits of its float.
    private func tolerance(_ point: PointDefinition, _ value: Double) -> Double {
        let steps = ([point.factor] + point.terms.map(\.factor)).map { abs($0.double) }
        // A scale register is chosen finely enough for a thousandth of the value; ratios are 40 at most.
        let scale = point.scaleRegister == nil ? 1.0 : max(1, abs(value) / 1000)
        return max(steps.reduce(0, +) * scale * (point.ratios.isEmpty ? 1 : 40), abs(value) * 1e-6)
    }

    @Test(arguments: names) func everyShippedProfilesDeviceShowsWhatItShould(_ name: String) async throws {
        let profile = try Self.load(name)
        let time = ManualTime()
        let device = try ProfiledDevice(profile: profile, start: time.wall())
        time.advance(by: .seconds(3725))
        let answers = try await read(profile, from: Site(devices: [1: device], time: time))
        let readings = ReadingDecoder(profile: profile).decode(answers)
        #expect(readings.map(\.point) == Array(profile.points.indices))
        let wanted = device.values(at: time.wall())
        for reading in readings {
            let point = profile.points[reading.point]
            #expect(reading.quality == .good, "\(name): \(point.quantity.id) \(reading.quality.names)")
            guard case .number(let number) = reading.value, let should = wanted[reading.point].number else { continue }
            // A vendor's state is whatever it is; a map has only some values.
            if !point.map.isEmpty || point.quantity.id.hasPrefix("x_") { continue }
            let difference = abs(number.double - should.double)
            #expect(difference <= tolerance(point, should.double), "\(name): \(point.quantity.id) is \(number), not \(should)")
        }
        // Some answer with their type where a value has its low word: such a register cannot show both.
        let isShared = profile.identity.contains { check in
            profile.points.contains {
                $0.block.table == check.block.table && $0.block != check.block && $0.block.range.overlaps(check.block.range)
            }
        }
        if !profile.identity.isEmpty, !isShared { #expect(profile.identifies(answers), "\(name)") }
    }

    @Test(arguments: names) func whatWasSetIsWhatIsRead(_ name: String) async throws {
        let profile = try Self.load(name)
        var random = SeededGenerator(seed: 20_261_124)
        // Values that registers of these points can hold exactly: a thousand steps, more or less.
        let plain = profile.points.filter {
            $0.scaleRegister == nil && $0.terms.isEmpty && $0.ratios.isEmpty && $0.map.isEmpty && $0.signFlag == nil && $0.mask == nil
                && $0.quantity.kind != .text && $0.encoding != .schneider4q && $0.absent.count <= 1 && !$0.block.table.isBits
        }
        var fixed: [String: Value] = [:]
        var taken: [Block] = profile.identity.map(\.block)
        for point in plain.shuffled(using: &random)
        where !taken.contains(where: { $0.table == point.block.table && $0.range.overlaps(point.block.range) }) {
            taken.append(point.block)
            let steps = ExactDecimal(Int64.random(in: 1...9999, using: &random))
            guard let size = steps.multiplied(by: point.factor), let value = (point.invert ? size.negated : size)?.adding(point.offset)
            else { continue }
            fixed[point.quantity.id] = .number(value)
        }
        let time = ManualTime()
        let device = try ProfiledDevice(profile: profile, start: time.wall(), fixed: fixed)
        let answers = try await read(profile, from: Site(devices: [1: device], time: time))
        for reading in ReadingDecoder(profile: profile).decode(answers) {
            let id = profile.points[reading.point].quantity.id
            if let value = fixed[id] { #expect(reading.value == value, "\(name): \(id)") }
        }
    }

    @Test func aDevicesNumbersAgreeWithEachOtherAndCountersRise() throws {
        let profile = try Self.load("abb-b23")
        let time = ManualTime()
        let device = try ProfiledDevice(profile: profile, start: time.wall())
        func value(_ id: String) throws -> Double {
            let index = try #require(profile.points.firstIndex { $0.quantity.id == id })
            return try #require(device.values(at: time.wall())[index].number).double
        }
        var last = 0.0
        for _ in 0..<200 {
            let sum = try value("power_active_l1") + value("power_active_l2") + value("power_active_l3")
            #expect(abs(sum - (try value("power_active"))) < 0.001)
            let energy = try value("energy_active_import")
            #expect(energy > last)
            last = energy
            time.advance(by: .seconds(7))
        }
    }

    @Test func registersWithoutMeaningAreIllegalAndSoIsMoreThanTheDeviceAllows() throws {
        let profile = try Self.load("eastron-sdm630")
        let device = try ProfiledDevice(profile: profile, start: Timestamp(milliseconds: 0))
        let image = device.image(at: Timestamp(milliseconds: 0), reset: nil)
        #expect(device.requestLimit == profile.limits.maxRegisters)
        #expect(image.words(Block(.input, 0, count: 6))?.count == 6)
        #expect(image.words(Block(.input, 60_000, count: 1)) == nil)
        #expect(image.words(Block(.coil, 0, count: 1)) == nil)
    }

    @Test func aValueThatDoesNotFitIsRefusedWithTheReason() throws {
        let profile = try Self.load("abb-b23")
        let cases: [(String, Value, String)] = [
            ("voltage_l9", .number(ExactDecimal(1)), "is no quantity of abb-b23"),
            ("frequency", .number(ExactDecimal(5000)), "frequency=5000 cannot be put into its registers"),
            ("frequency", .text("fast"), "is no number"),
        ]
        for (id, value, reason) in cases {
            let error = #expect(throws: SimulatorError.self) {
                _ = try ProfiledDevice(profile: profile, start: Timestamp(milliseconds: 0), fixed: [id: value])
            }
            #expect(error?.code == .usage)
            #expect(error?.text.contains(reason) == true, "\(error?.text ?? "")")
        }
    }
}
