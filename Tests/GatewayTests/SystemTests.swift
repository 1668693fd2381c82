import Fieldbus
import Gateway
import Glibc
import Host
import Logging
import Metering
import TestSupport
import Testing

@Suite struct ServiceNotifierTests {
    @Test func theManagerHearsReadyStatusAndSignsOfLife() throws {
        let manager = try NotifySocket()
        let notifier = ServiceNotifier(environment: ["NOTIFY_SOCKET": manager.path, "WATCHDOG_USEC": "30000000"])
        #expect(notifier.watchdogInterval == .seconds(30))
        notifier.ready()
        notifier.status("polling 3 devices")
        notifier.alive()
        notifier.reloading()
        notifier.stopping()
        let heard = manager.heard()
        // The manager wants to know since when, by its own clock.
        let since = heard[3].split(separator: "=").last.flatMap { Int64($0) }
        #expect(heard[3].hasPrefix("RELOADING=1\nMONOTONIC_USEC=") && since.map { $0 > 0 } == true)
        #expect(heard[0...2] + heard[4...] == ["READY=1", "STATUS=polling 3 devices", "WATCHDOG=1", "STOPPING=1"])
    }

    @Test func theWatchdogOfAnotherProcessIsNotOurs() {
        #expect(ServiceNotifier(environment: ["WATCHDOG_USEC": "1000", "WATCHDOG_PID": "1"], processID: 2).watchdogInterval == nil)
        #expect(ServiceNotifier(environment: [:]).watchdogInterval == nil)
        ServiceNotifier(environment: [:]).ready()  // nobody listens: nothing happens
    }
}

@Suite struct HeartbeatCheckTests {
    @Test func aLoopThatStandsStillIsNamed() {
        let hearts = [
            Heartbeat(name: "bus line-1", patience: .seconds(5), last: { Uptime(nanoseconds: 0) }),
            Heartbeat(name: "journal", patience: .seconds(20), last: { Uptime(nanoseconds: 1_000_000_000) }),
        ]
        let check = HeartbeatCheck(hearts)
        #expect(check.stuck(at: Uptime(nanoseconds: 5_000_000_000)) == [])
        #expect(check.stuck(at: Uptime(nanoseconds: 6_000_000_000)) == ["bus line-1"])
        #expect(check.stuck(at: Uptime(nanoseconds: 60_000_000_000)) == ["bus line-1", "journal"])
    }
}
