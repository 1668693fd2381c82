/// Spoils a text as chance, an editor or a full disk would: a byte, a digit, a missing or doubled piece, a cut, a scrap of something else.
package struct TextSpoiler {
    private let scraps: [String]

    /// - Parameter scraps: what may be put in anywhere.
    package init(scraps: [String]) { self.scraps = scraps }

    package func spoil(_ text: String, _ random: inout SeededGenerator) -> String {
        var bytes = Array(text.utf8)
        for _ in 0..<Int.random(in: 1...2, using: &random) where !bytes.isEmpty {
            let place = Int.random(in: bytes.indices, using: &random)
            switch Int.random(in: 0...11, using: &random) {
            case 0: bytes[place] = UInt8.random(in: 0 ... .max, using: &random)
            case 1: bytes[place] = UInt8.random(in: 0x20...0x7E, using: &random)
            case 2: bytes.removeSubrange(place..<min(bytes.count, place + Int.random(in: 1...40, using: &random)))
            case 3: bytes.insert(contentsOf: (scraps.randomElement(using: &random) ?? "").utf8, at: place)
            case 4: bytes.insert(contentsOf: bytes[place..<min(bytes.count, place + 60)], at: place)
            case 5: bytes.removeSubrange(place...)
            default:
                // A digit for another: the file stays what it is more often than not.
                if let digit = bytes[place...].firstIndex(where: { (0x30...0x39).contains($0) }) {
                    bytes[digit] = UInt8.random(in: 0x30...0x39, using: &random)
                }
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
