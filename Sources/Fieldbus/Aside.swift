import Metering

/// Registers that a device does not give, kept out of its common visits: when they are asked again, alone, at the end of a visit.
struct Aside: Hashable, Sendable {
    enum Reason: Hashable, Sendable {
        /// Exception 2 to a run asked for alone. A device says that while it boots, too.
        case refused
        /// No answer while other blocks were answered; for the points of these classes.
        case unanswered(Set<PointClass>)
    }

    /// Between two requests for registers that were refused.
    static let refusedRetry = Duration.seconds(600)
    /// Before the first request for a block that was left unanswered; each one more that is not answered doubles it.
    static let firstRetry = Duration.seconds(60)
    static let lastRetry = Duration.seconds(600)
    /// So many times a block must go unanswered while others are answered.
    static let missesAllowed = 2
    /// The same for live points: on a noisy line two in a row are common, and they would be missing for a minute.
    static let liveMissesAllowed = 10

    let reason: Reason
    private(set) var due: Uptime
    private var delay: Duration

    init(_ reason: Reason, at now: Uptime) {
        self.reason = reason
        delay = reason == .refused ? Aside.refusedRetry : Aside.firstRetry
        due = now + delay
    }

    /// What its points get while it is not asked.
    var fault: ReadFault { reason == .refused ? .exception(2) : .timeout }

    mutating func wasAskedInVain(at now: Uptime) {
        delay = min(delay * 2, Aside.lastRetry)
        due = now + delay
    }

    /// The device has changed its mind elsewhere, or it was away.
    mutating func hurry(at now: Uptime) {
        delay = reason == .refused ? Aside.refusedRetry : Aside.firstRetry
        due = now
    }
}
