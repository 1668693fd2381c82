import Glibc
import Host
import NIOCore
import NIOHTTP1
import NIOPosix

/// The sink's ports: the main one, which mode `refuse` closes, and the control one, which stays.
final class SinkDoors: Sendable {
    private struct State {
        var main: (any Channel)?
        /// Keeps the port's number from being given to somebody else while the main port is closed; -1 while it is open.
        var keeper: Int32 = -1
        /// Connections of the main port.
        var connections: [ObjectIdentifier: any Channel] = [:]
    }

    let core: SinkCore
    private let group: MultiThreadedEventLoopGroup
    private let host: String
    private let state = Lock(State())
    /// The main port's number, once it is known.
    private let port = Lock<Int>(0)

    init(core: SinkCore, group: MultiThreadedEventLoopGroup, host: String) {
        self.core = core
        self.group = group
        self.host = host
    }

    /// Returns the port's number.
    func openMain(port wanted: UInt16) -> EventLoopFuture<Int> {
        bootstrap(main: true).bind(host: host, port: Int(wanted)).map { channel in
            let number = channel.localAddress?.port ?? 0
            self.port.withLock { $0 = number }
            self.state.withLock { $0.main = channel }
            return number
        }
    }

    func openControl(port: UInt16) -> EventLoopFuture<Int> {
        bootstrap(main: false).bind(host: host, port: Int(port)).map { $0.localAddress?.port ?? 0 }
    }

    /// Succeeds when the mode holds: the port is closed, or open again.
    func setMode(_ mode: SinkMode) -> EventLoopFuture<Void> {
        core.mode = mode
        if mode.behaviour == .refuse { return closeMain() }
        guard state.withLock({ $0.main == nil }) else { return group.any().makeSucceededVoidFuture() }
        return openMain(port: UInt16(port.withLock { $0 })).map { _ in self.letGo() }
    }

    private func closeMain() -> EventLoopFuture<Void> {
        let channels = state.withLock { state in
            defer { state.main = nil }
            return (state.main.map { [$0] } ?? []) + state.connections.values
        }
        return EventLoopFuture.andAllComplete(channels.map { $0.close() }, on: group.any()).map { self.keep() }
    }

    /// Bound and not listening: who connects is refused, and a listener with SO_REUSEADDR may still be bound beside it. IPv4 only; where it
    /// fails the number is free for a while, as it is of any server that is down.
    private func keep() {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(UInt16(clamping: port.withLock { $0 })).bigEndian
        let socket = Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard socket >= 0, inet_pton(AF_INET, host, &address.sin_addr) == 1 else {
            if socket >= 0 { close(socket) }
            return
        }
        var isOn: Int32 = 1
        setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &isOn, socklen_t(MemoryLayout<Int32>.size))
        let isBound = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(socket, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0 }
        }
        guard isBound else {
            close(socket)
            return
        }
        letGo()
        state.withLock { $0.keeper = socket }
    }

    deinit { letGo() }

    private func letGo() {
        let keeper = state.withLock { state in
            defer { state.keeper = -1 }
            return state.keeper
        }
        if keeper >= 0 { close(keeper) }
    }

    private func bootstrap(main: Bool) -> ServerBootstrap {
        ServerBootstrap(group: group)
            .serverChannelOption(ChannelOptions.backlog, value: 64)
            .serverChannelOption(ChannelOptions.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(ChannelOptions.tcpOption(.tcp_nodelay), value: 1)
            .childChannelInitializer { channel in
                if main { self.enter(channel) }
                return channel.eventLoop.makeCompletedFuture {
                    let pipeline = channel.pipeline.syncOperations
                    try pipeline.configureHTTPServerPipeline(withPipeliningAssistance: false, withErrorHandling: true)
                    try pipeline.addHandler(SinkHandler(core: self.core) { self.answer(settingMode: $0, main: main, on: $1) })
                }
            }
    }

    private func enter(_ channel: any Channel) {
        let id = ObjectIdentifier(channel)
        state.withLock { $0.connections[id] = channel }
        channel.closeFuture.whenComplete { _ in
            self.state.withLock { _ = $0.connections.removeValue(forKey: id) }
        }
    }

    private func answer(settingMode mode: SinkMode, main: Bool, on loop: any EventLoop) -> EventLoopFuture<SinkAnswer> {
        if main, mode.behaviour == .refuse {
            return loop.makeSucceededFuture(
                .problem(409, "refuse would close this very port; start the sink with a control port and say it there"))
        }
        return setMode(mode)
            .map { SinkAnswer(status: 200, body: "{}") }
            .recover { SinkAnswer.problem(503, "cannot open the port again: \($0)") }
            .hop(to: loop)
    }
}
