/// The quality word of a reading: 16 bits, 0 is good.
///
/// - Source: the bit order is meterd's own; its mappings to OPC UA, IEC 61850, ESPI and Sparkplug stand in docs/data-quality.md.
package struct Quality: OptionSet, Hashable, Sendable {
    package let rawValue: UInt16
    package init(rawValue: UInt16) { self.rawValue = rawValue }

    package static let good: Quality = []
    /// The device did not answer, or its bus is down.
    package static let noCommunication = Quality(rawValue: 1 << 0)
    /// The device answered with a Modbus exception.
    package static let deviceFault = Quality(rawValue: 1 << 1)
    /// The words are a sentinel ("not available"), not a number, or do not decode.
    package static let badValue = Quality(rawValue: 1 << 2)
    package static let outOfRange = Quality(rawValue: 1 << 3)
    package static let spike = Quality(rawValue: 1 << 4)
    package static let stuck = Quality(rawValue: 1 << 5)
    package static let lateRead = Quality(rawValue: 1 << 6)
    package static let partial = Quality(rawValue: 1 << 7)
    package static let interpolated = Quality(rawValue: 1 << 8)
    package static let estimated = Quality(rawValue: 1 << 9)
    package static let manualEdit = Quality(rawValue: 1 << 10)
    package static let registerBreak = Quality(rawValue: 1 << 11)
    package static let calibrationExpired = Quality(rawValue: 1 << 12)
    package static let identityUnverified = Quality(rawValue: 1 << 13)
    package static let timeUnsynchronized = Quality(rawValue: 1 << 14)
    package static let test = Quality(rawValue: 1 << 15)

    /// The names of the set bits, lowest first, as the CLI and the documentation spell them.
    package var names: [String] {
        Quality.bitNames.enumerated().compactMap { rawValue & (1 << $0.offset) != 0 ? $0.element : nil }
    }

    private static let bitNames = [
        "NO_COMM", "DEVICE_FAULT", "BAD_VALUE", "OUT_OF_RANGE", "SPIKE", "STUCK", "LATE_READ", "PARTIAL", "INTERPOLATED", "ESTIMATED",
        "MANUAL_EDIT", "REG_BREAK", "CALIBRATION_EXPIRED", "IDENTITY_UNVERIFIED", "TIME_UNSYNC", "TEST",
    ]
}
