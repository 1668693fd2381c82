import ArgumentParser
import Metering
import Simulators

struct DeviceCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "device",
        abstract: "Serves one device of any profile.",
        discussion: """
            PROFILE is a name, looked for in /etc/meterd/profiles, /usr/share/meterd/profiles and ./profiles, or a file. Its registers hold
            plausible values that agree with each other: 230 V, a total that is the sum of its phases, counters that rise with the power.
            Registers that the profile does not need are illegal addresses.

            --set gives a quantity a value, in its unit of the vocabulary (W, Wh, V, ...); it stays as near to it as its registers allow.

            Prints "listening tcp HOST:PORT" or "listening rtu PATH", then "ready profile=NAME unit=N points=N".

            A fault is NAME[,after=10s][,for=20s] and, by name, delay=500ms (slow, late), code=2 (exception),
            length=short|long|truncated (wrong-length). Names: \(Fault.names.joined(separator: ", ")).

            Ends with 64 for a wrong command line, 65 for an invalid profile, 1 when the port cannot be had.

            EXAMPLES:
              metersim device eastron-sdm630
              metersim device ./acme-em3.toml --unit 7 --pty /tmp/line-1
              metersim device abb-b23 --tcp 127.0.0.1:0 --set power_active=-1250 --fault silent,after=10s,for=20s
            """)

    @Argument(help: "Name or file of the profile.")
    var profile: String

    @Option(name: .long, help: "Its unit id. Default: the profile's hint, or 1.")
    var unit: UInt8?

    @Option(name: .long, help: "Address of the Modbus TCP server; port 0 lets the system choose. Default 127.0.0.1:1502, none with --pty.")
    var tcp: ListenAddress?

    @Option(name: .long, help: "Serve Modbus RTU on a pty; a symbolic link to it.")
    var pty: String?

    @OptionGroup var line: WireOptions

    @Option(name: .long, help: "A value, quantity=value; may be given again.")
    var set: [String] = []

    @Option(name: .long, help: "A fault; may be given again.")
    var fault: [String] = []

    @Option(name: .long, help: "Directory where profiles are looked for first; may be given again.")
    var profiles: [String] = []

    func validate() throws { try line.check(line: pty != nil) }

    func run() async throws {
        do throws(SimulatorError) {
            try await serve()
        } catch {
            throw fail(error)
        }
    }

    private func serve() async throws(SimulatorError) {
        let map = try ProfileFile.load(profile, directories: profiles + ProfileFile.directories)
        let unit = unit ?? map.hints.unit ?? 1
        var texts: [SetText] = []
        for text in set { texts.append(try SetText(text)) }
        let start = Plant.now()
        let device = try ProfiledDevice(profile: map, start: start, fixed: try SetText.values(texts, of: map))
        let site = Site(devices: [unit: device])
        for text in fault { site.setFault(try FaultText(text, only: unit).window(from: start)) }
        let address = tcp ?? (pty == nil ? ListenAddress("127.0.0.1", 1502) : nil)
        let server: TCPServer? = if let address { try TCPServer(site: site, host: address.host, port: address.port) } else { nil }
        defer { server?.stop() }
        let lineServer: RTUServer? = if let pty { try RTUServer(site: site, link: pty, wire: line.wire) } else { nil }
        defer { lineServer?.stop() }
        if let server, let address { say("listening tcp \(ListenAddress.text(address.host, server.port))") }
        if let pty { say("listening rtu \(pty)") }
        say("ready profile=\(map.name) unit=\(unit) points=\(map.points.count)")
        await StopSignal.wait()
    }
}
