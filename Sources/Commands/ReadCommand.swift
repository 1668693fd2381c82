import ArgumentParser
import Gateway
import Metering

struct ReadCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "read",
        abstract: "Read registers through the running daemon, and show what they may mean.",
        discussion: """
            The daemon asks between its polls and goes on polling. Addresses are those on the wire, counted from 0: register 40001 of a \
            manual is address 0 of kind holding. With --type all the registers one before and one after are read too, since manuals count \
            from 0 or from 1, and every plausible decoding is shown: compare with the meter's display. Exits 1 when the device refuses or \
            does not answer.

            Example:
              meterctl read line-1:1 0 --kind input --type all
            """)

    enum Kind: String, CaseIterable, ExpressibleByArgument {
        case holding, input, coil
        case discreteInput = "discrete_input"
    }

    @Argument(help: .init("A configured device, or a bus and a unit id.", valueName: "device|bus:unit"), transform: TargetArgument.parse)
    var target: TargetArgument

    @Argument(help: .init("The first register: 0 to 65535, or 0x… in hexadecimal.", valueName: "address"), transform: ReadCommand.address)
    var address: UInt16

    @Option(help: .init("How many registers (default: what the type needs; 4 with --type all).", valueName: "n"))
    var count: Int?

    @Option(help: .init("holding, input, coil or discrete_input.", valueName: "kind"))
    var kind = Kind.holding

    @Option(
        help: .init("all, or one type: \(Encoding.allCases.map(\.rawValue).joined(separator: ", ")).", valueName: "type"),
        transform: ReadCommand.typeName)
    var type = "uint16"

    @Option(help: .init("Word order of one type: ABCD, CDAB, BADC or DCBA.", valueName: "order"), transform: ReadCommand.wordOrder)
    var order = WordOrder.abcd

    @Flag(help: "Print the daemon's answers and the decodings as JSON (see docs/commissioning.md).")
    var json = false

    @OptionGroup var socket: SocketOptions

    private static func address(_ text: String) throws -> UInt16 {
        let number = text.lowercased().hasPrefix("0x") ? UInt16(text.dropFirst(2), radix: 16) : UInt16(text)
        guard let number else { throw ValidationError("\"\(text)\" is no address; give 0 to 65535, or 0x0 to 0xffff") }
        return number
    }

    private static func typeName(_ text: String) throws -> String {
        guard text == "all" || Encoding(rawValue: text) != nil else {
            throw ValidationError("\"\(text)\" is no type\(Spelling.hint(text, among: Encoding.allCases.map(\.rawValue)))")
        }
        return text
    }

    private static func wordOrder(_ text: String) throws -> WordOrder {
        guard let order = WordOrder(rawValue: text.uppercased()) else {
            throw ValidationError("\"\(text)\" is no word order; give ABCD, CDAB, BADC or DCBA")
        }
        return order
    }

    private var isBits: Bool { kind == .coil || kind == .discreteInput }

    func validate() throws {
        if let count, !(1...(isBits ? 2000 : 125)).contains(count) {
            throw ValidationError("--count must be 1 to \(isBits ? 2000 : 125)")
        }
        if isBits, type == "all" { throw ValidationError("coils and discrete inputs are single bits: --type all says nothing of them") }
    }

    func run() async throws {
        let reports = try await DaemonClient.with(socket: socket.path) { client in
            var reports = [try await first(client)]
            guard type == "all", let own = reports.first, own.words != nil else { return reports }
            for neighbour in [Int(address) - 1, Int(address) + 1] where (0...65_536 - own.count).contains(neighbour) {
                reports.append(try await ask(client, neighbour, own.count))
            }
            return reports
        }
        let answer = RegisterAnswer(
            reports: reports, decodings: isBits ? [] : reports.flatMap { $0.decodings(type: type, order: order) })
        if json {
            Standard.output.write(answer.json + [UInt8(ascii: "\n")])
        } else {
            Standard.output.print(answer.lines(width: Standard.output.width, paint: Paint(coloured: Standard.output.coloured)))
        }
        guard let fault = reports.first?.fault else { return }
        throw Failure.failed("\(reports.first?.bus ?? "") unit \(reports.first?.unit ?? 0), address \(address): \(fault.text)")
    }

    /// Without a count of its own, `all` takes what is there: four registers, two, or one.
    private func first(_ client: DaemonClient) async throws -> ReadReport {
        let counts = count.map { [$0] } ?? (type == "all" ? [4, 2, 1] : [Encoding(rawValue: type)?.wordCount ?? 16])
        var report = try await ask(client, Int(address), isBits ? count ?? 1 : counts[0])
        for smaller in counts.dropFirst() where report.fault?.code == "exception" && report.count > smaller {
            report = try await ask(client, Int(address), smaller)
        }
        return report
    }

    private func ask(_ client: DaemonClient, _ address: Int, _ count: Int) async throws -> ReadReport {
        let query = target.query + [("table", kind.rawValue), ("address", String(address)), ("count", String(count))]
        return try DaemonClient.decode(ReadReport.self, try await client.get("/v1/read", query: query))
    }
}
