import Gateway
import Glibc
import Host
import NIOPosix
import TestSupport
import Testing

/// A broker that lets in nobody but `meterd-gw-...`, as AWS does by policy and Azure by device.
private struct Mosquitto {
    static let program = "/usr/sbin/mosquitto"
    let port: UInt16
    let process: ChildProcess

    init(in folder: String) async throws {
        port = freePort()
        try TextFile.write(
            """
            listener \(port) 127.0.0.1
            allow_anonymous true
            clientid_prefixes meterd-gw-
            log_type all
            log_dest stderr
            user root
            """, to: folder + "/mosquitto.conf")
        process = try ChildProcess(Self.program, ["-c", folder + "/mosquitto.conf"], folder: folder)
        _ = try await process.waitForLine { $0.contains("running") }
    }

    /// Whom it let in, in the order of their coming.
    var guests: [String] {
        process.errors.split(separator: "\n").filter { $0.contains("New client connected") }.compactMap { line in
            line.firstRange(of: " as ").map { String(line[$0.upperBound...].prefix { $0 != " " }) }
        }
    }
}

/// The doctor before brokers that go by the client id, as the clouds do, and beside a daemon that holds a connection of that id.
@Suite(.timeLimit(.minutes(10)), .enabled(if: access(Mosquitto.program, X_OK) == 0, "mosquitto is not installed"))
struct DoctorBrokerTests {
    private func withBroker(_ body: (_ broker: Mosquitto, _ folder: String) async throws -> Void) async throws {
        signal(SIGPIPE, SIG_IGN)
        try await withTemporaryDirectory { folder in
            try #require(makeDirectory(folder + "/data"))
            try await body(Mosquitto(in: folder), folder)
        }
    }

    private func check(
        _ broker: Mosquitto, in folder: String, daemon: Doctor.Daemon, named id: String? = nil
    ) async throws -> DoctorCheck {
        try TextFile.write(
            """
            [gateway]
            id = "gw"
            data_directory = "\(folder)/data"
            [[output]]
            name = "cloud"
            type = "mqtt"
            url = "mqtt://127.0.0.1:\(broker.port)"
            version = "3.1.1"
            \(id.map { "client_id = \"\($0)\"" } ?? "")
            """, to: folder + "/meterd.toml")
        let surroundings = Doctor.Surroundings(clock: ClockState(quality: .synchronized, maxErrorMilliseconds: 3))
        let doctor = Doctor(file: folder + "/meterd.toml", daemon: daemon, surroundings: surroundings)
        let report = await doctor.examine(eventLoops: MultiThreadedEventLoopGroup.singleton, time: SystemTime())
        return try #require(report.checks.first { $0.check == "output" }, "\(report.checks)")
    }

    private func status(_ change: (inout OutputReport) -> Void = { _ in }) -> StatusReport {
        var output = cannedOutput()
        output.name = "cloud"
        output.type = "mqtt"
        change(&output)
        var status = cannedStatus()
        status.outputs = [output]
        return status
    }

    @Test func whileNoDaemonRunsTheDoctorLogsInAsTheOutputWould() async throws {
        try await withBroker { broker, folder in
            let good = try await check(broker, in: folder, daemon: .silent("start it"))
            #expect(good.verdict == .ok && good.text.hasSuffix("the broker lets us in as meterd-gw-cloud"), "\(good)")
            #expect(broker.guests == ["meterd-gw-cloud"])
            let refused = try await check(broker, in: folder, daemon: .silent("start it"), named: "somebody-else")
            #expect(refused.verdict == .failure && refused.text.contains("refuses the connection"), "\(refused)")
        }
    }

    /// The connection of the daemon's is one that this test opened, and lives on.
    @Test func besideARunningDaemonNobodyLogsInAndItsOwnWordCounts() async throws {
        try await withBroker { broker, folder in
            let daemon = try await RawConnection(port: Int(broker.port))
            let id = "meterd-gw-cloud"
            // CONNECT of 3.1.1: clean session, keep alive 60 s, the client id.
            let head = [0x10, UInt8(12 + id.utf8.count), 0, 4] + Array("MQTT".utf8) + [4, 2, 0, 60, 0, UInt8(id.utf8.count)]
            try await daemon.send(String(decoding: head + Array(id.utf8), as: UTF8.self))
            try await daemon.waitForBytes()

            let good = try await check(broker, in: folder, daemon: .answers(status()))
            #expect(good.verdict == .ok && good.text.contains("it can be reached; it took what meterd handed on"), "\(good)")
            let retrying = status {
                $0.state = .retrying
                $0.lastError = "the broker closed the connection"
            }
            let bad = try await check(broker, in: folder, daemon: .answers(retrying))
            #expect(bad.verdict == .failure && bad.text.contains("cannot hand on to it: the broker closed the connection"), "\(bad)")
            let paused = try await check(broker, in: folder, daemon: .answers(status { $0.pausedByOperator = true }))
            #expect(paused.verdict == .warning && paused.cure == "meterctl outputs cloud resume")
            let fresh = status {
                $0.state = .idle
                $0.lastSuccess = nil
            }
            #expect(try await check(broker, in: folder, daemon: .answers(fresh)).text.contains("has handed nothing on to it since"))
            let other = try await check(broker, in: folder, daemon: .answers(status { $0.name = "other" }))
            #expect(other.verdict == .warning && other.cure == "meterctl reload")

            // A daemon that holds the data directory and does not answer.
            let lock = open(folder + "/data/lock", O_RDWR | O_CREAT | O_CLOEXEC, 0o640)
            #expect(flock(lock, LOCK_EX | LOCK_NB) == 0)
            let silent = try await check(broker, in: folder, daemon: .silent("it hangs"))
            #expect(silent.verdict == .warning && silent.text.contains("process \(getpid()) holds the data directory"), "\(silent)")
            close(lock)

            #expect(broker.guests == [id], "nobody else was let in, under this id or another")
            withExtendedLifetime(daemon) {}
        }
    }

    @Test func aBrokerThatIsGoneIsAFailureWhoeverLooks() async throws {
        try await withBroker { broker, folder in
            broker.process.signal(SIGTERM)
            #expect(await broker.process.exit(within: .seconds(60)) == .code(0))
            for daemon in [Doctor.Daemon.silent("start it"), .answers(status())] {
                let gone = try await check(broker, in: folder, daemon: daemon)
                #expect(gone.verdict == .failure && gone.text.contains("connection refused"), "\(gone)")
            }
        }
    }
}
