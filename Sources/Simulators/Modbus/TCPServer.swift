import Glibc
import Host
import Metering

/// Serves sites over Modbus TCP: one thread, one or many ports, several connections on each.
///
/// Unit ids that a site has not are answered with exception 11, as gateways do.
package final class TCPServer: Sendable {
    /// libmodbus waits with select: descriptors from here on cannot be served. A connection that gets one is closed at once.
    package static let descriptorLimit = Int32(FD_SETSIZE)

    /// The ports in the order of the sites.
    package let ports: [UInt16]
    package var port: UInt16 { ports[0] }
    private let thread: ServerThread
    private let accepted: Lock<[UInt16: Int]>

    /// - Parameter port: 0 lets the system choose.
    /// - Throws: `unavailable` when the address cannot be had.
    package convenience init(site: Site, host: String = "127.0.0.1", port: UInt16 = 0) throws(SimulatorError) {
        try self.init(sites: [site], host: host, firstPort: port)
    }

    /// One port for each site, upward from `firstPort`; 0 lets the system choose each.
    package init(sites: [Site], host: String = "127.0.0.1", firstPort: UInt16 = 0) throws(SimulatorError) {
        precondition(!sites.isEmpty, "a server needs a site")
        guard Int(firstPort) + sites.count <= 65_536 else {
            throw SimulatorError(.usage, "\(sites.count) ports from \(firstPort) go beyond 65535")
        }
        var listeners: [Listener] = []
        do throws(SimulatorError) {
            for (place, site) in sites.enumerated() {
                listeners.append(try Listener(site: site, host: host, port: firstPort == 0 ? 0 : firstPort + UInt16(place)))
            }
            ports = listeners.map(\.port)
            let accepted = Lock([UInt16: Int]())
            self.accepted = accepted
            let loop = TCPLoop(listeners, accepted)
            thread = try ServerThread(name: "modbus-tcp") { wake in loop.run(until: wake) }
        } catch {
            for listener in listeners { listener.stop() }
            throw error
        }
    }

    /// Connections that a port has taken so far.
    package func connections(to port: UInt16) -> Int { accepted.withLock { $0[port] ?? 0 } }

    /// Closes the ports and all connections; returns when that is done.
    package func stop() { thread.stop() }
}

/// A listening socket and whom it speaks for.
private struct Listener {
    let descriptor: Int32
    let port: UInt16
    let service: ModbusService

    init(site: Site, host: String, port: UInt16) throws(SimulatorError) {
        service = try ModbusService(.tcp, site: site)
        var hints = addrinfo()
        hints.ai_flags = AI_PASSIVE | AI_NUMERICHOST | AI_NUMERICSERV
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        var found: UnsafeMutablePointer<addrinfo>?
        guard getaddrinfo(host, String(port), &hints, &found) == 0, let address = found else {
            throw SimulatorError(.usage, "\(host) is not a numeric address; write 127.0.0.1 or ::1")
        }
        defer { freeaddrinfo(address) }
        let made = socket(address.pointee.ai_family, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard made >= 0 else { throw SimulatorError(.unavailable, "no socket for \(host):\(port)", errorNumber: errno) }
        guard made < TCPServer.descriptorLimit else {
            close(made)
            throw SimulatorError(.unavailable, "too many ports: libmodbus serves \(TCPServer.descriptorLimit) descriptors at most")
        }
        var on: Int32 = 1
        setsockopt(made, SOL_SOCKET, SO_REUSEADDR, &on, socklen_t(MemoryLayout<Int32>.size))
        guard bind(made, address.pointee.ai_addr, address.pointee.ai_addrlen) == 0, listen(made, 64) == 0 else {
            let failure = errno
            close(made)
            throw SimulatorError(.unavailable, "cannot listen on \(host):\(port)", errorNumber: failure)
        }
        descriptor = made
        self.port = Listener.port(of: made)
    }

    /// Refuses connections from now on, though a process that is just being started may hold the descriptor, too.
    func stop() {
        shutdown(descriptor, Int32(SHUT_RDWR))
        close(descriptor)
    }

    private static func port(of descriptor: Int32) -> UInt16 {
        var storage = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        return withUnsafeMutableBytes(of: &storage) { room in
            guard let base = room.baseAddress else { return 0 }
            getsockname(descriptor, base.assumingMemoryBound(to: sockaddr.self), &length)
            // sin_port and sin6_port lie at the same place.
            return UInt16(bigEndian: base.load(fromByteOffset: 2, as: UInt16.self))
        }
    }
}

private final class TCPLoop: @unchecked Sendable {
    // Safe to share: made before the thread starts, then used by that thread alone.
    private let listeners: [Listener]
    private var connections: [Int32: ModbusService] = [:]

    private let accepted: Lock<[UInt16: Int]>

    init(_ listeners: [Listener], _ accepted: Lock<[UInt16: Int]>) {
        self.listeners = listeners
        self.accepted = accepted
    }

    func run(until wake: Int32) {
        var polled: [pollfd] = []
        var changed = true
        while true {
            if changed { polled = descriptors(wake) }
            changed = false
            let ready = poll(&polled, nfds_t(polled.count), timeout())
            if ready < 0, errno != EINTR { break }
            if polled[0].revents != 0 { break }
            for entry in polled.dropFirst() where ready > 0 && entry.revents != 0 {
                if let service = connections[entry.fd] {
                    if !service.serve(entry.fd) {
                        drop(entry.fd)
                        changed = true
                    }
                } else if let listener = listeners.first(where: { $0.descriptor == entry.fd }) {
                    accept(listener)
                    changed = true
                }
            }
            for descriptor in listeners.flatMap({ $0.service.serveDelayed() }) {
                drop(descriptor)
                changed = true
            }
        }
        for descriptor in connections.keys { close(descriptor) }
        for listener in listeners { listener.stop() }
    }

    private func descriptors(_ wake: Int32) -> [pollfd] {
        ([wake] + listeners.map(\.descriptor) + connections.keys).map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
    }

    /// The shortest of the services' timeouts; -1 when none waits.
    private func timeout() -> Int32 {
        listeners.map(\.service.pollTimeout).filter { $0 >= 0 }.min() ?? -1
    }

    private func accept(_ listener: Listener) {
        let connection = Glibc.accept(listener.descriptor, nil, nil)
        guard connection >= 0 else { return }
        guard connection < TCPServer.descriptorLimit else {
            close(connection)
            return
        }
        var on: Int32 = 1
        setsockopt(connection, Int32(IPPROTO_TCP), TCP_NODELAY, &on, socklen_t(MemoryLayout<Int32>.size))
        connections[connection] = listener.service
        accepted.withLock { $0[listener.port, default: 0] += 1 }
    }

    private func drop(_ descriptor: Int32) {
        connections.removeValue(forKey: descriptor)?.forget(descriptor)
        close(descriptor)
    }
}
