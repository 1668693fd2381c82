import ArgumentParser
import Simulators

struct LoadCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "load",
        abstract: "Serves many devices of 40 float32 values each, for measurements.",
        discussion: """
            Each device has 80 registers from address 0, the same in input and holding registers: 30 gauges that move a little every
            second, 10 counters that rise. Without --ports the devices are units 1, 2, ... behind one port (at most 247); with it each is
            unit 1 on a port of its own, upward from --port (at most 480: libmodbus serves descriptors below 1024). With --pty they are
            units of one line.

            Prints "listening tcp HOST:FIRST", "listening tcp HOST:FIRST-LAST" or "listening rtu PATH", then "ready devices=N".

            EXAMPLES:
              metersim load --devices 100
              metersim load --devices 100 --port 20000 --ports
              metersim load --devices 30 --pty /tmp/line-1 --wire 9600
            """)

    @Option(name: .long, help: "How many devices.")
    var devices = 100

    @Option(name: .long, help: "Address to bind.")
    var host = "127.0.0.1"

    @Option(name: .long, help: "The port, or the first of them; 0 lets the system choose one.")
    var port: UInt16 = 1502

    @Flag(name: .long, help: "A port for each device.")
    var ports = false

    @Option(name: .long, help: "Serve Modbus RTU on a pty instead; a symbolic link to it.")
    var pty: String?

    @OptionGroup var line: WireOptions

    @Option(name: .long, help: "A fault; may be given again. With --ports its unit is the device's number.", transform: FaultArgument.read)
    var fault: [FaultArgument] = []

    func validate() throws {
        let most = ports ? 480 : 247
        guard (1...most).contains(devices) else { throw ValidationError("--devices \(devices) is not 1 to \(most)") }
        if ports, pty != nil { throw ValidationError("--ports and --pty exclude each other: a line has no ports") }
        try line.check(line: pty != nil)
        if ports, port == 0 { throw ValidationError("--ports needs a first --port, so that the others can be known") }
        // A unit id is a byte: beyond it a device can only be meant by "all".
        if ports, devices > 255, fault.contains(where: { $0.text.unit != nil }) {
            throw ValidationError("--fault can name a unit only among 255 devices; write unit=all")
        }
    }

    func run() async throws {
        do throws(SimulatorError) {
            try await serve()
        } catch {
            throw fail(error)
        }
    }

    private func serve() async throws(SimulatorError) {
        let sites = sites()
        if let pty, let site = sites.first {
            let server = try RTUServer(site: site, link: pty, wire: line.wire)
            defer { server.stop() }
            say("listening rtu \(pty)")
            say("ready devices=\(devices)")
            return await StopSignal.wait()
        }
        let server = try TCPServer(sites: sites, host: host, firstPort: port)
        defer { server.stop() }
        let first = ListenAddress.text(host, server.port)
        say("listening tcp \(first)\(server.ports.count > 1 ? "-\(server.ports[server.ports.count - 1])" : "")")
        say("ready devices=\(devices)")
        await StopSignal.wait()
    }

    private func sites() -> [Site] {
        let start = Plant.now()
        guard ports else {
            let units = (1...devices).map { (UInt8($0), LoadDevice(number: $0) as any SimulatedDevice) }
            let site = Site(devices: Dictionary(uniqueKeysWithValues: units))
            for fault in fault { site.setFault(fault.text.window(from: start)) }
            return [site]
        }
        return (1...devices).map { number in
            let site = Site(devices: [1: LoadDevice(number: number)])
            for fault in fault where fault.text.unit == nil || fault.text.unit.map(Int.init) == number {
                var window = fault.text.window(from: start)
                window.unit = nil
                site.setFault(window)
            }
            return site
        }
    }
}
