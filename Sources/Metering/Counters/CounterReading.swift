/// What a counter stood at, and when.
package struct CounterReading: Hashable, Sendable {
    /// As the meter said it.
    package var value: ExactDecimal
    package var time: Timestamp
    package var uptime: Uptime
    /// Uptimes are compared within one start of the machine only.
    package var boot: Int
    /// False where nobody had compared the wall clock.
    package var isSynchronized: Bool
    /// The poll before it gave no value, or there was none when there should have been one.
    package var followsGap: Bool
    /// What is counted with: `value`, or the value before it where this one is lower by no more than the last digit.
    var level: ExactDecimal

    package init(
        value: ExactDecimal, time: Timestamp, uptime: Uptime, boot: Int = 0, isSynchronized: Bool = true, followsGap: Bool = false
    ) {
        self.value = value
        self.time = time
        self.uptime = uptime
        self.boot = boot
        self.isSynchronized = isSynchronized
        self.followsGap = followsGap
        level = value
    }

    /// How long after the other it was read; nil where no clock says so.
    func elapsed(since earlier: CounterReading) -> Duration? {
        if boot == earlier.boot, uptime >= earlier.uptime { return uptime - earlier.uptime }
        guard isSynchronized, earlier.isSynchronized, time >= earlier.time else { return nil }
        return .milliseconds(time.milliseconds - earlier.time.milliseconds)
    }
}
