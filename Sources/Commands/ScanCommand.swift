import ArgumentParser
import Gateway
import Host
import Metering

struct ScanCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "scan",
        abstract: "Look for devices on a bus, unit by unit, while the daemon goes on polling.",
        discussion: """
            Each unit is asked for one register; one that answers is identified. A unit that is not there costs one response timeout. \
            Interrupting is safe at any time: only reads are sent, one at a time, and what was found is printed as it is found. Exits 0 \
            when the scan came to its end, whatever it found.

            Example:
              meterctl scan line-1 --units 1-32
            """)

    @Argument(help: .init("The bus, as the configuration names it.", valueName: "bus"))
    var bus: String

    @Option(help: .init("Unit ids, first and last, within 0 to 255.", valueName: "first-last"), transform: ScanCommand.range)
    var units = 1...247

    @Flag(help: "Print what was found as JSON, once at the end.")
    var json = false

    @OptionGroup var socket: SocketOptions

    private static func range(_ text: String) throws -> ClosedRange<Int> {
        let parts = text.split(separator: "-", omittingEmptySubsequences: false).map { Int($0) }
        guard let first = parts.first ?? nil, let last = parts.last ?? nil, parts.count <= 2, 0 <= first, first <= last, last <= 255 else {
            throw ValidationError("\"\(text)\" is no range of units; give first-last within 0-255, e.g. 1-32")
        }
        return first...last
    }

    func run() async throws {
        let progress = ScanProgress(total: units.count)
        var found: [IdentifyReport] = []
        try await DaemonClient.with(socket: socket.path) { client in
            for unit in units {
                progress.show(unit: unit, done: unit - units.lowerBound, found: found.count)
                let query = [("bus", bus), ("unit", String(unit))].map { (key: $0.0, value: $0.1) }
                let body: [UInt8]
                do {
                    body = try await client.get("/v1/identify", query: query, timeLimitSeconds: DaemonClient.searchTimeLimitSeconds)
                } catch {
                    progress.clear()
                    throw error
                }
                let report = try DaemonClient.decode(IdentifyReport.self, body)
                if let fault = report.fault, fault.code == "no_connection" {
                    progress.clear()
                    throw Failure.failed("\(bus): \(fault.text)")
                }
                guard report.present else { continue }
                found.append(report)
                progress.clear()
                if !json { Standard.output.print(report.line.withoutControls) }
            }
        }
        progress.clear()
        if json {
            let report = ScanReport(bus: bus, first: units.lowerBound, last: units.upperBound, reached: units.upperBound, found: found)
            Standard.output.write(report.json + [UInt8(ascii: "\n")])
        } else if found.isEmpty {
            Standard.error.print(
                "nobody answers on \(bus), units \(units.lowerBound) to \(units.upperBound); check power, wiring, baud rate")
        }
    }
}

/// A line on stderr that is drawn anew, on a terminal only.
private struct ScanProgress {
    let total: Int
    private let time = SystemTime()
    private let start: Uptime

    init(total: Int) {
        self.total = total
        start = time.uptime()
    }

    func show(unit: Int, done: Int, found: Int) {
        guard Standard.error.isTerminal else { return }
        let width = 24
        let full = done * width / max(total, 1)
        let bar = String(repeating: "#", count: full) + String(repeating: ".", count: width - full)
        let elapsed = (time.uptime() - start).seconds
        let left = done == 0 ? "" : ", about \(Int((elapsed / Double(done) * Double(total - done)).rounded(.up))) s left"
        Standard.error.write(Array("\r[\(bar)] unit \(unit), \(found) found\(left)\u{1B}[K".utf8))
    }

    func clear() {
        if Standard.error.isTerminal { Standard.error.write(Array("\r\u{1B}[K".utf8)) }
    }
}
