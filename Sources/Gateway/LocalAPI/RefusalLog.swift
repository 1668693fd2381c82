import Host
import Logging
import NIOCore

/// Tells in the log of requests without the right token: the first at once, then how many there were in each interval that had some.
package final class RefusalLog: Sendable {
    package static let interval = TimeAmount.minutes(10)

    /// Refused since the last line; nil while nothing is counted.
    private let count = Lock<Int?>(nil)
    private let logger: Logger

    package init(logger: Logger) { self.logger = logger }

    package func note(caller: String, on eventLoop: any EventLoop) {
        let isFirst = count.withLock { count in
            defer { count = count.map { $0 + 1 } ?? 0 }
            return count == nil
        }
        guard isFirst else { return }
        logger.warning("local API refuses requests without the right token", metadata: ["api.caller": "\(caller)"])
        countOn(eventLoop)
    }

    private func countOn(_ eventLoop: any EventLoop) {
        eventLoop.scheduleTask(in: RefusalLog.interval) { self.intervalEnds(eventLoop) }
    }

    private func intervalEnds(_ eventLoop: any EventLoop) {
        let refused = count.withLock { count in
            defer { count = count == 0 ? nil : 0 }
            return count ?? 0
        }
        guard refused > 0 else { return }
        logger.warning("local API has refused more requests without the right token", metadata: ["api.refused": "\(refused)"])
        countOn(eventLoop)
    }
}
