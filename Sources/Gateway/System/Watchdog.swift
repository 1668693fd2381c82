import Host
import Logging
import Metering

/// Gives the service manager a sign of life twice in each interval it allows, but only while every loop turns. A loop that stands still, in C
/// too, ends the signs; the manager then ends the daemon and starts it again.
package struct Watchdog: Sendable {
    /// How often the loops are looked at where the manager asks for no sign of life.
    package static let interval: Duration = .seconds(10)

    private let hearts: @Sendable () -> [Heartbeat]
    private let notifier: ServiceNotifier
    private let time: any TimeSource
    private let logger: Logger

    /// - Parameter hearts: asked before each sign, since buses and outputs come and go.
    package init(hearts: @escaping @Sendable () -> [Heartbeat], notifier: ServiceNotifier, time: any TimeSource, logger: Logger) {
        self.hearts = hearts
        self.notifier = notifier
        self.time = time
        self.logger = logger
    }

    /// Runs until the task is cancelled.
    package func run() async {
        let interval = min(notifier.watchdogInterval.map { $0 / 2 } ?? Watchdog.interval, Watchdog.interval)
        var wasStuck: [String] = []
        while !Task.isCancelled {
            let stuck = HeartbeatCheck(hearts()).stuck(at: time.uptime())
            if stuck.isEmpty {
                notifier.alive()
            } else if stuck != wasStuck {
                let names = stuck.joined(separator: ", ")
                logger.critical("a loop stands still; the watchdog is no longer fed", metadata: ["loops": "\(names)"])
            }
            wasStuck = stuck
            try? await time.sleep(until: time.uptime() + interval)
        }
    }
}
