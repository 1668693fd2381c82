import ArgumentParser
import Gateway
import Host

struct BusesCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "buses",
        abstract: "Show how busy each bus is, against what the config asks of it.",
        discussion: """
            BUSY is the measured share of the last minute in which a request was in flight, EXPECTED what the periods ask for by the \
            formula (20 ms turnaround on a line, 5 ms a round trip on a network): above 100 % polls are skipped. LATE are polls that \
            began more than half a period after they were due, SKIPPED those that went by. With a name the devices of that bus follow.

            Example:
              meterctl buses line-1
            """)

    @Argument(help: .init("This bus only, with its devices.", valueName: "bus"))
    var bus: String?

    @OptionGroup var list: ListOptions
    @OptionGroup var socket: SocketOptions

    func run() async throws {
        let body = try await DaemonClient.with(socket: socket.path) {
            try await $0.get("/v1/buses", query: bus.map { [("bus", $0)] } ?? [])
        }
        if list.json { return Standard.output.write(body) }
        let buses = try DaemonClient.decode(BusesReport.self, body).buses
        let output = Standard.output
        let listing = BusListing(buses, now: SystemTime().wall())
        ListAnswer(
            names: buses.map(\.name),
            lines: listing.lines(width: output.width, paint: Paint(coloured: output.coloured), withDevices: bus != nil),
            nothing: "no buses are configured; see docs/configuration.md"
        ).print(quiet: list.quiet)
    }
}
