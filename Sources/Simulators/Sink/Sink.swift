import Host
import Metering
import NIOPosix

/// A receiver of batches over HTTP that keeps books on what it accepted, and can be told to misbehave.
///
/// What it accepts is in its file, on the disk, before it answers. Started again on the same file it knows what it has.
/// `POST` to any path takes a batch, `GET /status` answers the report, `POST /mode` sets the mode.
package final class Sink: Sendable {
    /// The port batches come to; it stays the same over `refuse`.
    package let port: UInt16
    /// A port that takes `GET /status` and `POST /mode` even in mode `refuse`, when one was wanted.
    package let controlPort: UInt16?
    package let path: String
    private let host: String
    private let core: SinkCore
    private let doors: SinkDoors
    private let group: MultiThreadedEventLoopGroup

    /// Starts serving; returns when the ports are open.
    /// - Parameters:
    ///   - port: 0 lets the system choose.
    ///   - controlPort: 0 lets the system choose; nil for none.
    /// - Throws: `unavailable` when the address or the file cannot be had, `corrupt` when the file is no sink's.
    package init(
        file: String, host: String = "127.0.0.1", port: UInt16 = 0, controlPort: UInt16? = nil, mode: SinkMode = .ok,
        time: any TimeSource = SystemTime()
    ) async throws(SimulatorError) {
        path = file
        self.host = host
        core = try SinkCore(path: file, mode: .ok, time: time)
        group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        doors = SinkDoors(core: core, group: group, host: host)
        do {
            self.port = UInt16(try await doors.openMain(port: port).get())
            if let controlPort {
                self.controlPort = UInt16(try await doors.openControl(port: controlPort).get())
            } else {
                self.controlPort = nil
            }
            try await doors.setMode(mode).get()
        } catch {
            try? await group.shutdownGracefully()
            throw SimulatorError(.unavailable, "cannot listen on \(host):\(port): \(error)")
        }
    }

    package var mode: SinkMode { core.mode }
    package var report: SinkReport { core.report }

    /// Returns when the new mode holds: `refuse` has closed the port, another has opened it again.
    /// - Throws: `unavailable` when someone else has taken the port meanwhile.
    package func setMode(_ mode: SinkMode) async throws(SimulatorError) {
        do {
            try await doors.setMode(mode).get()
        } catch {
            throw SimulatorError(.unavailable, "cannot listen on \(host):\(port): \(error)")
        }
    }

    /// The accepted records, oldest first, read from the file; one that came twice is there twice.
    package func records() throws(SimulatorError) -> [SinkRecord] { try SinkFile.records(path: path) }

    /// The accepted records in a sink's file; it may be in use.
    package static func records(file: String) throws(SimulatorError) -> [SinkRecord] { try SinkFile.records(path: file) }

    /// Closes the ports, all connections and the file; returns when that is done. Call it once.
    package func stop() async {
        core.close()
        try? await group.shutdownGracefully()
    }
}
