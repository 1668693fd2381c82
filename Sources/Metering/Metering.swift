// Metering: what a meter says.
//
// Quantities, register maps, decoding, times and qualities, as plain values. Nothing here does I/O, reads a clock, logs or awaits:
// the same words and the same profile always give the same readings.

/// One point of one device at one time: a value, or none, and why.
///
/// `value` is nil exactly when nothing usable was read; `quality` then says what was wrong. A value with a quality other than good is
/// usable but questionable.
package struct Reading: Hashable, Sendable {
    /// The index of the point in `Profile.points` of the catalog entry that decoded it.
    package var point: Int
    package var value: Value?
    package var quality: Quality

    package init(point: Int, value: Value?, quality: Quality = .good) {
        self.point = point
        self.value = value
        self.quality = quality
    }
}

/// What a point can be: a number, exact as the device gave it, or a text such as a serial number.
package enum Value: Hashable, Sendable {
    case number(ExactDecimal)
    case text(String)

    package var number: ExactDecimal? {
        if case .number(let number) = self { number } else { nil }
    }
}
