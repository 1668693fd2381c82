import ArgumentParser
import Gateway
import Host
import Metering

/// How a command goes on showing.
struct WatchOptions: ParsableArguments {
    @Flag(help: "Go on until interrupted, every second.")
    var watch = false

    @Option(help: .init("With --watch: stop after so many rounds.", valueName: "n"))
    var count: Int?

    func validate() throws {
        if let count {
            guard watch else { throw ValidationError("--count needs --watch.") }
            guard count > 0 else { throw ValidationError("--count must be at least 1.") }
        }
    }
}

/// Shows an answer of the daemon, once or each second.
struct Watch {
    static let period: Duration = .seconds(1)

    let options: WatchOptions
    let json: Bool

    /// On a terminal the screen is drawn anew; elsewhere each round is a block of its own, with an empty line between. With JSON each round
    /// is a line.
    ///
    /// - Parameter lines: what a terminal of this width, or a file, shows of an answer.
    func run(
        _ address: DaemonAddress, _ path: String, query: [(key: String, value: String)] = [],
        _ lines: ([UInt8], _ width: Int?, Paint) throws -> [String]
    ) async throws {
        var isFirst = true
        try await rounds(address, path, query: query) { body in
            let output = Standard.output
            if json { return output.write(body) }
            let text = try lines(body, output.width, Paint(coloured: output.coloured))
            if options.watch, let height = output.height {
                output.write(Array(Screen.redraw(text, height: height).utf8))
            } else {
                if !isFirst { output.print("") }
                output.print(text)
            }
            isFirst = false
        }
    }

    /// One round, or one a second. A daemon that restarts is waited for, once it has answered; it is told once.
    func rounds(
        _ address: DaemonAddress, _ path: String, query: [(key: String, value: String)] = [], _ show: ([UInt8]) throws -> Void
    ) async throws {
        try await DaemonClient.with(socket: address) { client in
            try show(try await client.get(path, query: query))
            guard options.watch else { return }
            let time = SystemTime()
            var next = time.uptime()
            var rounds = 1
            var isSilent = false
            while rounds < options.count ?? .max {
                next = max(next + Watch.period, time.uptime())
                try await time.sleep(until: next)
                rounds += 1
                do {
                    try show(try await client.get(path, query: query))
                    isSilent = false
                } catch let failure as Failure where failure.code == .unreachable {
                    if !isSilent { Standard.error.print("meterctl: \(failure.text); waiting for it") }
                    isSilent = true
                }
            }
        }
    }
}
