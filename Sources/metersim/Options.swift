import ArgumentParser
import FoundationEssentials
import Glibc
import Metering
import Simulators

/// `HOST:PORT`, `[::1]:PORT`; port 0 lets the system choose.
struct ListenAddress: ExpressibleByArgument, CustomStringConvertible {
    var host: String
    var port: UInt16

    init(_ host: String, _ port: UInt16) {
        self.host = host
        self.port = port
    }

    init?(argument: String) {
        guard let colon = argument.lastIndex(of: ":"), let port = UInt16(argument[argument.index(after: colon)...]) else { return nil }
        var host = argument[..<colon]
        if host.hasPrefix("["), host.hasSuffix("]") { host = host.dropFirst().dropLast() }
        guard !host.isEmpty else { return nil }
        self.host = String(host)
        self.port = port
    }

    var description: String { ListenAddress.text(host, port) }
    var defaultValueDescription: String { description }

    static func text(_ host: String, _ port: UInt16) -> String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }
}

/// The time that a line takes where a pty takes none.
struct WireOptions: ParsableArguments {
    @Option(
        name: .long,
        help: .init(
            "Let the pty take the time of a real line: BAUD[,format=8N1][,turnaround=20ms]. Without it answers come at once.",
            valueName: "baud"),
        transform: readWire)
    var wire: WireTime?

    /// - Parameter line: whether there is a pty.
    func check(line: Bool) throws {
        guard wire == nil || line else { throw ValidationError("--wire is for a pty, and there is none; give it a name as well") }
    }
}

/// A fault as `FaultText` reads it.
struct FaultArgument {
    var text: FaultText

    static func read(_ argument: String) throws -> FaultArgument {
        do throws(SimulatorError) {
            return FaultArgument(text: try FaultText(argument))
        } catch {
            throw ValidationError(error.text)
        }
    }
}

/// Wire time as `WireTime` reads it.
func readWire(_ argument: String) throws -> WireTime {
    do throws(SimulatorError) {
        return try WireTime(argument)
    } catch {
        throw ValidationError(error.text)
    }
}

/// A mode as `SinkMode` reads it.
func readMode(_ argument: String) throws -> SinkMode {
    do throws(SimulatorError) {
        return try SinkMode(argument)
    } catch {
        throw ValidationError(error.text)
    }
}

/// `2026-11-24T00:00:00Z`, or milliseconds since 1970.
func readEpoch(_ argument: String) throws -> Timestamp {
    if let milliseconds = Int64(argument) { return Timestamp(milliseconds: milliseconds) }
    if let time = try? Date(argument, strategy: .iso8601) {
        return Timestamp(milliseconds: Int64((time.timeIntervalSince1970 * 1000).rounded()))
    }
    throw ValidationError("\(argument) is no time; write 2026-11-24T00:00:00Z or milliseconds since 1970")
}

/// Ends the program as argument-parser does: usage is 64, bad data 65, the rest 1.
func fail(_ error: SimulatorError) -> any Error {
    switch error.code {
    case .usage: return ValidationError("\(error)")
    case .unavailable: return Failure(text: "\(error)")
    case .corrupt:
        let bytes = Array("Error: \(error)\n".utf8)
        _ = bytes.withUnsafeBytes { write(STDERR_FILENO, $0.baseAddress, $0.count) }
        return ExitCode(65)
    }
}

private struct Failure: Error, CustomStringConvertible {
    var text: String
    var description: String { text }
}
