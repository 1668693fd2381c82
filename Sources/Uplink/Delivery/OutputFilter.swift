import Metering

/// What one output hands on: some devices, some quantities, some classes of points. A pure value.
///
/// What it leaves out counts as settled. It is part of what a batch is: two filters may make two batches of one range, so the filter's
/// mark stands in the batch id.
package struct OutputFilter: Hashable, Sendable {
    package var devices: NamePatterns
    package var quantities: NamePatterns
    /// Empty: all.
    package var classes: Set<PointClass>

    package init(devices: NamePatterns = NamePatterns([]), quantities: NamePatterns = NamePatterns([]), classes: Set<PointClass> = []) {
        self.devices = devices
        self.quantities = quantities
        self.classes = classes
    }

    /// The decoder of the points that are wanted of a device; it selects none when the device is not wanted.
    package func decoder(of device: String, _ whole: ReadingDecoder) -> ReadingDecoder {
        let isWanted = devices.contains(device)
        return whole.selecting { point, quantity in
            isWanted && (classes.isEmpty || classes.contains(point.pointClass)) && quantities.contains(quantity.id)
        }
    }

    /// Eight hexadecimal digits; the same filter always has the same. FNV-1a, 32 bits.
    package var mark: String {
        let lists = [devices.texts.sorted(), quantities.texts.sorted(), classes.map(\.rawValue).sorted()]
        let hash = lists.map { $0.joined(separator: ",") }.joined(separator: ";").utf8
            .reduce(UInt32(0x811c_9dc5)) { ($0 ^ UInt32($1)) &* 0x0100_0193 }
        let digits = String(hash, radix: 16)
        return String(repeating: "0", count: 8 - digits.utf8.count) + digits
    }
}

/// Names, with `*` for any run of characters; one that begins with `!` takes names out again.
package struct NamePatterns: Hashable, Sendable {
    package let texts: [String]
    private let included: [[UInt8]]
    private let excluded: [[UInt8]]

    package init(_ texts: [String]) {
        self.texts = texts
        included = texts.filter { !$0.hasPrefix("!") }.map { Array($0.utf8) }
        excluded = texts.filter { $0.hasPrefix("!") }.map { Array($0.utf8.dropFirst()) }
    }

    /// Named by one that includes, or there is none, and by none that excludes. Without any pattern it is every name.
    package func contains(_ name: String) -> Bool {
        let name = Array(name.utf8)
        guard included.isEmpty || included.contains(where: { NamePatterns.matches(name, $0) }) else { return false }
        return !excluded.contains { NamePatterns.matches(name, $0) }
    }

    package static func matches(_ name: String, _ pattern: String) -> Bool { matches(Array(name.utf8), Array(pattern.utf8)) }

    /// In steps of at most name times pattern: a star that led nowhere takes one more character.
    private static func matches(_ name: [UInt8], _ pattern: [UInt8]) -> Bool {
        var (at, place) = (0, 0)
        var star: (at: Int, place: Int)?
        while at < name.count {
            if place < pattern.count, pattern[place] == UInt8(ascii: "*") {
                star = (at, place)
                place += 1
            } else if place < pattern.count, pattern[place] == name[at] {
                (at, place) = (at + 1, place + 1)
            } else if let last = star {
                star = (last.at + 1, last.place)
                (at, place) = (last.at + 1, last.place + 1)
            } else {
                return false
            }
        }
        return pattern[place...].allSatisfy { $0 == UInt8(ascii: "*") }
    }
}
