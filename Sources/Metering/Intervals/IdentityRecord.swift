/// Which meter stands at a device's address, by the serial number that it says of itself at every start and after every loss.
package struct IdentityRecord: Hashable, Sendable {
    /// A meter that is there no more.
    package struct Former: Hashable, Sendable {
        package var serial: String
        /// When it was last seen to be there.
        package var lastSeen: Timestamp
    }

    package private(set) var serial: String?
    private var lastSeen = Timestamp(milliseconds: 0)
    private var failures = 0
    private var failingSince: Uptime?
    /// It may be another one; it is seen again, and has not said so far.
    private var isDoubtful = false
    private var doubtfulSince: Timestamp?

    package init() {}

    /// Known from before.
    package init(serial: String, lastSeen: Timestamp) {
        self.serial = serial
        self.lastSeen = lastSeen
    }

    /// After so long away the serial number is read again: as `PollPlan` counts.
    private static let lossBound = Duration.seconds(3)
    private static let lossPolls = 2
    /// It comes with the first full visit, hardly later.
    private static let grace: Int64 = 60_000

    /// - Parameters:
    ///   - serial: what this poll read; nil when it did not ask, or got nothing.
    ///   - isRestart: whoever polls began anew since the last poll.
    /// - Returns: the meter that was there before, when this one is another.
    package mutating func take(_ serial: String?, _ poll: Poll, failed: Bool, isRestart: Bool) -> Former? {
        if isRestart { isDoubtful = true }
        guard !failed else {
            failures += 1
            let since = failingSince ?? poll.uptime
            failingSince = since
            if failures >= IdentityRecord.lossPolls, poll.uptime - since >= IdentityRecord.lossBound { isDoubtful = true }
            return nil
        }
        failures = 0
        failingSince = nil
        guard let serial, IdentityRecord.names(serial) else {
            if isDoubtful, doubtfulSince == nil { doubtfulSince = poll.time }
            return nil
        }
        isDoubtful = false
        doubtfulSince = nil
        defer {
            self.serial = serial
            lastSeen = poll.time
        }
        guard let old = self.serial, old != serial else { return nil }
        return Former(serial: old, lastSeen: lastSeen)
    }

    /// True where the meter answers and has not said who it is although it should have.
    func isUnverified(at time: Timestamp) -> Bool {
        guard isDoubtful, serial != nil, let doubtfulSince else { return false }
        return time.milliseconds - doubtfulSince.milliseconds > IdentityRecord.grace
    }

    /// Zeros are what a device says that has no serial number, or not yet.
    package static func names(_ serial: String) -> Bool { serial.contains { $0 != "0" && $0 != " " } }
}

extension IdentityRecord.Former {
    func event(at time: Timestamp, new serial: String?) -> IntervalEvent {
        IntervalEvent(.deviceExchanged, time: time, before: .text(self.serial), after: serial.map { .text($0) }, since: lastSeen)
    }
}
