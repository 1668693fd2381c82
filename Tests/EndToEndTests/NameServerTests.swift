import Gateway
import Glibc
import TestSupport
import Testing

/// A name server on the loopback that takes every question and answers none, and a `resolv.conf` that names it and is patient with it.
private final class SilentNameServer {
    static let address = "127.0.53.53"
    private let descriptor: Int32

    /// Port 53 and a mount of one's own need rights that not every place to test gives.
    static let isAllowed: Bool = {
        guard (try? SilentNameServer()) != nil else { return false }
        guard let child = try? ChildProcess("/usr/bin/unshare", ["-m", "/bin/true"]) else { return false }
        while child.poll() == nil { usleep(5000) }
        return child.poll() == .code(0)
    }()

    init() throws {
        descriptor = socket(AF_INET, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = UInt16(53).bigEndian
        address.sin_addr.s_addr = inet_addr(Self.address)
        let bound = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard bound == 0 else { throw ChildProcess.SpawnError(description: "port 53: \(String(cString: strerror(errno)))") }
    }

    /// Questions that came so far.
    var questions: Int {
        var count = 0
        var buffer = [UInt8](repeating: 0, count: 512)
        while recv(descriptor, &buffer, buffer.count, Int32(MSG_DONTWAIT)) > 0 { count += 1 }
        return count
    }

    /// The words before a program's that give it this name server.
    func wrapper(folder: String) throws -> [String] {
        // The longest that the system's resolver lets a question wait, five times.
        try TextFile.write("nameserver \(Self.address)\noptions timeout:30 attempts:5\n", to: folder + "/resolv.conf")
        return ["/usr/bin/unshare", "-m", "/bin/sh", "-c", "mount --bind \(folder)/resolv.conf /etc/resolv.conf && exec \"$@\"", "sh"]
    }

    deinit { close(descriptor) }
}

extension EndToEndTests {
    @Suite(.serialized, .enabled(if: SilentNameServer.isAllowed, "port 53 or a mount is not allowed here")) struct NameServerTests {
        @Test func aNameServerThatHangsStopsNeitherOtherBusesNorAReloadNorTheEnd() async throws {
            let server = try SilentNameServer()
            var options = Factory.Options()
            options.devices += """

                [[bus]]
                name = "far"
                url = "tcp://meter.example:502"
                [[device]]
                name = "named"
                bus = "far"
                unit = 1
                profile = "eastron-sdm630"
                role = "load"
                """
            let factory = try await Factory(options)
            try await factory.startDaemon(through: try server.wrapper(folder: factory.folder))
            // Its fault is told, and the others are polled meanwhile.
            let status = try await factory.waitForStatus { report in
                report.problems.contains { $0.subject == "far" && $0.text.contains("the name server has not answered yet") }
                    && report.devices.filter { $0.state == .online }.count == 3
            }
            #expect(server.questions > 0)
            let polls = status.devices[0].pollsOK
            try await factory.waitForStatus { $0.devices[0].pollsOK > polls + 20 && $0.devices[0].state == .online }
            let before = TextFile.content(factory.config)
            try TextFile.write(before.replacing("bus = \"far\"\nunit = 1", with: "bus = \"far\"\nunit = 2"), to: factory.config)
            let reload = try await factory.meterctl("reload")
            #expect(reload.exit == .code(0) && reload.output.contains("far"), "\(reload)")
            // The question is still out: were anything to wait for it, it would wait for minutes.
            #expect(try await factory.stop().exit == .code(0))
        }
    }
}
