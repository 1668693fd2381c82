import Metering

/// Decides what one output does next: an event and the time go in, an action comes out. It does no I/O and reads no clock.
///
/// It works on a slice of n records, counted 0 ..< n, and hands them on from the first to the last, one request at a time, so that the
/// cursor can follow. A part that is too large or refused is halved by record count, the larger half first (5 → 3, 2): the same
/// records and answers give the same parts, hence the same batch ids, also after a restart.
///
/// No answer makes it give up a record but a refusal of that very record, alone or by its seq: it becomes a dead letter with the
/// receiver's words.
/// When `refusalRun` records in a row were refused and none was taken, the fault is hardly in the records. Then each further dead
/// letter costs a pause, so that a receiver that refuses everything cannot turn a backlog into dead letters before someone looks.
package struct DeliveryPlan: Sendable {
    package enum State: Hashable, Sendable {
        /// Nothing in hand. Next: sending.
        case idle
        /// A request with this part is in flight, or about to be. Next: settling (taken, or one record refused), sending (cut smaller),
        /// retrying, paused.
        case sending(Range<Int>)
        /// The fate of this part is being taken down. Next: sending (the rest), idle (all done), blocked (nothing is ever taken).
        case settling(Range<Int>)
        /// The receiver could not be reached or said to come later. Next: sending.
        case retrying(until: Uptime)
        /// Someone must mend credentials or the URL. Next: sending, at the time or on reload.
        case paused(until: Uptime)
        /// Everything is being refused. Next: sending, at the time or on reload.
        case blocked(until: Uptime)
    }

    package enum Event: Hashable, Sendable {
        /// A slice of so many records is in hand; 0 or more.
        case loaded(records: Int)
        /// Of the part to be sent, only so many records fit into one request; 1 or more.
        case narrowed(records: Int)
        case answered(Settlement)
        /// The fate of the part is taken down.
        case settled
        /// The time waited for has come, or the configuration was reloaded.
        case due
    }

    package enum Verdict: Hashable, Sendable {
        case accepted(rejected: [RejectedRecord])
        /// The part is one record, and it is refused.
        case deadLetter(reason: String)
    }

    package enum Action: Hashable, Sendable {
        /// Ask the store for the next slice.
        case load
        case send(Range<Int>)
        /// Take the part's fate down, then report `.settled`.
        case settle(Range<Int>, Verdict)
        /// Report `.due` at this time, or earlier on reload.
        case wait(until: Uptime)
    }

    /// 401, 403 and wrong URLs are tried again this often.
    package static let pause: Duration = .seconds(300)
    /// Records refused one after the other, none taken in between, after which the receiver itself is suspected.
    package static let refusalRun = 10

    package private(set) var state = State.idle
    /// Failed attempts in a row.
    package private(set) var attempts = 0
    /// Records refused since one was last taken.
    package private(set) var refused = 0
    /// What is left of the slice, in order; the last is next.
    private var parts: [Range<Int>] = []

    package init() {}

    /// - Parameter chance: a fresh random number, 0 ..< 1, for the jitter.
    package mutating func handle(_ event: Event, now: Uptime, chance: Double) -> Action {
        switch (state, event) {
        case (.idle, .loaded(let records)):
            if records > 0 { parts = [0..<records] }
            return send()
        case (.sending(let part), .narrowed(let records)):
            return cut(part, after: records)
        case (.sending(let part), .answered(let settlement)):
            return answer(settlement, part, now, chance)
        case (.settling, .settled):
            parts.removeLast()
            return next(now)
        case (.retrying, .due), (.paused, .due), (.blocked, .due):
            return send()
        case (.idle, _), (.sending, _), (.settling, _), (.retrying, _), (.paused, _), (.blocked, _):
            preconditionFailure("\(event) in state \(state)")
        }
    }

    private mutating func answer(_ settlement: Settlement, _ part: Range<Int>, _ now: Uptime, _ chance: Double) -> Action {
        switch settlement {
        case .accepted(let rejected):
            attempts = 0
            if rejected.count < part.count {
                refused = 0
            } else {
                // A receiver that takes none of the records has taken none, however politely it says so.
                if part.count > 1, refused + part.count >= DeliveryPlan.refusalRun { return cut(part, after: (part.count + 1) / 2) }
                refused += part.count
            }
            state = .settling(part)
            return .settle(part, .accepted(rejected: rejected))
        case .refused(let reason), .tooLarge(let reason):
            attempts = 0
            if part.count > 1 { return cut(part, after: (part.count + 1) / 2) }
            refused += 1
            state = .settling(part)
            return .settle(part, .deadLetter(reason: reason))
        case .unauthorized:
            attempts += 1
            let until = now + DeliveryPlan.pause
            state = .paused(until: until)
            return .wait(until: until)
        case .unavailable(_, let retryAfter):
            attempts += 1
            let delay =
                retryAfter.map { Backoff.delay(retryAfter: $0, chance: chance) } ?? Backoff.delay(attempt: attempts, chance: chance)
            state = .retrying(until: now + delay)
            return .wait(until: now + delay)
        }
    }

    private mutating func cut(_ part: Range<Int>, after records: Int) -> Action {
        guard records > 0, records < part.count else { return send() }
        let middle = part.lowerBound + records
        parts.removeLast()
        parts.append(middle..<part.upperBound)
        parts.append(part.lowerBound..<middle)
        return send()
    }

    private mutating func next(_ now: Uptime) -> Action {
        guard !parts.isEmpty else {
            if refused >= DeliveryPlan.refusalRun { return block(now) }
            state = .idle
            return .load
        }
        return refused >= DeliveryPlan.refusalRun ? block(now) : send()
    }

    private mutating func block(_ now: Uptime) -> Action {
        let until = now + DeliveryPlan.pause
        state = .blocked(until: until)
        return .wait(until: until)
    }

    private mutating func send() -> Action {
        guard let part = parts.last else {
            state = .idle
            return .load
        }
        state = .sending(part)
        return .send(part)
    }
}
