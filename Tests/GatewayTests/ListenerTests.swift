import FoundationEssentials
import Gateway
import Glibc
import Host
import Logging
import Metering
import NIOPosix
import ServiceLifecycle
import TestSupport
import Testing
import Uplink

/// The local API over TCP, and the limits of both its doors.
@Suite(.timeLimit(.minutes(10))) struct ListenerTests {
    static let secret = "0123456789abcdef0123456789abcdef"

    /// Counts what it is told to do.
    final class Control: GatewayControl {
        let reloads = Lock(0)
        func reload() async -> ReloadOutcome {
            reloads.withLock { $0 += 1 }
            let none = ReloadChange(kept: [], stopped: [], started: [])
            return .applied(ReloadReport(buses: none, outputs: none))
        }
    }

    private func withToken<Result>(_ body: (TokenFile) async throws -> Result) async throws -> Result {
        try await withTemporaryDirectory { folder in
            try TextFile.write(Self.secret + "\n", to: folder + "/token")
            return try await body(TokenFile(path: folder + "/token"))
        }
    }

    /// Runs the API at 127.0.0.1, on a port that the kernel chooses.
    private func withListener(
        token: TokenFile?, limits: LocalAPILimits = .tcp, control: Control = Control(), view: CannedView = CannedView(),
        logger: Logger = quietLogger,
        _ body: @escaping @Sendable (Int) async throws -> Void
    ) async throws {
        let (bound, binds) = AsyncStream.makeStream(of: Int.self)
        let address = try #require(ListenAddress("127.0.0.1:0"))
        let server = LocalAPIServer(
            view: view, control: control, socket: "/none", eventLoopGroup: MultiThreadedEventLoopGroup.singleton, time: SystemTime(),
            logger: logger
        ).also(on: .tcp(address, token: token), limits: limits, onBound: { binds.yield($0) })
        try await serve(server, bound, binds, body)
    }

    private func serve<Event: Sendable>(
        _ server: LocalAPIServer, _ bound: AsyncStream<Event>, _ binds: AsyncStream<Event>.Continuation,
        _ body: @escaping @Sendable (Event) async throws -> Void
    ) async throws {
        let services = ServiceGroup(
            configuration: .init(
                services: [.init(service: server, successTerminationBehavior: .gracefullyShutdownGroup)], logger: quietLogger))
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask {
                defer { binds.finish() }
                try await services.run()
            }
            var iterator = bound.makeAsyncIterator()
            if let event = await iterator.next() {
                do {
                    try await body(event)
                } catch {
                    await services.triggerGracefulShutdown()
                    throw error
                }
            }
            await services.triggerGracefulShutdown()
            try await tasks.waitForAll()
        }
    }

    private static func ask(
        _ port: Int, _ target: String, method: String = "GET", host: String = "127.0.0.1", token: String? = nil
    ) async throws -> (status: Int, head: String, body: String) {
        let head = token.map { "Authorization: Bearer \($0)\r\n" } ?? ""
        return try await exchange(RawConnection(port: port), target, method: method, host: host, head: head)
    }

    // MARK: Who may do what

    @Test func withoutATokenCallersMayOnlyLook() async throws {
        let control = Control()
        try await withListener(token: nil, control: control) { port in
            for target in ["/v1/status", "/v1/devices", "/v1/outputs", "/v1/readings?device=main", "/metrics"] {
                #expect(try await Self.ask(port, target).status == 200, "\(target)")
            }
            let closed = [
                ("POST", "/v1/reload"), ("POST", "/v1/outputs/pause?output=park"), ("POST", "/v1/outputs/rewind?output=park&seq=1"),
                ("POST", "/v1/dead-letters/drop?output=park&all=true"), ("POST", "/v1/log-level?level=debug"), ("GET", "/v1/config"),
                ("GET", "/v1/dead-letters?output=park"), ("GET", "/v1/read?device=main&address=0"), ("GET", "/v1/journal/export"),
                ("GET", "/v1/intervals"),
            ]
            for (method, target) in closed {
                let answer = try await Self.ask(port, target, method: method)
                #expect(answer.status == 403, "\(method) \(target): \(answer)")
                #expect(answer.body.contains("set [api] token_file"))
            }
            let head = try await Self.ask(port, "/v1/status", method: "HEAD")
            #expect(head.status == 200 && head.body.isEmpty, "\(head)")
            #expect(try await Self.ask(port, "/v1/config", method: "HEAD").status == 403)
            // What no token would open is told as on the socket.
            for method in ["POST", "PUT", "DELETE", "OPTIONS"] {
                let answer = try await Self.ask(port, "/v1/status", method: method)
                #expect(answer.status == 405 && answer.head.lowercased().contains("allow: get"), "\(method): \(answer)")
            }
            for target in ["/", "/v1/outputs/", "/v1/route-of-tomorrow"] {
                #expect(try await Self.ask(port, target).status == 404, "\(target)")
            }
        }
        #expect(control.reloads.withLock { $0 } == 0)
    }

    @Test func withATokenEveryRequestNeedsItAndMayThenDoAll() async throws {
        let control = Control()
        let lines = Lock<[String]>([])
        try await withToken { token in
            let logger = Logger(label: "test") { _ in LogKeeper(lines: lines) }
            try await withListener(token: token, control: control, logger: logger) { port in
                let bare = try await Self.ask(port, "/v1/status")
                #expect(bare.status == 401 && bare.head.lowercased().contains("www-authenticate: bearer"))
                for wrong in ["", "0", Self.secret + "0", String(Self.secret.dropLast()), String(repeating: "0", count: 32)] {
                    let answer = try await Self.ask(port, "/v1/reload", method: "POST", token: wrong)
                    #expect(answer.status == 401, "\(wrong)")
                    #expect(!answer.body.contains(Self.secret) && !answer.body.contains(token.path))
                }
                #expect(control.reloads.withLock { $0 } == 0)
                #expect(try await Self.ask(port, "/v1/status", host: "gw.example.org", token: Self.secret).status == 200)
                #expect(try await Self.ask(port, "/v1/reload", method: "POST", token: Self.secret).status == 200)
            }
        }
        #expect(control.reloads.withLock { $0 } == 1)
        let warnings = lines.withLock { $0 }.filter { $0.hasPrefix("warning ") }
        #expect(warnings.count == 1 && warnings[0].contains("without the right token") && warnings[0].contains("127.0.0.1"), "\(warnings)")
    }

    @Test func aChangedTokenCountsAtOnceAndAMissingOneLetsNobodyIn() async throws {
        try await withToken { token in
            try await withListener(token: token) { port in
                #expect(try await Self.ask(port, "/v1/status", token: Self.secret).status == 200)
                try TextFile.write(String(Self.secret.reversed()), to: token.path)
                #expect(try await Self.ask(port, "/v1/status", token: Self.secret).status == 401)
                #expect(try await Self.ask(port, "/v1/status", token: String(Self.secret.reversed())).status == 200)
                unlink(token.path)
                let missing = try await Self.ask(port, "/v1/status", token: Self.secret)
                #expect(missing.status == 503 && !missing.body.contains(token.path))
                try TextFile.write("", to: token.path)
                #expect(try await Self.ask(port, "/v1/status", token: "").status == 503)
            }
        }
    }

    /// Counts the bytes that are looked at.
    private struct Watched: Collection {
        final class Count: @unchecked Sendable { var reads = 0 }  // one thread only
        let bytes: [UInt8]
        let count0 = Count()
        var startIndex: Int { 0 }
        var endIndex: Int { bytes.count }
        func index(after index: Int) -> Int { index + 1 }
        subscript(index: Int) -> UInt8 {
            count0.reads += 1
            return bytes[index]
        }
    }

    @Test func aWrongTokenIsLookedAtToItsEndWhereverItIsWrong() {
        let secret = Array(Self.secret.utf8)
        #expect(LocalAPIDoor.matches(secret, secret))
        #expect(!LocalAPIDoor.matches([], secret) && !LocalAPIDoor.matches([], []) && !LocalAPIDoor.matches(secret, []))
        #expect(!LocalAPIDoor.matches(secret + secret, secret), "twice the token is not the token")
        for place in secret.indices {
            var wrong = secret
            wrong[place] ^= 1
            let watched = Watched(bytes: wrong)
            #expect(!LocalAPIDoor.matches(watched, secret))
            #expect(watched.count0.reads == secret.count, "as long for a wrong first byte as for a wrong last one")
        }
    }

    /// A web page whose name leads here would carry its own name in the request.
    @Test func withoutATokenOnlyThisMachineIsAddressed() async throws {
        try await withListener(token: nil) { port in
            for host in ["127.0.0.1:\(port)", "localhost", "[::1]:8471", "127.1.2.3"] {
                #expect(try await Self.ask(port, "/v1/status", host: host).status == 200, "\(host)")
            }
            for host in ["evil.example.org", "192.0.2.1:80", "localhost.example.org", "127.0.0.1.example.org", "[2001:db8::1]"] {
                let answer = try await Self.ask(port, "/v1/status", host: host)
                #expect(answer.status == 403 && answer.body.contains("host_not_allowed"), "\(host)")
            }
        }
    }

    // MARK: Limits

    /// There is one place only, which each of them would keep: the server hangs up on them.
    @Test func whoIsRefusedKeepsNoPlace() async throws {
        @Sendable func isHungUpOn(_ port: Int, _ target: String, _ expected: String) async throws {
            let connection = try await RawConnection(port: port)
            try await connection.send("GET \(target) HTTP/1.1\r\nHost: localhost\r\n\r\n")
            let answer = try await connection.readToEnd()
            #expect(answer.hasPrefix("HTTP/1.1 \(expected)") && answer.lowercased().contains("\r\nconnection: close\r\n"), "\(answer)")
        }
        let long = "/v1/status?" + String(repeating: "a", count: 3000)
        try await withToken { token in
            try await withListener(token: token, limits: Self.limits(connections: 1)) { port in
                for target in ["/v1/status", long] { try await isHungUpOn(port, target, "401") }
                #expect(try await Self.ask(port, "/v1/status", token: Self.secret).status == 200)
            }
        }
        try await withListener(token: nil, limits: Self.limits(connections: 1)) { port in
            try await isHungUpOn(port, "/v1/config", "403")
            #expect(try await Self.ask(port, "/v1/status").status == 200)
        }
        try await withListener(token: nil, limits: Self.limits(connections: 1, burst: 1, perSecond: 0.001)) { port in
            #expect(try await Self.ask(port, "/v1/status").status == 200)
            for _ in 0..<2 { try await isHungUpOn(port, "/v1/status", "429") }
        }
    }

    private static func limits(
        connections: Int = 16, burst: Double = 1000, perSecond: Double = 1000, headTime: Duration = .seconds(60),
        stallTime: Duration = .seconds(60)
    ) -> LocalAPILimits {
        LocalAPILimits(
            connections: connections, burst: burst, perSecond: perSecond, headTime: headTime, idleTime: .seconds(60), stallTime: stallTime)
    }

    @Test func whoAsksTooOftenIsToldToWaitOnBothDoors() async throws {
        let few = Self.limits(burst: 3, perSecond: 0.001)
        try await withListener(token: nil, limits: few) { port in
            for _ in 0..<3 { #expect(try await Self.ask(port, "/v1/status").status == 200) }
            let answer = try await Self.ask(port, "/v1/status")
            #expect(answer.status == 429 && answer.body.contains("too_many_requests"))
            #expect(answer.head.lowercased().contains("retry-after: "))
        }
        try await withTemporaryDirectory { folder in
            let socket = folder + "/api.sock"
            let (bound, binds) = AsyncStream.makeStream(of: Void.self)
            let server = LocalAPIServer(
                view: CannedView(), socket: socket, group: nil, limits: few, eventLoopGroup: MultiThreadedEventLoopGroup.singleton,
                time: SystemTime(), logger: quietLogger, onListening: { binds.yield() })
            try await serve(server, bound, binds) { _ in
                var statuses: [Int] = []
                for _ in 0..<4 { statuses.append(try await exchange(socket, "/v1/status").status) }
                #expect(statuses == [200, 200, 200, 429])
            }
        }
    }

    @Test func aHeadThatComesDropByDropIsCutOff() async throws {
        try await withListener(token: nil, limits: Self.limits(headTime: .milliseconds(300))) { port in
            let whole = try await RawConnection(port: port)
            try await whole.send("GET /v1/status HTTP/1.1\r\nHost: localhost\r\n\r\n")
            for start in ["GET /v1/status HTTP/1.1\r\nHo", "\r\n", "GET /v1/status HTTP/1.1\r\nHost: localhost\r\n\r\nG"] {
                let slow = try await RawConnection(port: port)
                try await slow.send(start)
                // The server hangs up although bytes go on coming.
                let dribble = Task {
                    while !Task.isCancelled {
                        try await slow.send(start == "\r\n" ? "\n" : "x")
                        try await Task.sleep(for: .milliseconds(20))
                    }
                }
                do {
                    _ = try await slow.readToEnd()
                } catch FixtureError.system(let number) {
                    #expect(number == ECONNRESET, "\(start): not cut off")
                }
                dribble.cancel()
            }
            // A whole request is not in a hurry: the connection stays for the next one.
            try await whole.send("GET /v1/devices HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            #expect(try await whole.readToEnd().contains("\"devices\""))
        }
    }

    @Test func whoDoesNotTakeTheAnswerIsCutOff() async throws {
        var view = CannedView()
        view.all.readings = (0..<2000).map { _ in cannedReadings().readings[0] }
        let limits = Self.limits(connections: 1, stallTime: .milliseconds(300))
        try await withListener(token: nil, limits: limits, view: view) { port in
            let deaf = try await RawConnection(port: port)
            try await deaf.send(String(repeating: "GET /v1/readings HTTP/1.1\r\nHost: localhost\r\n\r\n", count: 40))
            // There is one place only: another is served once the deaf one has lost it.
            #expect(try await Self.ask(port, "/v1/status").status == 200)
            withExtendedLifetime(deaf) {}
        }
    }

    @Test func aConnectionTooManyWaitsForItsPlace() async throws {
        try await withListener(token: nil, limits: Self.limits(connections: 1)) { port in
            var first: RawConnection? = try await RawConnection(port: port)
            try await first?.send("GET /v1/status HTTP/1.1\r\nHost: localhost\r\n\r\n")
            let second = try await RawConnection(port: port)
            try await second.send("GET /v1/devices HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            #expect(first != nil)
            first = nil
            #expect(try await second.readToEnd().contains("\"devices\""))
        }
    }

    /// All places are taken by one who does not take the answer, and others wait: the stop comes to its end all the same.
    @Test(.timeLimit(.minutes(2))) func aFullHouseDoesNotSpoilTheStop() async throws {
        var view = CannedView()
        view.all.readings = (0..<2000).map { _ in cannedReadings().readings[0] }
        let open = Lock<[RawConnection]>([])
        for _ in 0..<2 {
            try await withListener(token: nil, limits: Self.limits(connections: 1), view: view) { port in
                // It does not take its answers, so it ends only when the stop has no more patience.
                let first = try await RawConnection(port: port)
                try await first.send(String(repeating: "GET /v1/readings HTTP/1.1\r\nHost: localhost\r\n\r\n", count: 40))
                try await first.waitForBytes()
                var waiting: [RawConnection] = []
                for _ in 0..<4 {
                    let connection = try await RawConnection(port: port)
                    try await connection.send("GET /v1/devices HTTP/1.1\r\nHost: localhost\r\n\r\n")
                    waiting.append(connection)
                }
                // Two of them give up before they are let in.
                open.withLock { $0 = [first] + waiting.suffix(2) }
            }
        }
        withExtendedLifetime(open) {}
    }

    @Test func anAllowanceFillsSteadilyAndForgetsTheIdle() {
        var allowance = RequestAllowance(burst: 2, perSecond: 10)
        let start = Uptime(nanoseconds: 1_000_000_000)
        #expect(allowance.take("a", at: start) == nil && allowance.take("a", at: start) == nil)
        #expect(allowance.take("a", at: start) == .milliseconds(100))
        #expect(allowance.take("b", at: start) == nil, "each caller has its own")
        #expect(allowance.take("a", at: start + .milliseconds(99)) != nil)
        for _ in 0..<2 { #expect(allowance.take("a", at: start + .milliseconds(200)) == nil) }
        for number in 0..<10_000 { _ = allowance.take("caller \(number)", at: start + .milliseconds(200)) }
        #expect(allowance.callers <= RequestAllowance.callersLimit)
        #expect(allowance.take("a", at: start + .milliseconds(201)) != nil, "who has used most is remembered")
    }

    // MARK: Configuration

    private func problems(_ text: String) throws -> [String] {
        let folder = try TemporaryFolder.make("listen")
        defer { TemporaryFolder.remove(folder) }
        try TextFile.write(Self.secret, to: folder + "/token")
        try TextFile.write("short", to: folder + "/short")
        try TextFile.write("[api]\n" + text, to: folder + "/meterd.toml")
        return Configuration.examine(file: folder + "/meterd.toml", hostName: "box").problems.map(\.text)
    }

    @Test func beyondThisMachineATokenIsRequired() throws {
        for good in ["", "listen = \"127.0.0.1:8471\"", "listen = \"[::1]:8471\"", "listen = \"0.0.0.0:80\"\ntoken_file = \"token\""] {
            #expect(try problems(good).isEmpty, "\(good)")
        }
        for open in ["0.0.0.0:8471", "192.0.2.7:8471", "[::]:8471", "[2001:db8::1]:8471"] {
            let found = try problems("listen = \"\(open)\"")
            #expect(found.count == 1 && found[0].contains("can be reached from other machines; add token_file"), "\(open): \(found)")
        }
        for wrong in ["8471", "localhost:8471", "127.0.0.1", "127.0.0.1:0", "127.0.0.1:70000", "::1:8471", ""] {
            #expect(try problems("listen = \"\(wrong)\"").first?.contains("is no address with a port") == true, "\(wrong)")
        }
        #expect(try problems("token_file = \"short\"").first?.contains("at least 16") == true)
        #expect(try problems("token_file = \"none\"").first?.contains("openssl rand -hex 32") == true)
    }

    @Test func withoutTheKeyNothingListensAndAChangeNeedsARestart() throws {
        let folder = try TemporaryFolder.make("listen")
        defer { TemporaryFolder.remove(folder) }
        try TextFile.write("# nothing\n", to: folder + "/meterd.toml")
        let off = try Configuration.load(file: folder + "/meterd.toml", hostName: "box")
        #expect(off.api.listen == nil && off.api.tokenFile == nil)
        var on = off
        on.api.listen = ListenAddress("127.0.0.1:8471")
        #expect(ReloadPlan(from: off, to: off).refusals.isEmpty)
        let refusals = ReloadPlan(from: off, to: on).refusals
        #expect(refusals.count == 1)
        #expect(refusals.first?.hasPrefix("api.listen: cannot change from nothing to 127.0.0.1:8471 while meterd runs; restart it") == true)
    }
}
