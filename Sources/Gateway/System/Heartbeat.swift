import Host
import Metering

/// One loop that must keep turning: its name, when it last did, and how long a turn may take.
package struct Heartbeat: Sendable {
    package var name: String
    /// The longest that a healthy turn takes: a silent meter or a network that is gone is not a hang.
    package var patience: Duration
    package var last: @Sendable () -> Uptime

    package init(name: String, patience: Duration, last: @escaping @Sendable () -> Uptime) {
        self.name = name
        self.patience = patience
        self.last = last
    }
}

/// Decides whether the daemon may say that it is alive: only while every loop turns.
package struct HeartbeatCheck: Sendable {
    package var hearts: [Heartbeat]

    package init(_ hearts: [Heartbeat]) { self.hearts = hearts }

    /// The names of the loops that stand still.
    package func stuck(at now: Uptime) -> [String] {
        hearts.filter { now - $0.last() > $0.patience }.map(\.name)
    }
}
