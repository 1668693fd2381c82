import FoundationEssentials
import Gateway
import Glibc
import Host
import NIOPosix
import Store
import Testing

@Suite(.timeLimit(.minutes(5))) struct LocalAPIServerTests {
    @Test func everyRouteAnswersItsReportOnALineOfItsOwn() async throws {
        try await withServer { socket in
            let status = try await exchange(socket, "/v1/status")
            #expect(status.status == 200)
            #expect(status.head.lowercased().contains("content-type: application/json"))
            #expect(status.body == text(cannedStatus()))
            #expect(try await exchange(socket, "/v1/devices").body == text(DevicesReport(devices: cannedDevices())))
            #expect(try await exchange(socket, "/v1/outputs").body == text(OutputsReport(outputs: [cannedOutput()])))
            #expect(try await exchange(socket, "/v1/readings").body == text(cannedReadings()))
            let one = try await exchange(socket, "/v1/readings?device=hall%2D2")
            #expect(one.body.contains(#""device":"hall-2""#) && !one.body.contains(#""device":"main""#))
        }
    }

    @Test func wrongRequestsAreToldWhatIsRight() async throws {
        try await withServer { socket in
            let path = try await exchange(socket, "/v1/statsu")
            #expect(path.status == 404)
            #expect(try error(path.body).code == "not_found")
            #expect(try error(path.body).text.contains(#"did you mean "/v1/status"?"#))

            let device = try await exchange(socket, "/v1/readings?device=hal-2")
            #expect(device.status == 404)
            #expect(try error(device.body).code == "unknown_device")
            #expect(try error(device.body).text.contains(#"did you mean "hall-2"?"#))

            let parameter = try await exchange(socket, "/v1/readings?devcie=main")
            #expect(parameter.status == 400)
            #expect(try error(parameter.body).text.contains(#"did you mean "device"?"#))

            let method = try await exchange(socket, "/v1/status", method: "DELETE")
            #expect(method.status == 405)
            #expect(method.head.lowercased().contains("allow: get"))
        }
    }

    /// On a connection that is kept open a body would be taken for the next answer.
    @Test func headIsAnsweredAsGetWithoutABody() async throws {
        try await withServer { socket in
            let length = try await exchange(socket, "/v1/status").body.utf8.count
            let connection = try await RawConnection(socket)
            for target in ["/v1/status", "/v1/reload", "/v1/statsu", "/v1/readings?device=hal-2"] {
                try await connection.send("HEAD \(target) HTTP/1.1\r\nHost: meterd\r\n\r\n")
            }
            try await connection.send("GET /v1/devices HTTP/1.1\r\nHost: meterd\r\nConnection: close\r\n\r\n")
            let parts = try await connection.readToEnd().split(separator: "\r\n\r\n")
            let starts = ["HTTP/1.1 200", "HTTP/1.1 405", "HTTP/1.1 404", "HTTP/1.1 404", "HTTP/1.1 200", "{\"devices\":"]
            #expect(parts.count == starts.count && zip(parts, starts).allSatisfy { $0.hasPrefix($1) }, "\(parts)")
            #expect(parts.first?.lowercased().contains("content-length: \(length)") == true, "\(parts)")
        }
    }

    /// A text of any length has no Content-Length, and not even its end may come.
    @Test func headOfAStreamEndsWithItsConnection() async throws {
        try await withTemporaryDirectory { folder in
            let store = try await Store.open(directory: folder, outputs: [], time: SystemTime(), logger: quietLogger)
            try await withServer(intervals: IntervalDesk(store: store, time: SystemTime()) { ([], []) }) { socket in
                let connection = try await RawConnection(socket)
                try await connection.send("HEAD /v1/intervals HTTP/1.1\r\nHost: meterd\r\n\r\n")
                let answer = try await connection.readToEnd()
                #expect(answer.hasPrefix("HTTP/1.1 200") && answer.hasSuffix("\r\n\r\n"), "\(answer)")
                #expect(answer.split(separator: "\r\n\r\n").count == 1, "\(answer)")
            }
            await store.close()
        }
    }

    @Test func requestsHaveLimits() async throws {
        try await withServer { socket in
            let long = try await exchange(socket, "/v1/readings?device=" + String(repeating: "a", count: 3000))
            #expect(long.status == 414)
            let fat = try await exchange(socket, "/v1/status", head: "X-Fat: \(String(repeating: "a", count: 40_000))\r\n")
            #expect(fat.status == 400)
            // The body never ends, and the connection does: it is not read.
            let endless = try await exchange(
                socket, "/v1/status", method: "POST", head: "Transfer-Encoding: chunked\r\n", body: "4\r\nmore\r\n")
            #expect(endless.status == 413)
            let promised = try await exchange(socket, "/v1/status", head: "Content-Length: 1000000000\r\n")
            #expect(promised.status == 413)
            #expect(try await exchange(socket, "/v1/status").status == 200)
        }
    }

    @Test func onlyOwnerAndGroupMayConnectAndTheFileGoesWithTheServer() async throws {
        try await withTemporaryDirectory { directory in
            let socket = "\(directory)/api.sock"
            try await withServer(CannedView(), socket: socket) { socket in
                var status = stat()
                #expect(lstat(socket, &status) == 0)
                #expect(status.st_mode & S_IFMT == S_IFSOCK)
                #expect(status.st_mode & 0o777 == 0o660)
                #expect(SocketFile.probe(socket) == 0)
            }
            #expect(access(socket, F_OK) == -1)
            #expect(SocketFile.probe(socket) == ENOENT)
        }
    }

    @Test func aSocketThatAKilledDaemonLeftIsReplaced() async throws {
        try await withTemporaryDirectory { directory in
            let socket = "\(directory)/api.sock"
            try leaveStaleSocket(socket)
            #expect(SocketFile.probe(socket) == ECONNREFUSED)
            try await withServer(CannedView(), socket: socket) { socket in
                let answer = try await exchange(socket, "/v1/status")
                #expect(answer.status == 200)
            }
        }
    }

    @Test func aServerThatListensIsNotPushedAside() async throws {
        try await withServer { socket in
            let error = await #expect(throws: LocalAPIError.self) { try await second(socket).run() }
            #expect(error?.code == .inUse)
            #expect(error?.text.contains(socket) == true)
            let answer = try await exchange(socket, "/v1/status")
            #expect(answer.status == 200)
        }
    }

    @Test func aPathThatCannotBeASocketIsToldWithTheCure() async throws {
        try await withTemporaryDirectory { directory in
            let file = "\(directory)/notes"
            let descriptor = open(file, O_CREAT | O_WRONLY, 0o600)
            close(descriptor)
            let cases: [(String, LocalAPIError.Code, String)] = [
                ("\(directory)/\(String(repeating: "x", count: 108))", .pathTooLong, "107"),
                ("\(directory)/none/api.sock", .directoryMissing, "RuntimeDirectory=meterd"),
                ("\(file)/api.sock", .directoryMissing, "is not a directory"),
                (file, .notASocket, "is not a socket"),
                // Nobody may make a file here, not even root.
                ("/sys/meterd.sock", .permission, "write access to /sys"),
            ]
            for (path, code, words) in cases {
                let error = await #expect(throws: LocalAPIError.self) { try await second(path).run() }
                #expect(error?.code == code, "\(path): \(error.map(String.init(describing:)) ?? "nothing")")
                #expect(error?.text.contains(words) == true)
                #expect(error?.text.contains(path) == true || code == .directoryMissing)
            }
            #expect(access(file, F_OK) == 0)
        }
    }

    // The body ends while these are open; the server must end too, or the time limit strikes.
    @Test(.timeLimit(.minutes(1))) func clientsThatDawdleDoNotHoldUpTheStop() async throws {
        let open = Lock<[RawConnection]>([])
        try await withServer { socket in
            let idle = try await RawConnection(socket)
            let half = try await RawConnection(socket)
            try await half.send("GET /v1/status HTTP/1.1\r\nHo")
            let bodyless = try await RawConnection(socket)
            try await bodyless.send("GET /v1/status HTTP/1.1\r\nHost: meterd\r\nContent-Length: 5\r\n\r\n")
            open.withLock { $0 = [idle, half, bodyless] }
        }
        withExtendedLifetime(open) {}
    }

    @Test(.timeLimit(.minutes(1))) func aClientThatNeverReadsDoesNotHoldUpTheStop() async throws {
        var view = CannedView()
        view.all.readings = (0..<2000).map { _ in cannedReadings().readings[0] }
        let open = Lock<[RawConnection]>([])
        try await withServer(view) { socket in
            let connection = try await RawConnection(socket)
            try await connection.send(String(repeating: "GET /v1/readings HTTP/1.1\r\nHost: meterd\r\n\r\n", count: 20))
            // Served after it by the one event loop: the big answers are on their way by then.
            #expect(try await exchange(socket, "/v1/status").status == 200)
            open.withLock { $0 = [connection] }
        }
        withExtendedLifetime(open) {}
    }

    @Test(.timeLimit(.minutes(1))) func aRequestThatWaitsIsCutOffAtTheStop() async throws {
        let (waiting, waits) = AsyncStream.makeStream(of: Void.self)
        let open = Lock<[RawConnection]>([])
        try await withServer(CannedView(waiting: waits)) { socket in
            let connection = try await RawConnection(socket)
            try await connection.send("GET /v1/readings HTTP/1.1\r\nHost: meterd\r\n\r\n")
            var iterator = waiting.makeAsyncIterator()
            _ = await iterator.next()
            open.withLock { $0 = [connection] }
        }
        withExtendedLifetime(open) {}
    }

    private func second(_ path: String) -> LocalAPIServer {
        LocalAPIServer(
            view: CannedView(), socket: path, group: nil, eventLoopGroup: MultiThreadedEventLoopGroup.singleton, time: SystemTime(),
            logger: quietLogger)
    }

    private func text(_ report: some JSONValue) -> String { String(decoding: report.json, as: UTF8.self) + "\n" }

    private func error(_ body: String) throws -> APIErrorReport {
        try JSONDecoder().decode(APIErrorReport.self, from: Data(body.utf8))
    }
}

/// A socket file with nobody behind it, as kill -9 leaves one.
private func leaveStaleSocket(_ path: String) throws {
    let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
    defer { close(descriptor) }
    let result = try #require(UnixAddress(path)).with { bind(descriptor, $0, $1) }
    guard result == 0 else { throw FixtureError.system(errno) }
}
