// Host: what the machine gives us.
//
// Threads for blocking C, the clocks, a lock, gzip. The only module beside Metering that every room may use: it knows nothing of
// meters, SQL or HTTP.

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

/// Whether the kernel holds the wall clock synchronised, how far it may be off, and who says so.
package struct ClockState: Hashable, Sendable {
    package var quality: TimeQuality
    package var maxErrorMilliseconds: Int
    package var source: ClockSource

    package init(quality: TimeQuality, maxErrorMilliseconds: Int, source: ClockSource = .kernel) {
        self.quality = quality
        self.maxErrorMilliseconds = maxErrorMilliseconds
        self.source = source
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

    /// Nil: the one that all share.
    private let enquiry: ClockEnquiry?

    package init() { enquiry = nil }

    /// - Parameter enquiry: how to learn of the kernel's clock.
    package init(enquiry: ClockEnquiry) { self.enquiry = enquiry }

    package func uptime() -> Uptime { Uptime(nanoseconds: SystemTime.read(CLOCK_BOOTTIME)) }

    package func wall() -> Timestamp { Timestamp(milliseconds: SystemTime.read(CLOCK_REALTIME) / 1_000_000) }

    /// As it was told within the last second: each poll of each bus wants to know, and it changes in minutes.
    package func clockState() -> ClockState { (enquiry ?? ClockEnquiry.shared).state() }

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
