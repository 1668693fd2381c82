import Glibc
import Host
import Metering

/// Tells the service manager how the daemon fares, by datagrams to `NOTIFY_SOCKET`; silent where there is none.
///
/// - Source: sd_notify(3), sd_watchdog_enabled(3).
package struct ServiceNotifier: Sendable {
    private let socketPath: String?
    /// How often the manager wants a sign of life; nil when it wants none.
    package let watchdogInterval: Duration?

    /// Reads `NOTIFY_SOCKET`, `WATCHDOG_USEC` and `WATCHDOG_PID`.
    package init(environment: [String: String], processID: Int32 = getpid()) {
        socketPath = environment["NOTIFY_SOCKET"].flatMap { $0.hasPrefix("/") || $0.hasPrefix("@") ? $0 : nil }
        let meant = environment["WATCHDOG_PID"].map { $0 == String(processID) } ?? true
        if meant, let microseconds = environment["WATCHDOG_USEC"].flatMap({ Int64($0) }), microseconds > 0 {
            watchdogInterval = .microseconds(microseconds)
        } else {
            watchdogInterval = nil
        }
    }

    package func ready() { send("READY=1") }
    /// Until the next `ready` the config is being applied.
    ///
    /// - Source: sd_notify(3), RELOADING=1, which wants CLOCK_MONOTONIC in microseconds.
    package func reloading() { send("RELOADING=1\nMONOTONIC_USEC=\(SystemTime.monotonicMicroseconds())") }
    package func stopping() { send("STOPPING=1") }
    package func alive() { send("WATCHDOG=1") }
    /// One line for `systemctl status`.
    package func status(_ line: String) { send("STATUS=\(line)") }

    /// Never blocks and never fails: a lost sign of life is the manager's business.
    private func send(_ message: String) {
        guard let socketPath else { return }
        guard let address = UnixAddress(socketPath, abstract: true) else { return }
        let descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { return }
        defer { close(descriptor) }
        let bytes = Array(message.utf8)
        _ = address.with { sendto(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT), $0, $1) }
    }
}
