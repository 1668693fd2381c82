import FoundationEssentials
import Metering
import TestSupport
import Testing

/// What holds for every shipped profile.
@Suite struct ProfileLibraryTests {
    @Test(arguments: ShippedProfiles.names) func everyProfileNamesItsSourceAndShowsExamples(_ name: String) throws {
        let profile = try ShippedProfiles.load(name)
        #expect(profile.source.utf8.count > 20)
        #expect(!profile.models.isEmpty)
        #expect(!profile.examples.isEmpty)
        #expect(profile.examples.contains { $0.value != nil })
    }

    @Test(arguments: ShippedProfiles.names) func everyPointCanBeReadWithinTheLimitsOfItsDevice(_ name: String) throws {
        let profile = try ShippedProfiles.load(name)
        for point in profile.points {
            for (table, run) in [(point.block.table, point.run)] + point.ratios.map({ ($0.block.table, $0.block.range) }) {
                #expect(run.count <= profile.limits.maxRegisters, "\(name): \(point.quantity.id)")
                #expect(!profile.limits.forbidden.contains { $0.table == table && $0.range.overlaps(run) }, "\(name): \(point.quantity.id)")
                #expect(!profile.limits.windows.contains { $0.table == table && $0.cuts(run) }, "\(name): \(point.quantity.id)")
            }
            #expect(point.companions.allSatisfy { $0.table == point.block.table }, "\(name): \(point.quantity.id)")
        }
        for check in profile.identity { #expect(Int(check.block.count) <= profile.limits.maxRegisters, "\(name)") }
    }

    /// Registers belong to one value: two points share all of them or none.
    @Test(arguments: ShippedProfiles.names) func noTwoPointsCutEachOther(_ name: String) throws {
        let points = try ShippedProfiles.load(name).points.sorted {
            ($0.block.table, $0.block.address) < ($1.block.table, $1.block.address)
        }
        for (one, next) in zip(points, points.dropFirst()) where one.block != next.block {
            let overlap = one.block.table == next.block.table && one.block.range.overlaps(next.block.range)
            #expect(!overlap, "\(name): \(one.quantity.id) and \(next.quantity.id)")
        }
    }

    @Test(arguments: ShippedProfiles.names) func productionAndCountersAreNeverTurnedRound(_ name: String) throws {
        for point in try ShippedProfiles.load(name).points where point.quantity.kind == .counter || point.quantity.id == "pv_power" {
            #expect(!point.invert, "\(name): \(point.quantity.id)")
            // A flag among the value's own bits makes its size of it; any other would turn a counter round.
            #expect(point.signFlag.map { point.block.covers($0.block) } ?? true, "\(name): \(point.quantity.id)")
        }
    }

    @Test(arguments: ShippedProfiles.names) func identityIsReadOnceAndPowerIsReadLive(_ name: String) throws {
        for point in try ShippedProfiles.load(name).points {
            if point.quantity.kind == .text { #expect(point.pointClass == .once, "\(name): \(point.quantity.id)") }
            if point.quantity.id == "power_active" { #expect(point.pointClass == .live, "\(name)") }
        }
    }

    /// Whatever a device sends, each point is a number, a text or a reason; extreme words are tried as often as random ones.
    @Test(arguments: ShippedProfiles.names) func noWordsCrashTheDecoder(_ name: String) throws {
        var random = SeededGenerator(seed: 20_261_124)
        let profile = try ShippedProfiles.load(name)
        let decoder = ReadingDecoder(profile: profile, invert: Bool.random(using: &random))
        let extremes: [UInt16] = [0, 1, 0x7FFF, 0x8000, 0xFFFF, 0x7F7F, 0xFF7F, 0x7FF0]
        for _ in 0..<40 {
            let blocks = profile.points.flatMap { point in
                [Block(point.block.table, UInt16(point.run.lowerBound), count: UInt16(point.run.count))] + point.ratios.map(\.block)
            }
            let answers = blocks.map { block in
                let words = (0..<block.count).map { _ in
                    Bool.random(using: &random)
                        ? extremes.randomElement(using: &random) ?? 0 : UInt16.random(in: 0 ... .max, using: &random)
                }
                return BlockAnswer(block: block, outcome: .words(words))
            }
            let readings = decoder.decode(answers)
            #expect(readings.map(\.point) == Array(profile.points.indices))
            #expect(readings.allSatisfy { ($0.value == nil) == ($0.quality != .good) })
            #expect(decoder.count(answers) == readings.count)
            // Answers cut short are missing words, not a crash.
            let torn = answers.map { answer in
                guard case .words(let words) = answer.outcome else { return answer }
                return BlockAnswer(block: answer.block, outcome: .words(Array(words.dropLast())))
            }
            #expect(decoder.decode(torn).count == readings.count)
        }
    }

    @Test func everyQuantityAndEveryShippedProfileIsDocumented() throws {
        let file = ShippedProfiles.directory.deletingLastPathComponent().appending(path: "docs/device-profiles.md")
        let text = try String(contentsOf: file, encoding: .utf8)
        let ranges = ["_s", "_i"]  // `_s1` ... `_s24` are written as a range
        for quantity in Vocabulary.all {
            let parts = quantity.id.split(separator: "_")
            let last = parts.last.map(String.init) ?? ""
            let isNumbered = last.count > 1 && "lsti".contains(last.prefix(1)) && last.dropFirst().allSatisfy(\.isNumber)
            let base = isNumbered ? parts.dropLast().joined(separator: "_") : quantity.id
            #expect(text.contains("`\(quantity.id)`") || text.contains("`\(base)`"), "\(quantity.id)")
            if isNumbered, !ranges.contains("_" + last.prefix(1)), !text.contains("`\(quantity.id)`") {
                #expect(text.contains("`_\(last)`"), "\(quantity.id)")
            }
        }
        for name in ShippedProfiles.names { #expect(text.contains("| `\(name)` |"), "\(name)") }
    }

    /// Devices are told apart by what they say of themselves, where they do: no device of one profile is taken for another's.
    @Test func modelsThatNameThemselvesAreToldApart() throws {
        var known: [String: String] = [:]
        for name in ShippedProfiles.names {
            for check in try ShippedProfiles.load(name).identity {
                guard case .prefixes(let prefixes) = check.expectation, check.block.address == 49 else { continue }
                for prefix in prefixes {
                    let other = known.first { $0.key.hasPrefix(prefix) || prefix.hasPrefix($0.key) }
                    #expect(other == nil, "\(name) and \(other?.value ?? "") both take \(prefix)")
                    known[prefix] = name
                }
            }
        }
        #expect(known.count > 8)
    }
}
