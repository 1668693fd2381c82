/// The chain of SunSpec models that a device was found to have, with what its map depends on beside them.
///
///     40000: 5375 6E53   0001 0042 …   0067 0032 …   FFFF 0000       "SunS", model 1 at 40002 (L 66), model 103 at 40070 (L 50), end
package struct SunSpecChain: Hashable, Sendable {
    /// Where the marker "SunS" is.
    package var base: UInt16
    package var models: [SunSpecModel]
    /// Who the logical devices are, by the address of their common model.
    package var identities: [UInt16: SunSpecIdentity] = [:]
    /// The order of words in float32; nil where no voltage told it.
    package var floatOrder: WordOrder?
    /// What the modules of a model 160 are called, by its address; empty for a module without a name.
    package var moduleNames: [UInt16: [String]] = [:]
    /// The device fell silent on the way, or a question has no answer yet: the map may be another one.
    package var isUncertain = false

    package init(base: UInt16, models: [SunSpecModel]) {
        self.base = base
        self.models = models
    }

    /// The models after each common model, with that: one logical device each. Models before the first common model are one as well.
    package var parts: [[SunSpecModel]] {
        var parts: [[SunSpecModel]] = []
        for model in models {
            if model.id == 1 || parts.isEmpty { parts.append([]) }
            parts[parts.count - 1].append(model)
        }
        return parts
    }

    package var hasStorage: Bool { models.contains { SunSpecLayout.storageModels.contains($0.id) } }

    /// Models that nothing here knows; they are stepped over.
    package var unknown: [SunSpecModel] { models.filter { $0.id != 1 && SunSpecLayout.of($0.id) == nil } }
}

/// One model of a chain.
package struct SunSpecModel: Hashable, Sendable {
    package var id: UInt16
    /// Address of the register that holds the id.
    package var address: UInt16
    /// Registers after id and length.
    package var length: UInt16

    package init(id: UInt16, address: UInt16, length: UInt16) {
        self.id = id
        self.address = address
        self.length = length
    }

    /// Registers with id and length, within the address space.
    package var count: Int { min(Int(length) + 2, 65_536 - Int(address)) }
}

/// Who a device is, by its SunSpec common model.
package struct SunSpecIdentity: Hashable, Sendable {
    package var manufacturer: String
    package var model: String
    package var version: String?
    package var serial: String?

    /// The block that holds it; nil for a model that is no common model or too short.
    package static func block(of model: SunSpecModel) -> Block? {
        guard model.id == 1, model.length >= 64, Int(model.address) + 66 <= 65_536 else { return nil }
        return Block(.holding, model.address + 2, count: 64)
    }

    package init(manufacturer: String, model: String, version: String? = nil, serial: String? = nil) {
        self.manufacturer = manufacturer
        self.model = model
        self.version = version
        self.serial = serial
    }

    /// - Parameter words: of `block(of:)`: manufacturer (16), model (16), options (8), version (8), serial number (16).
    package init?(_ words: [UInt16]) {
        guard words.count == 64 else { return nil }
        func text(_ range: Range<Int>) -> String? { RegisterText.text(words[range]) }
        guard let manufacturer = text(0..<16), let model = text(16..<32) else { return nil }
        self.init(manufacturer: manufacturer, model: model, version: text(40..<48), serial: text(48..<64))
    }
}

/// What must be asked once the chain is known, since the map depends on it.
package enum SunSpecQuestion: Hashable, Sendable {
    /// Who is it: some makers deviate from the models.
    case identity(SunSpecModel)
    /// A voltage, which tells the order of words in floats.
    case floatOrder(SunSpecModel, Block)
    /// Is this module of a model 160 a string or a battery.
    case moduleName(SunSpecModel, Int, Block)

    /// Modules of a model 160 that are asked for their names.
    static let moduleLimit = 8

    package var block: Block? {
        switch self {
        case .identity(let model): SunSpecIdentity.block(of: model)
        case .floatOrder(_, let block), .moduleName(_, _, let block): block
        }
    }
}

extension SunSpecChain {
    package var questions: [SunSpecQuestion] {
        var questions: [SunSpecQuestion] = models.filter { SunSpecIdentity.block(of: $0) != nil }.map { .identity($0) }
        if let (model, offset) = models.lazy.compactMap({ model in SunSpecLayout.floatVoltage(model.id).map { (model, $0) } }).first,
            offset + 2 <= model.count
        {
            questions.append(.floatOrder(model, Block(.holding, model.address + UInt16(offset), count: 2)))
        }
        guard hasStorage else { return questions }
        for model in models where model.id == 160 {
            for module in 0..<min(SunSpecLayout.instances(of: model), SunSpecQuestion.moduleLimit) {
                questions.append(.moduleName(model, module, Block(.holding, model.address + UInt16(11 + 20 * module), count: 8)))
            }
        }
        return questions
    }

    /// - Parameter words: nil when the device does not say.
    package mutating func take(_ words: [UInt16]?, for question: SunSpecQuestion) {
        switch question {
        case .identity(let model):
            identities[model.address] = words.flatMap { SunSpecIdentity($0) }
        case .floatOrder:
            floatOrder = words.flatMap(SunSpecChain.floatOrder)
        case .moduleName(let model, _, _):
            moduleNames[model.address, default: []].append(words.flatMap { RegisterText.text($0[...]) } ?? "")
        }
    }

    /// The order in which a phase voltage is one: above 100 V and up to 320 V. Nil for a device without voltage, at night.
    ///
    ///     4366 0000 → 230 V: ABCD;   0000 4366 → CDAB
    static func floatOrder(_ words: [UInt16]) -> WordOrder? {
        [WordOrder.abcd, .cdab].first { order in
            Encoding.float32.number(order.pattern(words[...])).map { (100...320).contains($0.double) } ?? false
        }
    }
}
