import Metering
import Testing

/// The habits of devices that a profile must be able to say: each is said by a shipped profile, so that a format that loses one is found.
@Suite struct QuirkTests {
    private static let quirks: [(name: String, isSaid: @Sendable (Profile) -> Bool)] = [
        ("low word first", { $0.points.contains { $0.order == .cdab } }),
        ("word order mixed inside one device", { Set($0.points.filter { $0.encoding.wordCount == 2 }.map(\.order)).count > 1 }),
        ("word order is a setting that is read first", { $0.name == "kostal-plenticore-abcd" && !$0.identity.isEmpty }),
        ("small maximum read", { $0.limits.maxRegisters <= 11 }), ("no gaps", { $0.limits.maxGap == 0 && $0.limits.windows.isEmpty }),
        ("windows", { $0.limits.windows.count > 1 }), ("pause between requests", { $0.limits.requestPause > .zero }),
        ("silence after connecting", { $0.limits.connectDelay > .zero }), ("one TCP client", { $0.hints.singleClient }),
        ("unit 0", { $0.hints.unit == 0 }), ("unit 247", { $0.hints.unit == 247 }),
        ("a port of its own", { $0.hints.port != nil && $0.hints.port != 502 }),
        ("power counted the other way round", { $0.points.contains { $0.invert && $0.quantity.id.hasPrefix("grid_power") } }),
        ("import less export", { $0.points.contains { $0.terms.contains { $0.factor.mantissa < 0 } } }),
        ("sign in another register", { $0.points.contains { $0.signFlag != nil } }),
        ("all ones is not available", { $0.points.contains { $0.absent == [0x7FFF] } }),
        ("the smallest is not available", { $0.points.contains { $0.absent == [0x8000] } }),
        ("the lowest float is not available", { $0.points.contains { $0.absent == [0xFF7F_FFFF] } }),
        ("accumulator at zero", { $0.points.contains { $0.encoding == .acc32 } }),
        ("float with a decimal scale", { $0.points.contains { $0.encoding == .float32 && $0.factor.exponent < 0 } }),
        ("scale factor from a register", { $0.points.contains { $0.scaleRegister != nil } }),
        ("factor by a setting of the device", { $0.points.contains { $0.ratios.contains { !$0.map.isEmpty } } }),
        ("transformer ratios", { $0.points.contains { $0.ratios.contains { $0.map.isEmpty } } }),
        ("whole number and fraction", { $0.points.contains { $0.terms.contains { $0.factor.exponent <= -9 } } }),
        ("halves that stand apart", { $0.points.contains { !$0.parts.isEmpty } }),
        ("offset", { $0.points.contains { $0.offset != .zero } }),
        ("four-quadrant power factor", { $0.points.contains { $0.encoding == .schneider4q } }),
        ("told by a text", { $0.identity.contains { if case .prefixes = $0.expectation { true } else { false } } }),
        ("told by a number", { $0.identity.contains { if case .numbers = $0.expectation { true } else { false } } }),
        ("told by a frequency", { $0.identity.contains { if case .between = $0.expectation { true } else { false } } }),
        ("loses the first request", { $0.limits.losesFirstRequest }), ("something must be set first", { $0.hints.setup != nil }),
        ("counter in float64", { $0.points.contains { $0.encoding == .float64 && $0.quantity.kind == .counter } }),
        ("even parity", { $0.hints.format == "8E1" }), ("2400 baud", { $0.hints.baud == 2400 }),
    ]

    @Test func everyHabitOfTheCatalogueIsSaidByAShippedProfile() throws {
        let profiles = try ShippedProfiles.names.map { try ShippedProfiles.load($0) }
        for (name, isSaid) in Self.quirks { #expect(profiles.contains(where: isSaid), "no profile says: \(name)") }
    }
}
