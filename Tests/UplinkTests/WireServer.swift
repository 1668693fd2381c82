import Glibc
import Host

/// A tiny HTTP/1.1 server on a loopback port of its own: real sockets, one request a connection, an answer given as bytes.
actor WireServer {
    struct Request: Sendable {
        var line: String
        var headers: [String: String]
        /// The names of all header fields, in lower case, as often as they came.
        var names: [String]
        var body: [UInt8]
    }

    enum Reply: Sendable {
        /// These bytes, then the connection is closed.
        case bytes([UInt8])
        /// Nothing, until the client gives up.
        case hang
        /// Nothing, and the connection is closed, the request being read.
        case hangUp
        /// What this says to each request.
        case rule(@Sendable (Request) -> Reply)

        static func status(_ status: String, headers: [String] = [], body: String = "") -> Reply {
            let head = ["HTTP/1.1 \(status)", "Content-Length: \(body.utf8.count)", "Connection: close"] + headers
            return .bytes(Array((head.joined(separator: "\r\n") + "\r\n\r\n" + body).utf8))
        }
    }

    struct NoSocket: Error {}

    nonisolated let port: UInt16
    private nonisolated let thread = ThreadExecutor(name: "wire-server", stackSize: 512 * 1024)
    private nonisolated let listener: Int32
    private nonisolated let seen = Lock<[Request]>([])
    private let reply: Reply

    nonisolated var unownedExecutor: UnownedSerialExecutor { thread.asUnownedSerialExecutor() }
    nonisolated var requests: [Request] { seen.withLock { $0 } }
    nonisolated var url: String { "http://127.0.0.1:\(port)/v1/batches" }

    private init(_ reply: Reply) throws {
        self.reply = reply
        listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let listener = listener
        let status = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { raw in
                bind(listener, raw, length) == 0 && listen(listener, 16) == 0 && getsockname(listener, raw, &length) == 0
            }
        }
        guard status else { throw NoSocket() }
        port = UInt16(bigEndian: address.sin_port)
    }

    /// Serves while `body` runs.
    static func serve<Result: Sendable>(
        _ reply: Reply, _ body: (WireServer) async throws -> Result
    ) async throws -> Result {
        let server = try WireServer(reply)
        return try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                await server.run()
                // Only now: a thread that ended before the run was queued would never run it.
                server.thread.stop()
            }
            defer { server.stop() }
            return try await body(server)
        }
    }

    private nonisolated func stop() {
        shutdown(listener, Int32(SHUT_RDWR))
    }

    private func run() {
        while true {
            let connection = accept(listener, nil, nil)
            if connection < 0 { break }
            if let request = receive(connection) {
                seen.withLock { $0.append(request) }
                answer(request, reply, on: connection)
            }
            shutdown(connection, Int32(SHUT_WR))
            close(connection)
        }
        close(listener)
    }

    private func answer(_ request: Request, _ reply: Reply, on connection: Int32) {
        switch reply {
        case .bytes(let bytes): _ = send(connection, bytes, bytes.count, Int32(MSG_NOSIGNAL))
        case .hang: while read(connection) != nil {}
        case .hangUp: break
        case .rule(let rule): answer(request, rule(request), on: connection)
        }
    }

    private func receive(_ connection: Int32) -> Request? {
        var bytes: [UInt8] = []
        let end = Array("\r\n\r\n".utf8)
        var bodyStart: Int?
        while bodyStart == nil {
            guard let more = read(connection) else { return nil }
            bytes += more
            if bytes.first == 0x16 {  // a TLS ClientHello
                let answer = Array("HTTP/1.1 400 Bad Request\r\n\r\n".utf8)
                _ = send(connection, answer, answer.count, Int32(MSG_NOSIGNAL))
                return nil
            }
            bodyStart = (0..<max(0, bytes.count - 3)).first { Array(bytes[$0..<$0 + 4]) == end }.map { $0 + 4 }
        }
        guard let bodyStart else { return nil }
        let lines = String(decoding: bytes[..<(bodyStart - 4)], as: UTF8.self).split(separator: "\r\n").map(String.init)
        var headers: [String: String] = [:]
        var names: [String] = []
        for line in lines.dropFirst() {
            guard let colon = line.firstIndex(of: ":") else { continue }
            names.append(line[..<colon].lowercased())
            headers[line[..<colon].lowercased()] = String(line[line.index(after: colon)...].drop { $0 == " " })
        }
        let length = headers["content-length"].flatMap { Int($0) } ?? 0
        while bytes.count < bodyStart + length {
            guard let more = read(connection) else { return nil }
            bytes += more
        }
        return Request(line: lines.first ?? "", headers: headers, names: names, body: Array(bytes[bodyStart...]))
    }

    private func read(_ connection: Int32) -> [UInt8]? {
        var buffer = [UInt8](repeating: 0, count: 64 * 1024)
        let count = recv(connection, &buffer, buffer.count, 0)
        return count > 0 ? Array(buffer[..<count]) : nil
    }
}
