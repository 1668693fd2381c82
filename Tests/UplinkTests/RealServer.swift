import AsyncHTTPClient
import Glibc
import TestSupport

/// A server from a Debian package, on a loopback port and in a folder of its own, ended by its process id.
struct RealServer {
    let port: UInt16
    let folder: String
    let process: ChildProcess

    /// Runs `body` beside the server; nil, with nothing done, when the program is not installed.
    static func run(
        _ program: String, ready: String?, _ arguments: (_ port: UInt16, _ folder: String) throws -> [String],
        _ body: (RealServer) async throws -> Void
    ) async throws {
        let port = freePort()
        let folder = try TemporaryFolder.make("server")
        defer { TemporaryFolder.remove(folder) }
        let process = try ChildProcess(program, try arguments(port, folder), folder: folder)
        defer { process.signal(SIGTERM) }
        if let ready { _ = try await process.waitForLine { $0.contains(ready) } }
        try await connect(port, process)
        do {
            try await body(RealServer(port: port, folder: folder, process: process))
        } catch {
            print(process.output.suffix(2000), process.errors.suffix(2000))
            throw error
        }
        process.signal(SIGTERM)
        if await process.exit(within: .seconds(20)) == .running { process.signal(SIGKILL) }
    }

    /// Where the program is; nil when its package is not installed.
    static func path(_ program: String) -> String? {
        ["/usr/bin/", "/usr/sbin/"].map { $0 + program }.first { access($0, X_OK) == 0 }
    }

    /// Returns once something listens at the port.
    private static func connect(_ port: UInt16, _ process: ChildProcess) async throws {
        while process.poll() == nil {
            let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
            defer { close(descriptor) }
            var address = sockaddr_in()
            address.sin_family = sa_family_t(AF_INET)
            address.sin_port = port.bigEndian
            address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
            let connected = withUnsafePointer(to: &address) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    Glibc.connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
                }
            }
            if connected == 0 { return }
            try await Task.sleep(for: .milliseconds(20))
        }
        throw ChildProcess.SpawnError(description: "the server ended: \(process.output)\(process.errors)")
    }

    /// A request of the test's own, and the answer's body.
    func ask(_ pathAndQuery: String, post body: String? = nil) async throws -> String {
        var request = HTTPClientRequest(url: "http://127.0.0.1:\(port)\(pathAndQuery)")
        if let body {
            request.method = .POST
            request.body = .bytes(.init(string: body))
        }
        let response = try await HTTPClient.shared.execute(request, timeout: .seconds(20))
        return String(buffer: try await response.body.collect(upTo: 16 << 20))
    }
}
