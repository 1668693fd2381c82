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
        let folder = try TemporaryFolder.make("notify")
        let path = folder + "/notify.sock"
        let descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue), 0)
        defer { close(descriptor) }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: Array(path.utf8)) }
        let bound = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size)) }
        }
        #expect(bound == 0)
        let notifier = ServiceNotifier(environment: ["NOTIFY_SOCKET": path, "WATCHDOG_USEC": "30000000"])
        #expect(notifier.watchdogInterval == .seconds(30))
        notifier.ready()
        notifier.status("polling 3 devices")
        notifier.alive()
        notifier.reloading()
        notifier.stopping()
        var heard: [String] = []
        var buffer = [UInt8](repeating: 0, count: 256)
        for _ in 0..<5 {
            let count = recv(descriptor, &buffer, buffer.count, Int32(MSG_DONTWAIT))
            heard.append(String(decoding: buffer.prefix(max(0, count)), as: UTF8.self))
        }
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
