import Glibc
import Metering

/// Opens TCP connections that a bus can rely on: bounded in time, without delay, noticing a dead peer.
///
/// Resolving a name blocks as long as the system's resolver likes; only a bus's own thread calls this.
enum Connection {
    /// How long sent data may stay unacknowledged before the kernel gives the connection up.
    static let userTimeout = Duration.seconds(10)

    /// - Parameter timeout: for connecting, shared by all addresses of the name.
    /// - Returns: a non-blocking socket below `ModbusContext.descriptorLimit`.
    static func open(host: String, port: UInt16, timeout: Duration) throws(BusError) -> Int32 {
        let subject = "\(host.contains(":") ? "[\(host)]" : host):\(port)"
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        hints.ai_flags = AI_NUMERICSERV
        var list: UnsafeMutablePointer<addrinfo>?
        let failure = getaddrinfo(host, String(port), &hints, &list)
        guard failure == 0, let first = list else {
            throw BusError(.unknownHost, "\(host): \(String(cString: gai_strerror(failure)))", cause: failure)
        }
        defer { freeaddrinfo(list) }
        let addresses = Array(sequence(first: first) { $0.pointee.ai_next })
        let share = max(timeout / addresses.count, .milliseconds(1))
        var problem = BusError.system(ECONNREFUSED, on: subject)
        for address in addresses {
            do throws(BusError) { return try connect(address.pointee, timeout: share, subject) } catch { problem = error }
        }
        throw problem
    }

    private static func connect(_ address: addrinfo, timeout: Duration, _ subject: String) throws(BusError) -> Int32 {
        let kind = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue)
        let descriptor = socket(address.ai_family, kind, 0)
        guard descriptor >= 0 else { throw .system(errno, on: subject) }
        guard descriptor < ModbusContext.descriptorLimit else {
            close(descriptor)
            throw .system(EMFILE, on: subject)
        }
        setOptions(descriptor)
        var failure: Int32 = 0
        if Glibc.connect(descriptor, address.ai_addr, address.ai_addrlen) != 0 {
            failure = errno == EINPROGRESS || errno == EINTR ? finish(descriptor, timeout: timeout) : errno
        }
        guard failure == 0 else {
            close(descriptor)
            throw .system(failure, on: subject)
        }
        return descriptor
    }

    private static func setOptions(_ descriptor: Int32) {
        func set(_ level: Int32, _ option: Int32, _ value: Int32) {
            var value = value
            setsockopt(descriptor, level, option, &value, socklen_t(MemoryLayout<Int32>.size))
        }
        set(Int32(IPPROTO_TCP), TCP_NODELAY, 1)
        set(SOL_SOCKET, SO_KEEPALIVE, 1)
        set(Int32(IPPROTO_TCP), TCP_KEEPIDLE, 30)
        set(Int32(IPPROTO_TCP), TCP_KEEPINTVL, 10)
        set(Int32(IPPROTO_TCP), TCP_KEEPCNT, 3)
        set(Int32(IPPROTO_TCP), TCP_USER_TIMEOUT, Int32(userTimeout.milliseconds))
    }

    /// Waits until the connection stands or failed; 0 or an errno.
    private static func finish(_ descriptor: Int32, timeout: Duration) -> Int32 {
        var poller = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
        var ready: Int32
        repeat { ready = poll(&poller, 1, Int32(clamping: timeout.milliseconds)) } while ready < 0 && errno == EINTR
        if ready == 0 { return ETIMEDOUT }
        if ready < 0 { return errno }
        var failure: Int32 = 0
        var length = socklen_t(MemoryLayout<Int32>.size)
        getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &failure, &length)
        return failure
    }
}
