import ArgumentParser
import AsyncHTTPClient
import Gateway
import Host

struct DoctorCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "doctor",
        abstract: "Look at all that meterd stands on, and say what is wrong and how to mend it.",
        discussion: """
            Looks at the config, the service and its overrides, the daemon and its socket, the clock, profiles, the data directory and its \
            disk, serial ports and their rights, and the receivers: name, connection, TLS, and an answer to a question that leaves no \
            trace. It changes nothing, opens no serial port, asks no meter and hands nothing on. Exits 0 when nothing failed, 1 when \
            something did. The daemon need not run; with sudo more can be seen. It is asked on the socket that the config names, unless you \
            name another.

            Example:
              meterctl doctor
            """)

    @Argument(help: .init("The daemon's config file.", valueName: "file"), completion: .file(extensions: ["toml"]))
    var file = "/etc/meterd/meterd.toml"

    @Flag(help: "Print JSON: {\"verdict\":...,\"checks\":[...]} (see docs/local-api.md).")
    var json = false

    @OptionGroup var socket: SocketOptions

    func run() async throws {
        let report = await DoctorCommand.examine(file: file, socket: socket)
        let output = Standard.output
        if json {
            output.write(report.json + [UInt8(ascii: "\n")])
        } else {
            output.print(report.lines(width: output.width, paint: Paint(coloured: output.coloured)))
        }
        if report.verdict == .failure { throw ExitCode.failure }
    }

    static func examine(file: String, socket: SocketOptions) async -> DoctorReport {
        let examined = Configuration.examine(file: file)
        let daemon: Doctor.Daemon
        do {
            let address = try socket.address(configured: examined.configuration.api.socket)
            daemon = .answers(try await DaemonClient.with(socket: address) { try await $0.get(StatusReport.self, "/v1/status") })
        } catch {
            daemon = .silent((error as? Failure)?.text ?? "\(error)")
        }
        let time = SystemTime()
        let doctor = Doctor(file: file, daemon: daemon, surroundings: Doctor.Surroundings(clock: time.clockState()), examined: examined)
        return await doctor.examine(eventLoops: HTTPClient.defaultEventLoopGroup, time: time)
    }
}
