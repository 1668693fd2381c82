import AsyncHTTPClient
import Glibc
import TestSupport

/// A server from a Debian package, on a loopback port and in a folder of its own, ended by its process id.
struct RealServer {
    let port: UInt16
    let folder: String
    let process: ChildProcess

    private static let attempts = 3
    /// How long a server may take to start on a machine that has much else to do.
    private static let patience: Duration = .seconds(60)

    /// Runs `body` beside the server; nil, with nothing done, when the program is not installed.
    static func run(
        _ program: String, ready: String?, _ arguments: (_ port: UInt16, _ folder: String) throws -> [String],
        _ body: (RealServer) async throws -> Void
    ) async throws {
        signal(SIGPIPE, SIG_IGN)
        let server = try await start(program, ready: ready, arguments)
        defer {
            server.process.signal(SIGTERM)
            TemporaryFolder.remove(server.folder)
        }
        do {
            try await body(server)
        } catch {
            print(server.process.output.suffix(2000), server.process.errors.suffix(2000))
            throw error
        }
        server.process.signal(SIGTERM)
        if await server.process.exit(within: .seconds(30)) == .running { server.process.signal(SIGKILL) }
    }

    /// Between choosing a port and listening on it another test may take it: then another is chosen.
    private static func start(
        _ program: String, ready: String?, _ arguments: (_ port: UInt16, _ folder: String) throws -> [String]
    ) async throws -> RealServer {
        var refusal: any Error = ChildProcess.SpawnError(description: "\(program) was not started")
        for _ in 0..<attempts {
            let port = freePort()
            let folder = try TemporaryFolder.make("server")
            do {
                let process = try ChildProcess(program, try arguments(port, folder), folder: folder)
                if let ready { _ = try await process.waitForLine(within: patience) { $0.contains(ready) } }
                try await listening(port, process)
                return RealServer(port: port, folder: folder, process: process)
            } catch {
                refusal = error
                TemporaryFolder.remove(folder)
            }
        }
        throw refusal
    }

    /// Where the program is; nil when its package is not installed.
    static func path(_ program: String) -> String? {
        ["/usr/bin/", "/usr/sbin/"].map { $0 + program }.first { access($0, X_OK) == 0 }
    }

    /// Returns once something listens at the port.
    static func listening(_ port: UInt16, _ process: ChildProcess) async throws {
        let end = ContinuousClock.now + patience
        while process.poll() == nil, ContinuousClock.now < end {
            let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
            defer { close(descriptor) }
            let connected = withLoopback(port) { Glibc.connect(descriptor, $0, $1) }
            if connected == 0 { return }
            try await Task.sleep(for: .milliseconds(20))
        }
        throw ChildProcess.SpawnError(description: "the server ended, or does not listen: \(process.output)\(process.errors)")
    }

    /// A request of the test's own, and the answer's body.
    func ask(_ pathAndQuery: String, post body: String? = nil) async throws -> String {
        var request = HTTPClientRequest(url: "http://127.0.0.1:\(port)\(pathAndQuery)")
        if let body {
            request.method = .POST
            request.body = .bytes(.init(string: body))
        }
        let response = try await HTTPClient.shared.execute(request, timeout: .seconds(60))
        return String(buffer: try await response.body.collect(upTo: 16 << 20))
    }
}
