import CHost
import Glibc

/// What the kernel says of its clock.
package struct KernelAnswer: Hashable, Sendable {
    /// STA_UNSYNC is clear: a time service keeps the clock.
    package var isSynchronized: Bool
    /// The largest error that the kernel thinks possible.
    package var maxErrorMicroseconds: Int

    package init(isSynchronized: Bool, maxErrorMicroseconds: Int) {
        self.isSynchronized = isSynchronized
        self.maxErrorMicroseconds = maxErrorMicroseconds
    }

    /// adjtimex(2) with nothing to change, for which it needs no right; nil where it is forbidden all the same, by a system call filter
    /// (`ProtectClock=yes`, many containers).
    @Sendable package static func ask() -> KernelAnswer? {
        var state = timex()
        guard adjtimex(&state) >= 0 else { return nil }
        return KernelAnswer(isSynchronized: state.status & STA_UNSYNC == 0, maxErrorMicroseconds: max(0, state.maxerror))
    }

    /// Synchronised means that the kernel says so and the error is below the bound.
    package func state(from source: ClockSource) -> ClockState {
        let milliseconds = maxErrorMicroseconds / 1000
        let isGood = isSynchronized && milliseconds <= SystemTime.maxErrorBound
        return ClockState(quality: isGood ? .synchronized : .unknown, maxErrorMilliseconds: milliseconds, source: source)
    }
}

/// Who said what is known of the clock.
package enum ClockSource: Hashable, Sendable {
    /// The kernel, to this process.
    case kernel
    /// The kernel, to the companion that asks it for a process which may not.
    case companion
    /// Nobody: this process may not ask, and this is why the companion's file does not count.
    case nobody(ClockStateFile, ClockStateFile.Fault)
}
