import ArgumentParser
import Simulators

struct SinkCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "sink",
        abstract: "Receives batches over HTTP and keeps books on them.",
        discussion: """
            POST to any path takes a batch; it is in the file, on the disk, before it is answered. GET /status answers what was received,
            what is missing and what came twice. POST /mode sets the mode at run time; "refuse" closes the port, so it and its end must be
            said on the --control port. Started again on the same file it knows what it has.

            Modes: \(SinkMode.known.joined(separator: ", ")). All but refuse take ",times=N": then ok again.

            Prints "listening http HOST:PORT", then "listening control HOST:PORT" if there is one, then "ready".

            EXAMPLES:
              metersim sink --file /tmp/received.jsonl
              metersim sink --file /tmp/received.jsonl --mode 429,retry-after=5s,times=3
              curl -s localhost:8080/status
              curl -s -d 'cut-after,times=1' localhost:8080/mode
            """)

    @Option(name: .long, help: "Address of the HTTP server; port 0 lets the system choose.")
    var listen = ListenAddress("127.0.0.1", 8080)

    @Option(name: .long, help: "Port, on the same host, for /status and /mode that stays open in mode refuse; 0 lets the system choose.")
    var control: UInt16?

    @Option(name: .long, help: "Where accepted batches are kept, one line of JSON each.")
    var file: String

    @Option(name: .long, help: "What it does with batches.", transform: readMode)
    var mode = SinkMode.ok

    func run() async throws {
        do throws(SimulatorError) {
            let sink = try await Sink(file: file, host: listen.host, port: listen.port, controlPort: control, mode: mode)
            say("listening http \(ListenAddress.text(listen.host, sink.port))")
            if let port = sink.controlPort { say("listening control \(ListenAddress.text(listen.host, port))") }
            say("ready")
            await StopSignal.wait()
            await sink.stop()
        } catch {
            throw fail(error)
        }
    }
}
