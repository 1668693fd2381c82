import Metering

/// What all records of one source have in common, rendered once: the device and the key of every point.
///
/// Holds its source, so that no other object can get the same identity while the shape is cached.
final class RecordShape {
    let source: RecordSource
    /// `,"device":"main","time":`
    let device: [UInt8]
    /// `,"voltage_l1":` of every point, one after the other.
    private let keys: [UInt8]
    /// Where the key of a point begins in `keys`; one more than there are points.
    private let starts: [Int]
    /// For each point the first one of the same quantity. Nil when all are different, as profiles have it.
    private let firsts: [Int]?

    init(_ source: RecordSource) {
        self.source = source
        var device: [UInt8] = []
        device.write(",\"device\":")
        device.write(string: source.entry.device)
        device.write(",\"time\":")
        self.device = device
        var keys: [UInt8] = []
        var starts = [0]
        var firstOf: [String: Int] = [:]
        var firsts: [Int] = []
        for (index, quantity) in source.decoder.quantities.enumerated() {
            keys.append(UInt8(ascii: ","))
            keys.write(string: quantity.id)
            keys.append(UInt8(ascii: ":"))
            starts.append(keys.count)
            firsts.append(firstOf[quantity.id] ?? index)
            firstOf[quantity.id] = firsts[index]
        }
        self.keys = keys
        self.starts = starts
        self.firsts = firstOf.count == firsts.count ? nil : firsts
    }

    var pointCount: Int { starts.count - 1 }

    /// - Parameter first: the object's first member has no comma before it.
    @inline(__always)
    func writeKey(_ point: Int, first: Bool, to bytes: inout [UInt8]) {
        let range = starts[point] + (first ? 1 : 0)..<starts[point + 1]
        keys.withUnsafeBufferPointer { bytes.append(contentsOf: UnsafeBufferPointer(rebasing: $0[range])) }
    }

    /// One reading for each quantity: the first with a value, or else the first. Points that the profile does not have are left out.
    func distinct(_ readings: [Reading]) -> [Reading] {
        guard let firsts else {
            let inRange = readings.allSatisfy { $0.point >= 0 && $0.point < pointCount }
            return inRange ? readings : readings.filter { $0.point >= 0 && $0.point < pointCount }
        }
        var result: [Reading] = []
        var place: [Int: Int] = [:]
        for reading in readings where reading.point >= 0 && reading.point < pointCount {
            let quantity = firsts[reading.point]
            if let index = place[quantity] {
                if result[index].value == nil, reading.value != nil { result[index] = reading }
            } else {
                place[quantity] = result.count
                result.append(reading)
            }
        }
        return result
    }
}
