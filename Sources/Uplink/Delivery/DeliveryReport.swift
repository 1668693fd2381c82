import Host
import Logging
import Metering
import Store

/// Keeps an output's status and says in the log what a person should know: a standing fault once when it starts and once when it ends.
final class DeliveryReport: Sendable {
    /// What keeps an output from delivering.
    enum Fault: String {
        case unavailable, unauthorized, blocked, store

        var state: DeliveryStatus.State {
            switch self {
            case .unavailable: .retrying
            case .unauthorized: .paused
            case .store: .retrying
            case .blocked: .blocked
            }
        }
    }

    private struct State {
        var status: DeliveryStatus
        var fault: Fault?
        var faultStart: Uptime
        var rejectedUnlogged = 0
        var rejectionLogged: Uptime?
    }

    private let state: Lock<State>
    private let time: any TimeSource
    private let logger: Logger

    init(output: String, time: any TimeSource, logger: Logger) {
        var logger = logger
        logger[metadataKey: "output.name"] = "\(output)"
        self.logger = logger
        self.time = time
        let now = time.uptime()
        state = Lock(State(status: DeliveryStatus(now: now, due: now + DeliveryService.slack), faultStart: now))
    }

    var status: DeliveryStatus { state.withLock { $0.status } }

    /// The loop turned, and turns again within `bound`.
    func beat(for bound: Duration) {
        let now = time.uptime()
        state.withLock {
            $0.status.heartbeat = now
            $0.status.heartbeatDue = now + bound
        }
    }

    func sending(bound: Duration) {
        beat(for: bound)
        state.withLock {
            $0.status.requests += 1
            if $0.fault == nil { $0.status.state = .delivering }
        }
    }

    func setPaused(_ isPaused: Bool) {
        let changes = state.withLock { state in
            defer { state.status.isPaused = isPaused }
            return state.status.isPaused != isPaused
        }
        if changes { logger.notice(isPaused ? "output is paused" : "output goes on") }
    }

    /// Polls without a date wait for the clock.
    func holding(_ isHolding: Bool) {
        let wall = time.wall()
        let starts = state.withLock { state in
            defer { state.status.holdingSince = isHolding ? state.status.holdingSince ?? wall : nil }
            return isHolding && state.status.holdingSince == nil
        }
        if isHolding { idle() }
        if starts { logger.notice("output holds polls that were read before the clock was set, until it is") }
    }

    func idle(unless offer: SliceOffer) {
        switch offer {
        case .wait, .empty: idle()
        case .slice, .paused: break
        }
    }

    func idle() {
        state.withLock { if $0.fault == nil { $0.status.state = .idle } }
    }

    /// What came of a request with so many records, and what the plan makes of it.
    func note(_ settlement: Settlement, of records: Int, nextAttempt action: DeliveryPlan.Action) {
        let next: Uptime? = if case .wait(let until) = action { until } else { nil }
        switch settlement {
        case .accepted(let rejected): answered(refusal: rejected.count < records ? nil : rejected.first?.reason)
        case .refused(let reason), .tooLarge(let reason): answered(refusal: reason)
        case .unauthorized(let reason): fault(.unauthorized, reason, nextAttempt: next)
        case .unavailable(let reason, _): fault(.unavailable, reason, nextAttempt: next)
        }
    }

    /// The receiver answered for itself: it is there and lets us in.
    private func answered(refusal: String? = nil) {
        let wall = time.wall()
        state.withLock {
            if let refusal {
                $0.status.failedRequests += 1
                $0.status.lastError = refusal
            } else {
                $0.status.lastSuccess = wall
                $0.status.lastError = nil
            }
        }
        // A receiver that refuses everything still does so with each answer; only one that takes something is well again.
        if refusal == nil { end(.blocked) }
        end(.unavailable)
        end(.unauthorized)
    }

    func settled(accepted: Int, rejected: [Rejection]) {
        let now = time.uptime()
        let count: Int? = state.withLock { state in
            state.status.acceptedRecords += accepted
            state.status.rejectedRecords += rejected.count
            state.rejectedUnlogged += rejected.count
            guard let reason = rejected.last?.reason else { return nil }
            state.status.lastError = reason
            if let logged = state.rejectionLogged, now - logged < DeliveryService.rejectionLogPeriod { return nil }
            state.rejectionLogged = now
            defer { state.rejectedUnlogged = 0 }
            return state.rejectedUnlogged
        }
        guard let count, let last = rejected.last else { return }
        logger.warning(
            "records became dead letters",
            metadata: ["dead_letters": "\(count)", "record.seq": "\(last.seq)", "reason": "\(last.reason)"])
    }

    func fault(_ fault: Fault, _ reason: String, nextAttempt: Uptime?) {
        let now = time.uptime()
        let wall = time.wall()
        let starts = state.withLock {
            let starts = $0.fault != fault
            if $0.fault == nil {
                $0.faultStart = now
                $0.status.failingSince = wall
            }
            $0.fault = fault
            $0.status.state = fault.state
            $0.status.nextAttempt = nextAttempt
            $0.status.lastError = reason
            if fault == .unavailable || fault == .unauthorized { $0.status.failedRequests += 1 }
            return starts
        }
        guard starts else { return }
        let metadata: Logger.Metadata = ["fault": "\(fault.rawValue)", "reason": "\(reason)"]
        switch fault {
        case .unavailable, .store: logger.warning("output does not deliver; its data are kept and tried again", metadata: metadata)
        case .unauthorized, .blocked:
            logger.error("output does not deliver until someone acts; its data are kept", metadata: metadata)
        }
    }

    func end(_ fault: Fault) {
        let now = time.uptime()
        let lasted: Duration? = state.withLock {
            guard $0.fault == fault else { return nil }
            $0.fault = nil
            $0.status.state = .delivering
            $0.status.failingSince = nil
            $0.status.nextAttempt = nil
            return now - $0.faultStart
        }
        guard let lasted else { return }
        logger.info("output delivers again", metadata: ["fault": "\(fault.rawValue)", "fault.seconds": "\(lasted.seconds)"])
    }
}
