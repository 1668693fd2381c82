import Metering

/// How one output is doing, for the status page and the watchdog.
package struct DeliveryStatus: Hashable, Sendable {
    package enum State: String, Hashable, Sendable {
        /// Something is being handed on. Next: idle, retrying, paused, blocked.
        case delivering
        /// All is handed on, or waits to fill a batch. Next: delivering.
        case idle
        /// The receiver is not reachable or said to come later, or the store does not answer: heals by itself. Next: delivering.
        case retrying
        /// Credentials or URL are refused: someone must act. Next: delivering.
        case paused
        /// Everything is refused. Next: delivering.
        case blocked
    }

    package var state = State.idle
    package var lastSuccess: Timestamp?
    /// Why the last batch was not taken; nil once one is.
    package var lastError: String?
    /// Someone paused it; it goes on when it is resumed.
    package var isPaused = false
    /// Since when polls from before the first clock synchronisation wait for their date; nil when none do.
    package var holdingSince: Timestamp?
    /// When the failure that still stands began; nil when none does.
    package var failingSince: Timestamp?
    /// When the next request is due while retrying, paused or blocked.
    package var nextAttempt: Uptime?
    /// When the loop last turned.
    package var heartbeat: Uptime
    /// The loop must turn again by then: every wait it does is bounded.
    package var heartbeatDue: Uptime
    package var requests = 0
    package var failedRequests = 0
    package var acceptedRecords = 0
    package var rejectedRecords = 0

    init(now: Uptime, due: Uptime) {
        heartbeat = now
        heartbeatDue = due
    }

    /// False when the loop hangs.
    package func isAlive(at now: Uptime) -> Bool { now <= heartbeatDue }
}
