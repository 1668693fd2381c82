import Glibc
import Host

/// Serves a site over Modbus RTU on a pty pair of its own, on its own thread. Unit ids that the site has not are met with silence.
package final class RTUServer: Sendable {
    /// What a reader opens, e.g. /dev/pts/4.
    package let path: String
    private let thread: ServerThread

    /// - Parameters:
    ///   - link: a symbolic link to `path`, removed at the end.
    ///   - wire: makes the line as slow as a real one.
    package init(site: Site, link: String? = nil, wire: WireTime? = nil) throws(SimulatorError) {
        let service = try ModbusService(.rtu, site: site, wire: wire)
        let line = try PseudoTerminal(link: link)
        path = line.path
        do throws(SimulatorError) {
            let loop = RTULoop(service, line)
            thread = try ServerThread(name: "modbus-rtu") { wake in loop.run(until: wake) }
        } catch {
            line.end()
            throw error
        }
    }

    /// Hangs up; returns when that is done.
    package func stop() { thread.stop() }
}

private final class RTULoop: @unchecked Sendable {
    // Safe to share: made before the thread starts, then used by that thread alone.
    /// How often to look whether a reader has opened the line, while none has.
    private static let reopenMilliseconds: Int32 = 10

    private let service: ModbusService
    private let line: PseudoTerminal

    init(_ service: ModbusService, _ line: PseudoTerminal) {
        self.service = service
        self.line = line
    }

    func run(until wake: Int32) {
        defer { line.end() }
        // Emptied once when the reader has gone: what the next one asks at once would be lost with it.
        var isOpen = true
        var polled = [wake, line.descriptor].map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
        while true {
            if poll(&polled, 2, service.pollTimeout) < 0, errno != EINTR { return }
            if polled[0].revents != 0 { return }
            if polled[1].revents & Int16(POLLIN) != 0 {
                isOpen = true
                if !service.serve(line.descriptor) { hangUp() }
            } else if polled[1].revents & Int16(POLLHUP | POLLERR) != 0 {
                if isOpen { hangUp() }
                isOpen = false
                if poll(&polled, 1, RTULoop.reopenMilliseconds) > 0 { return }
            }
            _ = service.serveDelayed()
        }
    }

    /// Nobody has the line open: what lies in it is lost, as on a real port that is closed.
    private func hangUp() {
        service.forget(line.descriptor)
        tcflush(line.descriptor, TCIOFLUSH)
    }
}
