import Metering

/// What all records of one source have in common, rendered once: what they begin with, and the key of every point.
final class RecordShape: Sendable {
    let source: RecordSource
    /// What names the device in the format.
    let head: [UInt8]
    /// `,"voltage_l1":` of every point, one after the other.
    private let keys: [UInt8]
    /// Where the key of a point begins in `keys`; one more than there are points.
    private let starts: [Int]
    /// For each point the first one of the same quantity. Nil when all are different, as profiles have it.
    private let firsts: [Int]?

    /// - Parameter key: appends a quantity's key, without the comma before it.
    init(_ source: RecordSource, head: [UInt8], key: (Quantity, inout [UInt8]) -> Void) {
        self.source = source
        self.head = head
        var keys: [UInt8] = []
        var starts = [0]
        var firstOf: [String: Int] = [:]
        var firsts: [Int] = []
        for (index, quantity) in source.decoder.quantities.enumerated() {
            keys.append(UInt8(ascii: ","))
            key(quantity, &keys)
            starts.append(keys.count)
            firsts.append(firstOf[quantity.id] ?? index)
            firstOf[quantity.id] = firsts[index]
        }
        self.keys = keys
        self.starts = starts
        self.firsts = firstOf.count == firsts.count ? nil : firsts
    }

    var pointCount: Int { starts.count - 1 }

    func quantity(_ point: Int) -> Quantity { source.decoder.quantities[point] }

    /// - Parameter bare: without the comma before it.
    @inline(__always)
    func writeKey(_ point: Int, bare: Bool, to bytes: inout [UInt8]) {
        let range = starts[point] + (bare ? 1 : 0)..<starts[point + 1]
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

/// What was made of the sources in use, once each.
struct PerSource<Made: Sendable>: Sendable {
    /// Sources that are remembered; beyond it all are forgotten and what was made of them is made anew.
    static var limit: Int { 1024 }

    /// With its source, so that no other object can get the same identity meanwhile.
    private var known: [ObjectIdentifier: (source: RecordSource, made: Made)] = [:]

    mutating func of(_ source: RecordSource, make: (RecordSource) -> Made) -> Made {
        let id = ObjectIdentifier(source)
        if let known = known[id] { return known.made }
        if known.count >= Self.limit { known.removeAll(keepingCapacity: true) }
        let made = make(source)
        known[id] = (source, made)
        return made
    }
}
