import ArgumentParser
import FoundationEssentials
import Simulators

struct TallyCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tally",
        abstract: "Counts what a sink's file holds.",
        discussion: """
            Prints one line of JSON: records, the readings in them, records missing between 1 and --through, and records that are there \
            twice. The sink may be running.

            EXAMPLES:
              metersim tally --file /tmp/received.jsonl --through 1043
            """)

    @Option(name: .long, help: "The file of a sink.")
    var file: String

    @Option(name: .long, help: "The last seq that counts.")
    var through: Int64

    func run() throws {
        do throws(SimulatorError) {
            let tally = SinkTally(try Sink.records(file: file), through: through)
            let encoder = JSONEncoder()
            encoder.outputFormatting = .sortedKeys
            say(String(decoding: (try? encoder.encode(tally)) ?? Data(), as: UTF8.self))
        } catch {
            throw fail(error)
        }
    }
}
