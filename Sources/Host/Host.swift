// Host: what the machine gives us.
//
// Threads for blocking C, the clocks, a lock, gzip. The only module beside Metering that every room may use: it knows nothing of
// meters, SQL or HTTP.

import CHost
import Glibc
import Metering

/// The clocks, as one thing to pass in: monotonic for waiting, wall for stamping. Nothing else in the project reads the time.
package protocol TimeSource: Sendable {
    /// Time since the machine started; never steps.
    func uptime() -> Uptime
    /// The wall clock as it stands.
    func wall() -> Timestamp
    /// What is known about the wall clock now.
    func clockState() -> ClockState
    /// Returns at `deadline`, or throws `CancellationError` when the task is cancelled.
    nonisolated(nonsending) func sleep(until deadline: Uptime) async throws
}

/// Whether the kernel holds the wall clock synchronised, and how far it may be off.
package struct ClockState: Hashable, Sendable {
    package var quality: TimeQuality
    package var maxErrorMilliseconds: Int

    package init(quality: TimeQuality, maxErrorMilliseconds: Int) {
        self.quality = quality
        self.maxErrorMilliseconds = maxErrorMilliseconds
    }
}

/// What the kernel said of its clock, for a second.
package final class ClockMemory: Sendable {
    private let known = Lock<(state: ClockState, until: Uptime)?>(nil)

    package init() {}

    package func state(at now: Uptime, _ ask: () -> ClockState) -> ClockState {
        known.withLock { known in
            if let known, now < known.until { return known.state }
            let state = ask()
            known = (state, now + .seconds(1))
            return state
        }
    }
}

/// The real clocks of Linux.
package struct SystemTime: TimeSource {
    /// A clock whose error may be larger is not called synchronised.
    package static let maxErrorBound = 1000

    package init() {}

    package func uptime() -> Uptime { Uptime(nanoseconds: SystemTime.read(CLOCK_BOOTTIME)) }

    package func wall() -> Timestamp { Timestamp(milliseconds: SystemTime.read(CLOCK_REALTIME) / 1_000_000) }

    /// As the kernel said it within the last second: each poll of each bus wants to know, and it changes in minutes.
    package func clockState() -> ClockState { SystemTime.clock.state(at: uptime(), SystemTime.askKernel) }

    private static let clock = ClockMemory()

    /// adjtimex(2): synchronised means STA_UNSYNC is clear and the estimated maximum error is below the bound.
    private static func askKernel() -> ClockState {
        var state = timex()
        guard adjtimex(&state) >= 0 else { return ClockState(quality: .unknown, maxErrorMilliseconds: Int(Int32.max)) }
        let milliseconds = state.maxerror / 1000
        let synchronized = state.status & STA_UNSYNC == 0 && milliseconds <= SystemTime.maxErrorBound
        return ClockState(quality: synchronized ? .synchronized : .unknown, maxErrorMilliseconds: milliseconds)
    }

    package func sleep(until deadline: Uptime) async throws {
        let left = deadline - uptime()
        if left > .zero { try await Task.sleep(for: left) } else { try Task.checkCancellation() }
    }

    /// CLOCK_MONOTONIC, which the service manager goes by: unlike `uptime` it stands still in sleep.
    package static func monotonicMicroseconds() -> Int64 { read(CLOCK_MONOTONIC) / 1000 }

    private static func read(_ clock: Int32) -> Int64 {
        var time = timespec()
        clock_gettime(clock, &time)
        return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
    }
}
