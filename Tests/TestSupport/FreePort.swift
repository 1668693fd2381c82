import Glibc
import Synchronization

/// A free TCP port on loopback that nobody else is given: below the ephemeral range, so that the kernel takes it for no other socket, and
/// never twice in one process, so that no other test opens it while its owner has it closed.
package func freePort() -> UInt16 {
    for _ in 0..<1000 {
        let port = UInt16.random(in: 20_000..<32_000)
        guard givenPorts.withLock({ $0.insert(port).inserted }) else { continue }
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        defer { close(descriptor) }
        let bound = withLoopback(port) { bind(descriptor, $0, $1) }
        if bound == 0 { return port }
    }
    return 0
}

private let givenPorts = Mutex<Set<UInt16>>([])

/// The loopback address with a port, as the calls of C want it.
package func withLoopback<Result>(_ port: UInt16, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Result) -> Result {
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    return withUnsafePointer(to: &address) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, socklen_t(MemoryLayout<sockaddr_in>.size)) }
    }
}
