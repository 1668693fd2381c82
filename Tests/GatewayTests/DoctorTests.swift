import FoundationEssentials
import Gateway
import Glibc
import Host
import NIOCore
import NIOPosix
import Simulators
import TestSupport
import Testing

/// What the doctor finds, and the cure it names.
@Suite(.timeLimit(.minutes(10))) struct DoctorTests {
    private let folder: String
    private var file: String { folder + "/meterd.toml" }
    private static let stranger = DaemonUser(name: "meterd", id: 47_110, groups: [47_110])

    init() throws {
        folder = try TemporaryFolder.make("doctor")
        try #require(makeDirectory(folder + "/data"))
        chmod(folder + "/data", 0o750)
        try #require(makeDirectory(folder + "/units"))
        // One will do: the shipped ones are tested elsewhere.
        try #require(makeDirectory(folder + "/profiles"))
        let profile = "eastron-sdm630.toml"
        try TextFile.write(TextFile.content("\(Products.repository)/profiles/\(profile)"), to: "\(folder)/profiles/\(profile)")
    }

    private func examine(
        _ parts: String, user: DaemonUser? = nil, daemon: Doctor.Daemon = .silent("start it"), synchronized: Bool = true,
        drivers: String = "/proc/tty/drivers"
    ) async throws -> DoctorReport {
        try TextFile.write(
            """
            [gateway]
            id = "gw"
            data_directory = "\(folder)/data"
            profile_path = ["\(folder)/profiles"]
            [journal]
            size_limit = "4MiB"
            [api]
            socket = "\(folder)/meterd.sock"
            \(parts)
            """, to: file)
        var surroundings = Doctor.Surroundings(
            clock: ClockState(quality: synchronized ? .synchronized : .unknown, maxErrorMilliseconds: 3))
        surroundings.units = [folder + "/units"]
        surroundings.clockFile = ClockStateFile(path: folder + "/clock")
        surroundings.user = user
        surroundings.serialDrivers = drivers
        let doctor = Doctor(file: file, daemon: daemon, surroundings: surroundings)
        return await doctor.examine(eventLoops: MultiThreadedEventLoopGroup.singleton, time: SystemTime())
    }

    private func check(_ report: DoctorReport, _ name: String, _ subject: String? = nil) throws -> DoctorCheck {
        try #require(report.checks.first { $0.check == name && $0.subject == subject }, "\(report.checks)")
    }

    // MARK: Serial ports

    /// A port that is there, with its other end; closed at the end of the test.
    private final class Port {
        let path: String
        private let master: Int32

        init(mode: mode_t) throws {
            master = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC)
            // TIOCSPTLCK and TIOCGPTN, what unlockpt and ptsname use; Swift imports neither.
            var unlocked: Int32 = 0
            var number: UInt32 = 0
            guard ioctl(master, 0x4004_5431, &unlocked) == 0, ioctl(master, 0x8004_5430, &number) == 0 else {
                throw FixtureError.system(errno)
            }
            path = "/dev/pts/\(number)"
            // As udev has it; where ports belong to root alone, the group is no cure.
            if geteuid() == 0 { chown(path, uid_t.max, 20) }
            chmod(path, mode)
        }

        deinit { close(master) }
    }

    private func line(_ path: String) -> String { "[[bus]]\nname = \"line\"\nurl = \"serial://\(path)\"" }

    @Test func aPortThatTheServiceMayNotUseIsToldWithTheGroupToJoin() async throws {
        let port = try Port(mode: 0o660)
        var facts = stat()
        #expect(stat(port.path, &facts) == 0)
        if facts.st_gid == 0 { return }
        let refused = try check(await examine(line(port.path), user: Self.stranger), "bus", "line")
        #expect(refused.verdict == .failure)
        #expect(refused.text.contains("user meterd may not use \(port.path)"))
        #expect(refused.cure?.hasPrefix("sudo usermod -aG ") == true)
        let member = DaemonUser(name: "meterd", id: 47_110, groups: [47_110, facts.st_gid])
        #expect(try check(await examine(line(port.path), user: member), "bus", "line").verdict == .ok)
    }

    @Test func aPortThatSomebodyElseHoldsIsToldByName() async throws {
        let port = try Port(mode: 0o666)
        let descriptor = open(port.path, O_RDWR | O_NOCTTY)
        defer { close(descriptor) }
        #expect(try check(await examine(line(port.path)), "bus", "line").verdict == .ok)
        #expect(flock(descriptor, LOCK_EX | LOCK_NB) == 0)
        let held = try check(await examine(line(port.path)), "bus", "line")
        #expect(held.verdict == .failure && held.text.contains("in use by") && held.text.contains("process \(getpid())"))
    }

    @Test func aPortThatIsNotThereOrIsNoneIsAFailure() async throws {
        let missing = try check(await examine(line("/dev/meterd-none")), "bus", "line")
        #expect(missing.verdict == .failure && missing.cure?.contains("/dev/serial/by-id") == true)
        #expect(try check(await examine(line(folder)), "bus", "line").text.contains("is no serial port"))
    }

    /// systemd knows a driver by the name in the kernel's table, whatever the device file is called.
    @Test func aPortWhoseDriverTheUnitDoesNotAllowIsToldWithTheLineToAdd() async throws {
        let port = try Port(mode: 0o666)
        var facts = stat()
        #expect(stat(port.path, &facts) == 0)
        let number = (facts.st_rdev & 0xFF) | (facts.st_rdev >> 12 & 0xFFF00)
        let (unit, drivers) = (folder + "/units/meterd.service", folder + "/drivers")
        let other = "serial               /dev/ttyS       4 64-95 serial\npty_master           /dev/ptm      128 0-1048575 pty:master\n"
        func found(_ rules: String, driver: String = "ttyGX") async throws -> DoctorCheck {
            try TextFile.write("[Service]\nUser=root\nExecStart=/usr/sbin/meterd\n\(rules)\n", to: unit)
            try TextFile.write("\(other)gx-uart              /dev/\(driver)     136 \(number)-\(number + 3) serial\n", to: drivers)
            return try check(await examine(line(port.path), drivers: drivers), "bus", "line")
        }
        for rules in ["DevicePolicy=closed\nDeviceAllow=char-ttyS rw\nDeviceAllow=char-ttyUSB rw", "DeviceAllow=char-ttyS rw"] {
            let refused = try await found(rules)
            #expect(refused.verdict == .failure && refused.text.contains("\(unit) does not let meterd use \(port.path)"), "\(refused)")
            #expect(refused.cure?.contains("DeviceAllow=char-ttyGX rw") == true)
        }
        for rules in [
            "", "DevicePolicy=closed\nDeviceAllow=char-ttyS rw\nDeviceAllow=char-ttyGX rw", "DeviceAllow=char-tty* rw",
            "DeviceAllow=\(port.path) rw",
        ] {
            #expect(try await found(rules).verdict == .ok, "\(rules)")
        }
        #expect(try await found("DevicePolicy=closed", driver: "pts").verdict == .ok)
        #expect(try await found("DevicePolicy=strict", driver: "pts").verdict == .failure)
    }

    // MARK: Places

    @Test func theDataDirectoryIsForTheServiceAlone() async throws {
        let good = try await examine("")
        #expect(try check(good, "data").verdict == .ok)
        let refused = try check(await examine("", user: Self.stranger), "data")
        #expect(refused.verdict == .failure && refused.cure?.hasPrefix("sudo chown -R meterd: \(folder)/data") == true)
        chmod(folder + "/data", 0o755)
        #expect(try check(await examine(""), "data").verdict == .warning)
        rmdir(folder + "/data")
        let missing = try check(await examine(""), "data")
        #expect(missing.verdict == .failure && missing.cure?.contains("install -d") == true)
    }

    /// Its mode and its disk allow what the unit forbids.
    @Test func aDirectoryThatTheUnitKeepsReadOnlyIsToldWithTheLineToAdd() async throws {
        let (unit, out) = (folder + "/units/meterd.service", folder + "/out")
        try #require(makeDirectory(out))
        let output = "[[output]]\nname = \"files\"\ntype = \"file\"\nformat = \"csv\"\ndirectory = \"\(out)\""
        func found(_ lines: String) async throws -> [DoctorCheck] {
            try TextFile.write("[Service]\nUser=root\nExecStart=/usr/sbin/meterd\n\(lines)\n", to: unit)
            let report = try await examine(output)
            return [try check(report, "data"), try check(report, "output", "files")]
        }
        let strict = "ProtectSystem=strict\nStateDirectory=meterd\nRuntimeDirectory=meterd\n"
        for lines in [
            strict, strict + "ReadWritePaths=\(folder)/dat \(folder)/data/below", strict + "ReadWritePaths=\(folder)\nReadWritePaths=",
        ] {
            for (refused, path) in zip(try await found(lines), [folder + "/data", out]) {
                #expect(refused.verdict == .failure && refused.text.contains("\(unit) does not let meterd write \(path)"), "\(refused)")
                #expect(refused.cure?.contains("ReadWritePaths=-\(path)") == true)
            }
        }
        symlink(folder, folder + "/link")
        for lines in [
            "", "ProtectSystem=full", strict + "ReadWritePaths=-\(folder)", strict + "ReadWritePaths=\(folder)/data/ -+\(out)",
            strict + "ReadWritePaths=\(folder)/link", strict + "BindPaths=\(folder)/data -/srv:\(out):rbind", strict + "ReadWritePaths=/",
        ] {
            #expect(try await found(lines).map(\.verdict) == [.ok, .ok], "\(lines)")
        }
    }

    @Test func aDiskThatForgetsOrLiesIsAFailure() {
        for (name, isGood) in [("ext4", true), ("f2fs", true), ("btrfs", true), ("tmpfs", false), ("nfs4", false), ("vfat", false)] {
            #expect((FileSystem(named: name).doom == nil) == isGood, "\(name)")
        }
        #expect(Self.stranger.may(7, owner: 47_110, group: 0, mode: 0o750))
        #expect(!Self.stranger.may(2, owner: 0, group: 47_110, mode: 0o750))
        #expect(Self.stranger.may(5, owner: 0, group: 47_110, mode: 0o750))
        #expect(!Self.stranger.may(4, owner: 0, group: 0, mode: 0o640))
        // The owner has the owner's rights, also where others have more.
        #expect(!Self.stranger.may(4, owner: 47_110, group: 0, mode: 0o077))
    }

    @Test func theDiskIsToldWithItsRoom() async throws {
        let disk = try check(await examine(""), "disk")
        #expect(disk.text.contains("\(folder)/data") && disk.text.contains("are free"))
        let terabyte = try check(await roomy(), "disk")
        var room = statvfs()
        #expect(statvfs(folder, &room) == 0)
        let fits = UInt64(room.f_bavail) * UInt64(room.f_frsize) >= 1 << 40
        #expect((terabyte.verdict == .ok) == fits && (terabyte.cure == nil) == fits, "\(terabyte)")
    }

    private func roomy() async throws -> DoctorReport {
        try TextFile.write(TextFile.content(file).replacing("4MiB", with: "1TiB"), to: file)
        let doctor = Doctor(
            file: file, daemon: .silent(""),
            surroundings: Doctor.Surroundings(clock: ClockState(quality: .unknown, maxErrorMilliseconds: 0)))
        return await doctor.examine(eventLoops: MultiThreadedEventLoopGroup.singleton, time: SystemTime())
    }

    // MARK: The service

    @Test func theUnitItsOverridesAndWhetherItStarts() async throws {
        let unit = folder + "/units/meterd.service"
        #expect(try check(await examine(""), "service").text.contains("no meterd.service"))

        try TextFile.write("[Service]\nUser=meterd-nobody\nSupplementaryGroups=dialout\nExecStart=/usr/sbin/meterd\n", to: unit)
        let user = try await examine("").checks.filter { $0.check == "service" }
        #expect(user.contains { $0.verdict == .failure && $0.text.contains("meterd-nobody") })
        #expect(user.contains { $0.verdict == .warning && $0.cure == "sudo systemctl enable meterd" })

        try TextFile.write("[Service]\nUser=root\nExecStart=/usr/sbin/meterd\n", to: unit)
        try #require(makeDirectory(folder + "/units/multi-user.target.wants"))
        symlink(unit, folder + "/units/multi-user.target.wants/meterd.service")
        #expect(try await examine("").checks.filter { $0.check == "service" }.map(\.verdict) == [.ok])

        try #require(makeDirectory(unit + ".d"))
        try TextFile.write("[Service]\nLoadCredential=a:/b\n", to: unit + ".d/credential.conf")
        let credential = try check(await examine(""), "service")
        #expect(credential.verdict == .ok && credential.text.contains("LoadCredential"))
        try TextFile.write("[Service]\nNoNewPrivileges=no\n", to: unit + ".d/loose.conf")
        let loose = try check(await examine(""), "service")
        #expect(loose.verdict == .warning && loose.text.contains("loose.conf overrides NoNewPrivileges"))

        unlink(unit)
        symlink("/dev/null", unit)
        let masked = try check(await examine(""), "service")
        #expect(masked.verdict == .failure && masked.cure == "sudo systemctl unmask meterd")
    }

    /// systemd does not start the service then, and no meter is read.
    @Test func whatTheUnitWantsAndIsNotThereIsAFailureWithItsCure() async throws {
        let (secrets, unit) = (folder + "/secrets", folder + "/units/meterd.service")
        func failures(_ lines: String) async throws -> [DoctorCheck] {
            try TextFile.write("[Service]\nUser=root\nExecStart=/usr/sbin/meterd\n\(lines)\n", to: unit)
            return try await examine("").checks.filter { $0.check == "service" && $0.verdict == .failure }
        }
        try #require(makeDirectory(secrets))
        for lines in [
            "LoadCredential=secrets:\(secrets)", "LoadCredential=park-token:\(secrets)/gone\nLoadCredential=", "LoadCredential=park-token",
            "LoadCredential=park-token:passed-on", "LoadCredential=park-token:%h/gone", "ReadWritePaths=-\(secrets)/gone \(secrets)",
        ] {
            #expect(try await failures(lines).isEmpty, "\(lines)")
        }
        for key in ["LoadCredential", "LoadCredentialEncrypted"] {
            let gone = try await failures("\(key)=secrets:\(secrets)\n\(key)=park-token:\(secrets)/park token")
            #expect(gone.count == 1 && gone.allSatisfy { $0.text.contains("will not start: its unit hands over \(secrets)/park token,") })
            #expect(gone.first?.cure?.contains("LoadCredential=secrets:/etc/meterd/secrets") == true)
        }
        let stick = try await failures("ReadWritePaths=\(secrets) +\(secrets)/stick")
        #expect(stick.map(\.cure) == ["mount or create it; ReadWritePaths=-\(secrets)/stick lets the service start without it"])
    }

    @Test func theDaemonsOwnWordCounts() async throws {
        let down = try check(await examine("", daemon: .silent("start it")), "daemon")
        #expect(down.verdict == .failure && down.cure == "start it")
        var status = cannedStatus()
        status.version = Gateway.version
        #expect(try check(await examine("", daemon: .answers(status)), "daemon").verdict == .warning)
        status.version = "0.0.9"
        #expect(try await examine("", daemon: .answers(status)).checks.contains { $0.text.contains("it is version 0.0.9") })
        status.buses = [BusReport(name: "lan", state: .down, utilization: 0, requests: 0, timeouts: 0, errors: 0)]
        let bus = "[[bus]]\nname = \"lan\"\nurl = \"tcp://192.0.2.1\""
        #expect(try check(await examine(bus, daemon: .answers(status)), "bus", "lan").verdict == .failure)
        #expect(try check(await examine(bus), "bus", "lan").text.contains("not tried"))
    }

    @Test func aDaemonThatMayNotAskForTheClockNeedsItsCompanion() async throws {
        func verdict(_ daemon: Doctor.Daemon) async throws -> DoctorCheck? {
            try await examine("", daemon: daemon).checks.first { $0.subject == "meterd-clock" }
        }
        var status = cannedStatus()
        status.clock.source = .companion
        let unit = folder + "/units/meterd.service"
        let companion = folder + "/units/meterd-clock.service"
        let text = "[Service]\nUser=root\nExecStart=/usr/sbin/meterd\n"
        try TextFile.write(text, to: unit)
        #expect(try await verdict(.answers(status)) == nil, "a unit that lets the daemon ask needs none")
        try TextFile.write(text + "ProtectClock=yes\n", to: unit)
        let missing = try #require(await verdict(.silent("")))
        #expect(missing.verdict == .warning && missing.text.contains("no meterd-clock.service"))
        symlink("/dev/null", companion)
        #expect(try #require(await verdict(.silent(""))).cure?.contains("unmask meterd-clock") == true)
        unlink(companion)
        try TextFile.write("[Service]\nExecStart=/usr/sbin/meterd --watch-clock /run/meterd-clock\n", to: companion)
        #expect(try await verdict(.silent("")) == nil, "it stops with the daemon")
        let down = try #require(await verdict(.answers(status)))
        #expect(down.text.contains("meterd-clock.service is not running: \(folder)/clock is not there"))
        #expect(down.cure?.hasPrefix("sudo systemctl start meterd-clock") == true)
        let entry = ClockStateFile.Entry(
            answer: KernelAnswer(isSynchronized: true, maxErrorMicroseconds: 1), asked: SystemTime().uptime())
        try ClockStateFile(path: folder + "/clock").publish(entry)
        #expect(try await verdict(.answers(status))?.verdict == .ok)
        status.clock.source = .nobody
        #expect(try #require(await verdict(.answers(status))).text.contains("the daemon does not read \(folder)/clock"))
    }

    @Test func clockConfigAndProfiles() async throws {
        let report = try await examine("", synchronized: false)
        #expect(try check(report, "clock").verdict == .warning)
        #expect(try check(report, "config").verdict == .warning, "no device is configured")
        #expect(try check(report, "profiles").verdict == .ok)
        let wrong = try check(await examine("[[bus]]\nname = \"x\""), "config")
        #expect(wrong.verdict == .failure && wrong.text.contains("\(file):") && wrong.cure?.contains("config check") == true)
        let again = try JSONDecoder().decode(DoctorReport.self, from: Data(report.json))
        #expect(again == report)
        let lines = report.lines(width: 60, paint: Paint(coloured: false))
        #expect(lines.contains { $0.hasPrefix("failure  daemon") } && lines.last == "1 failure, 3 warnings")
        let plain = report.lines(width: nil, paint: Paint(coloured: false)).joined(separator: "\n")
        #expect(!plain.contains("\u{1B}"))
    }

    // MARK: Receivers

    @Test func aReceiverIsAskedWithoutLeavingATrace() async throws {
        let received = folder + "/received.jsonl"
        let sink = try await Sink(file: received, port: freePort())
        let output = "[[output]]\nname = \"park\"\ntype = \"http\"\nurl = \"http://127.0.0.1:\(sink.port)/v1/batches\""
        let good = try check(await examine(output), "output", "park")
        #expect(good.verdict == .ok && good.text.contains("answers HEAD with"), "\(good)")
        #expect(TextFile.content(received).isEmpty)
        await sink.stop()
        var gone = try check(await examine(output), "output", "park")
        // A child that is just being started may hold the listener for a moment.
        for _ in 0..<100 where !gone.text.contains("connection refused") {
            try await Task.sleep(for: .milliseconds(20))
            gone = try check(await examine(output), "output", "park")
        }
        #expect(gone.verdict == .failure && gone.text.contains("connection refused"), "\(gone)")
        let plain = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .childChannelInitializer { channel in channel.writeAndFlush(ByteBuffer(string: "no TLS here\n")).flatMap { channel.close() } }
            .bind(host: "127.0.0.1", port: 0).get()
        let tls = "https://127.0.0.1:\(plain.localAddress?.port ?? 0)/in"
        let handshake = try check(await examine("[[output]]\nname = \"park\"\ntype = \"http\"\nurl = \"\(tls)\""), "output", "park")
        #expect(handshake.verdict == .failure, "\(handshake)")
        try await plain.close()
    }

    /// A broker that writes down what it is sent.
    @Test func aBrokerIsGreetedAndNothingIsPublished() async throws {
        let heard = Lock<[UInt8]>([])
        let broker = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { try channel.pipeline.syncOperations.addHandler(Greeter(heard)) }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        let output = """
            [[output]]
            name = "broker"
            type = "mqtt"
            client_id = "meterd-gw-broker"
            url = "mqtt://127.0.0.1:\(broker.localAddress?.port ?? 0)"
            """
        let good = try check(await examine(output), "output", "broker")
        #expect(good.verdict == .ok && good.text.hasSuffix("the broker lets us in as meterd-gw-broker"), "\(good)")
        let bytes = heard.withLock { $0 }
        #expect(bytes.first == 0x10, "CONNECT comes first")
        let text = String(decoding: bytes, as: UTF8.self)
        #expect(text.contains("meterd-gw-broker"))
        // 0x30: PUBLISH; 0x04 in the flags of CONNECT: a will.
        #expect(bytes.count > 9 && bytes[9] & 0x04 == 0)
        let rest = bytes.dropFirst(2 + Int(bytes[1]))
        #expect(rest.isEmpty || rest.first == 0xE0, "after CONNECT comes DISCONNECT and nothing else: \(Array(rest))")
        try await broker.close()
    }

    private final class Greeter: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        typealias OutboundOut = ByteBuffer
        private let heard: Lock<[UInt8]>

        init(_ heard: Lock<[UInt8]>) { self.heard = heard }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            let bytes = Array(unwrapInboundIn(data).readableBytesView)
            let isFirst = heard.withLock { heard in
                defer { heard += bytes }
                return heard.isEmpty
            }
            // CONNACK of MQTT 5: success, no properties.
            if isFirst { context.writeAndFlush(wrapOutboundOut(ByteBuffer(bytes: [0x20, 3, 0, 0, 0])), promise: nil) }
        }
    }
}
