import Host
import Metering

/// The thread on which all Modbus TCP buses wait for their answers; they never block it.
private let sharedThread = ThreadExecutor(name: "tcp", watchesSockets: true)

/// The reader that a bus of this description needs. It connects at its first read.
///
/// A line has a thread of its own, since libmodbus blocks; TCP endpoints share one, so that answers that come together are one wake-up.
package func makeReader(for description: BusDescription, time: any TimeSource) -> any RegisterReader {
    switch description.address {
    case .serial(let path, let line):
        SerialReader(name: description.name, path: path, line: line, timeout: description.timeout, time: time)
    case .tcp(let host, let port):
        TCPReader(name: description.name, host: host, port: port, thread: sharedThread, timeout: description.timeout, time: time)
    case .rtuOverTCP(let host, let port):
        SerialReader(name: description.name, host: host, port: port, timeout: description.timeout, time: time)
    }
}

/// A reader with a thread, which whoever asks it may share.
package protocol OnThread: Sendable {
    nonisolated var thread: ThreadExecutor { get }
}

/// A reader over a connection after whose making devices want silence.
package protocol DelayKeeping: Sendable {
    /// The silence; until it is over `read` asks nothing.
    func keep(connectDelay: Duration) async
    /// Makes the connection if it does not stand. Returns when the silence is over; nil when there is none to keep, or no connection, which
    /// the next `read` will say.
    func connect() async -> Uptime?
}

/// A reader that sends requests of its own between those it was asked for, and so must know of pauses.
package protocol PauseKeeping: Sendable {
    /// The silence that the device wants between its answer and the next request to it.
    func keep(pause: Duration, unit: UInt8) async
}
