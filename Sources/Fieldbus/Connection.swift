import Glibc
import Host
import Metering

/// Opens TCP connections that a bus can rely on: bounded in time, without delay, noticing a dead peer.
///
/// A name server that does not answer costs a bus the resolver's patience an attempt, and no other bus anything.
enum Connection {
    /// How long sent data may stay unacknowledged before the kernel gives the connection up.
    static let userTimeout = Duration.seconds(10)

    /// - Parameter timeout: for connecting, shared by all addresses of the name.
    /// - Returns: a non-blocking socket below `ModbusContext.descriptorLimit`.
    static func open(host: String, port: UInt16, timeout: Duration, resolver: NameResolver) throws(BusError) -> Int32 {
        let subject = "\(host.contains(":") ? "[\(host)]" : host):\(port)"
        let addresses = try resolve(host, port, resolver)
        let share = max(timeout / addresses.count, .milliseconds(1))
        var problem = BusError.system(ECONNREFUSED, on: subject)
        for address in addresses {
            do throws(BusError) { return try connect(address, timeout: share, subject) } catch { problem = error }
        }
        throw problem
    }

    private static func resolve(_ host: String, _ port: UInt16, _ resolver: NameResolver) throws(BusError) -> [NameResolver.Address] {
        do throws(NameResolver.Failure) {
            return try resolver.addresses(of: host, port: port)
        } catch {
            switch error {
            case .unknown(let number):
                throw BusError(.unknownHost, "\(host): \(String(cString: gai_strerror(number)))", cause: number)
            case .pending:
                throw BusError(.resolving, "\(host): the name server has not answered yet; is it up? An address in digits needs none")
            case .busy:
                throw BusError(
                    .resolving,
                    "\(host): \(NameResolver.lookupLimit) names wait for the name server; is it up? Addresses in digits need none")
            }
        }
    }

    private static func connect(_ address: NameResolver.Address, timeout: Duration, _ subject: String) throws(BusError) -> Int32 {
        let kind = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue)
        let descriptor = socket(address.family, kind, 0)
        guard descriptor >= 0 else { throw .system(errno, on: subject) }
        guard descriptor < ModbusContext.descriptorLimit else {
            close(descriptor)
            throw .system(EMFILE, on: subject)
        }
        setOptions(descriptor)
        var failure = address.bytes.withUnsafeBytes { bytes in
            bytes.withMemoryRebound(to: sockaddr.self) { pointer in
                Glibc.connect(descriptor, pointer.baseAddress, socklen_t(bytes.count)) == 0 ? 0 : errno
            }
        }
        if failure == EINPROGRESS || failure == EINTR { failure = finish(descriptor, timeout: timeout) }
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
