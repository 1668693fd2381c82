import Host

/// The reader that a bus of this description needs. It connects at its first read.
package func makeReader(for description: BusDescription, time: any TimeSource) -> any RegisterReader {
    switch description.address {
    case .serial(let path, let line):
        SerialReader(name: description.name, path: path, line: line, timeout: description.timeout, time: time)
    case .tcp(let host, let port):
        TCPReader(name: description.name, host: host, port: port, timeout: description.timeout, time: time)
    case .rtuOverTCP(let host, let port):
        SerialReader(name: description.name, host: host, port: port, timeout: description.timeout, time: time)
    }
}

/// A reader that blocks, on a thread that whoever asks it may share.
package protocol OnThread: Sendable {
    nonisolated var thread: ThreadExecutor { get }
}
