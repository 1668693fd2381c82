import ArgumentParser
import Metering
import Simulators

struct PlantCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "plant",
        abstract: "Serves a factory over Modbus TCP, RTU or both.",
        discussion: """
            Unit 1 is an Eastron SDM630 at the grid, 2 a Schneider iEM3155 on a factory line, 3 a SunSpec inverter on the roof. At every
            instant load = import - export + PV, and counters are the exact integral of power. The same seed, epoch and speed give the
            same factory, in another process too.

            Prints "listening tcp HOST:PORT", "listening rtu PATH" and then "ready seed=... epoch=... speed=... units=...".

            Faults are unit=N|all,fault=NAME[,after=10s][,for=20s] and, by name, delay=500ms (slow, late), code=2 (exception),
            length=short|long|truncated (wrong-length). Names: silent, slow, late, exception, wrong-words, wrong-unit, wrong-function,
            wrong-length, wrong-checksum, reset-counter, drop-connection. Times count from the start.

            EXAMPLES:
              metersim plant
              metersim plant --tcp 127.0.0.1:0 --rtu --link /tmp/line-1
              metersim plant --link /tmp/line-1 --wire 9600
              metersim plant --speed 1440 --fault "unit=3,fault=exception,code=4,after=10s,for=20s"
            """)

    @Option(
        name: .long, help: "Address of the Modbus TCP server; port 0 lets the system choose. Default 127.0.0.1:1502, none with --rtu alone."
    )
    var tcp: ListenAddress?

    @Flag(name: .long, help: "Serve Modbus RTU on a pty.")
    var rtu = false

    @Option(name: .long, help: "Symbolic link to the pty; implies --rtu.")
    var link: String?

    @OptionGroup var line: WireOptions

    @Option(name: .long, help: "What makes this factory differ from others.")
    var seed: UInt64 = 1

    @Option(
        name: .long, help: "Wall time of the factory's first midnight, RFC 3339 or milliseconds since 1970. Default today 00:00 UTC.",
        transform: readEpoch)
    var epoch: Timestamp?

    @Option(name: .long, help: "How much faster than the wall the factory's time runs, 1 to 100000.")
    var speed = 1

    @Option(name: .long, help: "More meters, from unit 4 up: iEM3155 and SDM630 in turn, at most 244.")
    var meters = 0

    @Option(name: .long, help: "A fault; may be given again.", transform: FaultArgument.read)
    var fault: [FaultArgument] = []

    func validate() throws {
        guard Plant.speeds.contains(speed) else { throw ValidationError("--speed \(speed) is not 1 to 100000") }
        guard (0...244).contains(meters) else { throw ValidationError("--meters \(meters) is not 0 to 244") }
        try line.check(line: rtu || link != nil)
    }

    func run() async throws {
        let start = Plant.now()
        let plant = Plant(seed: seed, epoch: epoch ?? Plant.startOfDay(start), speed: speed)
        let site = Site(plant: plant, meters: meters)
        for fault in fault { site.setFault(fault.text.window(from: start)) }
        do throws(SimulatorError) {
            try await serve(site, plant)
        } catch {
            throw fail(error)
        }
    }

    private func serve(_ site: Site, _ plant: Plant) async throws(SimulatorError) {
        let hasLine = rtu || link != nil
        let address = tcp ?? (hasLine ? nil : ListenAddress("127.0.0.1", 1502))
        let tcpServer: TCPServer? = if let address { try TCPServer(site: site, host: address.host, port: address.port) } else { nil }
        defer { tcpServer?.stop() }
        let rtuServer: RTUServer? = hasLine ? try RTUServer(site: site, link: link, wire: line.wire) : nil
        defer { rtuServer?.stop() }
        if let tcpServer, let address { say("listening tcp \(ListenAddress.text(address.host, tcpServer.port))") }
        if let rtuServer { say("listening rtu \(link ?? rtuServer.path)") }
        let units = site.units
        say("ready seed=\(plant.seed) epoch=\(plant.epoch.rfc3339) speed=\(plant.speed) units=\(units[0])-\(units[units.count - 1])")
        await StopSignal.wait()
    }
}
