import FoundationEssentials
import Glibc
import Metering
import TestSupport
import Testing

/// Profiles and registers that chance has spoiled. `METERD_FUZZ=50` makes it fifty times as long.
@Suite struct ProfileFuzzTests {
    private static let seed: UInt64 = 20_261_124

    private static var factor: Int { getenv("METERD_FUZZ").flatMap { Int(String(cString: $0)) } ?? 1 }

    private static let spoiler = TextSpoiler(scraps: [
        "[[point]]", "[[", "\"", "'''", "=", "0x", "-1", "1e999", "99999999999999999999", "nan", "address = 65535",
        "[read]\nmax_registers = 1",
        "type = \"bcd64\"", "length = 125", "scale = 1e-300", "map = { 0 = 1e30 }", "mask = 0", "parts = []", "plus = [{}]", "\u{0}",
        "\u{FEFF}",
    ])

    /// Each spoiled profile is refused with its problems named, or read and then keeps what every profile must.
    @Test func spoiledProfilesAreRefusedWithAReasonOrSound() throws {
        print("profile fuzz: seed \(Self.seed)")
        var random = SeededGenerator(seed: Self.seed)
        let names = ShippedProfiles.names
        var refused = 0
        var sound = 0
        for round in 0..<150 * Self.factor {
            let name = names[round % names.count]
            let text = try String(contentsOf: ShippedProfiles.directory.appending(path: name + ".toml"), encoding: .utf8)
            do throws(Problems) {
                let profile = try Profile(toml: Self.spoiler.spoil(text, &random), file: "spoiled.toml")
                sound += 1
                #expect(!profile.points.isEmpty && profile.points.count <= 512)
                for point in profile.points {
                    #expect(point.run.upperBound <= 65_536 && point.block.count > 0, "round \(round) of seed \(Self.seed)")
                    #expect(point.factor.mantissa != 0, "round \(round) of seed \(Self.seed)")
                }
                decodeNoise(profile, &random, round)
            } catch {
                refused += 1
                #expect(!error.list.isEmpty && error.list.allSatisfy { $0.file == "spoiled.toml" && !$0.text.isEmpty })
            }
        }
        #expect(refused > 5 && sound > 5, "\(refused) refused, \(sound) sound")
    }

    /// A reading has a value or a reason, never both and never neither, whatever the registers hold.
    private func decodeNoise(_ profile: Profile, _ random: inout SeededGenerator, _ round: Int) {
        let answers = profile.points.map { point in
            let words = (0..<point.run.count).map { _ in UInt16.random(in: 0 ... .max, using: &random) }
            return BlockAnswer(
                block: Block(point.block.table, UInt16(point.run.lowerBound), count: UInt16(point.run.count)),
                outcome: .words(Bool.random(using: &random) ? words : Array(words.dropLast())))
        }
        for reading in ReadingDecoder(profile: profile).decode(answers) {
            #expect((reading.value == nil) == (reading.quality != .good), "round \(round) of seed \(Self.seed)")
        }
    }

    /// One bit of a worked example turned round: another value, or none, but the old value only where that bit means nothing.
    @Test func aTurnedBitIsNeverHidden() throws {
        for name in ShippedProfiles.names {
            let profile = try ShippedProfiles.load(name)
            let decoder = ReadingDecoder(profile: profile)
            for example in profile.examples {
                guard let index = profile.points.firstIndex(where: { $0.quantity.id == example.quantity }) else { continue }
                let point = profile.points[index]
                let isPlain =
                    point.terms.isEmpty && point.ratios.isEmpty && point.mask == nil && point.map.isEmpty && point.names.isEmpty
                    && point.parts.isEmpty && point.signFlag == nil && point.scaleRegister == nil && point.quantity.kind != .text
                guard isPlain, point.encoding != .schneider4q, example.value != nil, case .words(let words) = example.answers[0].outcome
                else { continue }
                for bit in 0..<words.count * 16 {
                    var turned = words
                    turned[bit / 16] ^= 1 << UInt16(bit % 16)
                    let answer = BlockAnswer(block: example.answers[0].block, outcome: .words(turned))
                    let reading = decoder.decode([answer]).first { $0.point == index }
                    #expect(reading?.value != example.value || example.value == .number(.zero), "\(name): \(example.quantity), bit \(bit)")
                }
            }
        }
    }
}
