import Glibc
import Host
import TestSupport

/// A tiny MQTT broker on a loopback port of its own, for what no broker of Debian can be made to say: a rule answers each message.
actor WireBroker {
    enum Answer: Sendable {
        case take
        /// PUBACK with this reason code (MQTT 5).
        case refuse(UInt8)
        /// The connection is ended without a word.
        case hangUp
    }

    private struct State {
        var connection: Int32 = -1
        var payloads: [[UInt8]] = []
        var connections = 0
    }

    nonisolated let port: UInt16
    private nonisolated let thread = ThreadExecutor(name: "wire-broker", stackSize: 512 * 1024)
    private nonisolated let listener: Int32
    private nonisolated let state = Lock(State())
    private let rule: @Sendable ([UInt8]) -> Answer
    /// What the greeting says is the largest packet; nil: nothing.
    private let packetLimit: UInt32?

    nonisolated var unownedExecutor: UnownedSerialExecutor { thread.asUnownedSerialExecutor() }
    /// Payloads that were taken.
    nonisolated var payloads: [[UInt8]] { state.withLock { $0.payloads } }
    nonisolated var connections: Int { state.withLock { $0.connections } }

    private init(packetLimit: UInt32?, _ rule: @escaping @Sendable ([UInt8]) -> Answer) throws {
        self.rule = rule
        self.packetLimit = packetLimit
        listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        let port = freePort()
        var yes: Int32 = 1
        setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, socklen_t(MemoryLayout<Int32>.size))
        let listener = listener
        guard withLoopback(port, { bind(listener, $0, $1) == 0 && listen(listener, 16) == 0 }) else { throw WireServer.NoSocket() }
        self.port = port
    }

    /// Serves while `body` runs.
    static func serve<Result: Sendable>(
        packetLimit: UInt32? = nil, _ rule: @escaping @Sendable ([UInt8]) -> Answer, _ body: (WireBroker) async throws -> Result
    ) async throws -> Result {
        let broker = try WireBroker(packetLimit: packetLimit, rule)
        return try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                await broker.run()
                broker.thread.stop()
            }
            defer { broker.stop() }
            return try await body(broker)
        }
    }

    private nonisolated func stop() {
        shutdown(listener, Int32(SHUT_RDWR))
        state.withLock { if $0.connection >= 0 { shutdown($0.connection, Int32(SHUT_RDWR)) } }
    }

    private func run() {
        while true {
            let connection = accept(listener, nil, nil)
            if connection < 0 { break }
            state.withLock {
                $0.connection = connection
                $0.connections += 1
            }
            converse(connection)
            // All that came is read, or the reset would take our last answers with it.
            shutdown(connection, Int32(SHUT_WR))
            var rest = [UInt8](repeating: 0, count: 65_536)
            while recv(connection, &rest, rest.count, 0) > 0 {}
            state.withLock { $0.connection = -1 }
            close(connection)
        }
        close(listener)
    }

    private func converse(_ connection: Int32) {
        var input = Input(descriptor: connection)
        var isVersion5 = false
        while let packet = input.packet() {
            switch packet.head >> 4 {
            case 1:  // CONNECT: "MQTT" with its length, then the version
                isVersion5 = packet.body.count > 6 && packet.body[6] == 5
                say(greeting(isVersion5), connection)
            case 3:
                guard answer(packet, isVersion5, connection) else { return }
            case 12: say([0xD0, 0], connection)
            case 14: return
            default: break
            }
        }
    }

    private func greeting(_ isVersion5: Bool) -> [UInt8] {
        guard isVersion5 else { return [0x20, 2, 0, 0] }
        guard let limit = packetLimit else { return [0x20, 3, 0, 0, 0] }
        return [0x20, 8, 0, 0, 5, 0x27] + (0..<4).map { UInt8(truncatingIfNeeded: limit >> (24 - 8 * $0)) }
    }

    /// - Returns: whether the conversation goes on.
    private func answer(_ packet: Input.Packet, _ isVersion5: Bool, _ connection: Int32) -> Bool {
        let body = packet.body
        guard body.count > 2 else { return false }
        var start = 2 + Int(body[0]) << 8 + Int(body[1])
        let needsAnswer = packet.head & 6 != 0
        guard body.count >= start + (needsAnswer ? 2 : 0) else { return false }
        let number = needsAnswer ? Array(body[start..<start + 2]) : []
        start += number.count
        // Properties are none, or few: their length is one byte.
        if isVersion5, start < body.count { start += 1 + Int(body[start]) }
        let payload = Array(body[min(start, body.count)...])
        switch rule(payload) {
        case .take:
            state.withLock { $0.payloads.append(payload) }
            if needsAnswer { say([0x40, 2] + number, connection) }
        case .refuse(let reason): say([0x40, 3] + number + [reason], connection)
        case .hangUp: return false
        }
        return true
    }

    private func say(_ bytes: [UInt8], _ connection: Int32) { _ = send(connection, bytes, bytes.count, Int32(MSG_NOSIGNAL)) }

    private struct Input {
        struct Packet {
            var head: UInt8
            var body: [UInt8]
        }

        let descriptor: Int32
        private var buffer: [UInt8] = []
        private var position = 0

        init(descriptor: Int32) { self.descriptor = descriptor }

        mutating func packet() -> Packet? {
            guard let head = byte() else { return nil }
            var (length, shift) = (0, 0)
            while let part = byte() {
                length |= Int(part & 0x7F) << shift
                shift += 7
                if part & 0x80 == 0 {
                    guard let body = bytes(length) else { return nil }
                    return Packet(head: head, body: body)
                }
            }
            return nil
        }

        private mutating func byte() -> UInt8? { bytes(1)?[0] }

        private mutating func bytes(_ count: Int) -> [UInt8]? {
            while buffer.count - position < count {
                var more = [UInt8](repeating: 0, count: 65_536)
                let got = recv(descriptor, &more, more.count, 0)
                guard got > 0 else { return nil }
                buffer.removeFirst(position)
                position = 0
                buffer += more[..<got]
            }
            defer { position += count }
            return Array(buffer[position..<position + count])
        }
    }
}
