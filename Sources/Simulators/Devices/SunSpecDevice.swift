import Metering

/// A device with whatever SunSpec models a test wants: any base, any order, known and unknown ones, with or without an end.
///
///     base: 5375 6E53   id length words …   id length words …   FFFF 0000
package struct SunSpecDevice: SimulatedDevice {
    package struct Model: Hashable, Sendable {
        package var id: UInt16
        /// What follows id and length.
        package var words: [UInt16]

        package init(_ id: UInt16, _ words: [UInt16]) {
            self.id = id
            self.words = words
        }
    }

    package var base: Int
    package var models: [Model]
    /// Nil for a device whose chain just stops.
    package var end: [UInt16]?

    package init(base: Int = 40_000, models: [Model], end: [UInt16]? = [0xFFFF, 0]) {
        self.base = base
        self.models = models
        self.end = end
    }

    package var requestLimit: Int { 125 }

    /// All registers from the base on.
    package var words: [UInt16] {
        [0x5375, 0x6E53] + models.flatMap { [$0.id, UInt16($0.words.count)] + $0.words } + (end ?? [])
    }

    package func image(at time: Timestamp, reset: Timestamp?) -> RegisterImage {
        var image = RegisterImage()
        let words = words
        image.open(.holding, base..<base + words.count)
        image.put(.holding, base, words)
        return image
    }
}

extension SunSpecDevice.Model {
    /// A common model of 65 or 66 registers.
    package static func common(
        _ manufacturer: String, _ model: String, version: String = "1.0.0", serial: String = "1", length: Int = 66
    ) -> SunSpecDevice.Model {
        var image = RegisterImage()
        image.open(.holding, 0..<length)
        image.put(.holding, 0, text: manufacturer, registers: 16)
        image.put(.holding, 16, text: model, registers: 16)
        image.put(.holding, 40, text: version, registers: 8)
        image.put(.holding, 48, text: serial, registers: 16)
        return SunSpecDevice.Model(1, image.words(Block(.holding, 0, count: UInt16(length))) ?? [])
    }

    /// Some registers of a model by their offsets as the standard counts them, from the id on; the others say "not implemented".
    package static func model(_ id: UInt16, length: Int, _ words: [Int: UInt16], filler: UInt16 = 0xFFFF) -> SunSpecDevice.Model {
        SunSpecDevice.Model(id, (0..<length).map { words[$0 + 2] ?? filler })
    }
}
