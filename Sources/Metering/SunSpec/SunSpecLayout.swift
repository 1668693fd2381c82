/// What the points of a SunSpec model are to us: which quantity stands at which offset of it.
///
/// - Source: sunspec/models, model_<id>.json, commit 7abdf8982d5364f8ae916deee18aac86c11be36d.
struct SunSpecLayout: Sendable {
    enum Family: Hashable, Sendable { case inverter, meter, storage, strings, other }

    /// One point of a model.
    struct Row: Sendable {
        var quantity: String
        /// From the register that holds the model's id.
        var offset: Int
        var encoding: Encoding
        var unit: String
        /// Offset of its scale factor.
        var scale: Int?
        var pointClass: PointClass
        var invert = false
        /// What the model's codes are in ours.
        var map: [Int64: Int64] = [:]

        init(
            _ quantity: String, _ offset: Int, _ encoding: Encoding, _ unit: String = "", scale: Int? = nil,
            read pointClass: PointClass = .live, invert: Bool = false, map: [Int64: Int64] = [:]
        ) {
            self.quantity = quantity
            self.offset = offset
            self.encoding = encoding
            self.unit = unit
            self.scale = scale
            self.pointClass = pointClass
            self.invert = invert
            self.map = map
        }
    }

    /// A group of points that comes once for each string, module or port.
    struct Group: Sendable {
        /// Offset of the first instance.
        var start: Int
        var size: Int
        /// With offsets from the start of an instance, and scale factors from that of the model.
        var rows: [Row]
    }

    var family: Family
    var rows: [Row]
    var group: Group?

    static let storageModels: Set<UInt16> = [124, 713, 802]

    /// Nil for a model that nothing here knows.
    static func of(_ id: UInt16) -> SunSpecLayout? {
        switch id {
        case 101, 102, 103: integerInverter
        case 111, 112, 113: floatInverter
        case 120: nameplate
        case 122: status
        case 123: controls
        case 124: storage
        case 160: strings
        case 201, 202, 203, 204: integerMeter
        case 211, 212, 213, 214: floatMeter
        case 701: derMeasurement
        case 713: derStorage
        case 714: derPorts
        case 802: battery
        default: nil
        }
    }

    /// Offset of a phase voltage in the models of float32.
    static func floatVoltage(_ id: UInt16) -> Int? {
        switch id {
        case 111, 112, 113: 16
        case 211, 212, 213, 214: 12
        default: nil
        }
    }

    /// Complete instances of the model's group: what its length has room for.
    static func instances(of model: SunSpecModel) -> Int {
        guard let group = of(model.id)?.group, model.count > group.start else { return 0 }
        return (model.count - group.start) / group.size
    }
}
