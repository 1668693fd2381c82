import Metering

/// A device for load: 40 float32 in 80 registers from address 0, the same in input and holding registers.
///
/// Values 0 to 29 are gauges that move a little every second, 30 to 39 counters that rise: what a meter's block looks like to a
/// compressor. `value(_:at:)` is the truth.
package struct LoadDevice: SimulatedDevice {
    package static let values = 40

    package var number: Int
    package init(number: Int) { self.number = number }

    package var requestLimit: Int { 125 }

    package func value(_ index: Int, at time: Timestamp) -> Float {
        let second = time.milliseconds.flooredQuotient(by: 1000)
        if index < 30 {
            let noise = PlantDay.noise(UInt64(number), UInt64(index), UInt64(bitPattern: second)) % 16
            return Float(2000 + 100 * index + number % 100 + Int(noise)) / 10
        }
        // 24-bit mantissa: counted in watt hours from the start of a 31-day cycle, so that each second's step shows.
        return Float(second % 2_678_400 + Int64(number)) * Float(index - 29) / 100
    }

    package func image(at time: Timestamp, reset: Timestamp?) -> RegisterImage {
        var words: [UInt16] = []
        words.reserveCapacity(2 * LoadDevice.values)
        for index in 0..<LoadDevice.values { words += RegisterImage.words(value(index, at: time).bitPattern) }
        var image = RegisterImage()
        for table in [RegisterTable.input, .holding] {
            image.open(table, 0..<words.count)
            image.put(table, 0, words)
        }
        return image
    }
}
