import ArgumentParser
import Glibc
import Host

@main
struct MeterSim: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "metersim",
        abstract: "A simulated factory on Modbus, and a receiver for what a gateway sends.",
        discussion: """
            Everything binds to 127.0.0.1 unless told otherwise, prints one line on stdout when it is ready and stops on SIGTERM or Ctrl-C.

            EXAMPLES:
              metersim plant
              metersim plant --rtu --link /tmp/line-1 --fault "unit=2,fault=silent,after=10s,for=20s"
              metersim sink --file /tmp/received.jsonl
              metersim load --devices 100 --port 20000 --ports
              metersim device eastron-sdm630 --set voltage_l1=231.5
            """,
        version: Release.version,
        subcommands: [PlantCommand.self, DeviceCommand.self, SinkCommand.self, TallyCommand.self, LoadCommand.self])

    static func main() async {
        // A reader that goes away must not take the simulator with it.
        signal(SIGPIPE, SIG_IGN)
        StopSignal.catchAll()
        await main(nil)
    }
}
