import Glibc
import Host
import Logging
import Metering

/// Writes each message as one line on stderr: with journald's priority prefix when journald reads it, with a time otherwise.
///
///     <4>device is offline device.name=main modbus.fault=timeout
///     2026-11-23T08:00:00.000Z warning device is offline device.name=main modbus.fault=timeout
///
/// - Source: sd-daemon(3) for the prefixes.
package struct JournalLogHandler: LogHandler {
    /// What this copy logs at least, above what the daemon does; nil: the same.
    private var own: Logger.Level?
    private let control: LogLevelControl
    package var logLevel: Logger.Level {
        get { own.map { max($0, control.level) } ?? control.level }
        set { own = newValue }
    }
    package var metadata: Logger.Metadata = [:]
    private let time: any TimeSource
    private let prefixed: Bool

    /// - Parameter prefixed: true when stderr is connected to the journal (`JOURNAL_STREAM` is set).
    package init(level: Logger.Level, time: any TimeSource, prefixed: Bool) {
        self.init(control: LogLevelControl(level), time: time, prefixed: prefixed)
    }

    /// - Parameter control: says what is logged, from one message to the next.
    package init(control: LogLevelControl, time: any TimeSource, prefixed: Bool) {
        self.control = control
        self.time = time
        self.prefixed = prefixed
    }

    package subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    package func log(event: LogEvent) {
        let facts = metadata.merging(event.metadata ?? [:]) { $1 }
        let line = JournalLogHandler.line(event.level, event.message.description, facts, prefixed ? nil : time.wall())
        let bytes = Array(line.utf8)
        // A pipe that nobody drains must not hold up a bus: the line is dropped.
        var stderr = pollfd(fd: STDERR_FILENO, events: Int16(POLLOUT), revents: 0)
        guard poll(&stderr, 1, 0) > 0 else { return }
        var sent = 0
        while sent < bytes.count {
            let count = bytes[sent...].withUnsafeBytes { write(STDERR_FILENO, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            if count <= 0 { return }  // nobody reads: logging must not stop the daemon
            sent += count
        }
    }

    /// One line, control characters made harmless, ending in a newline.
    static func line(_ level: Logger.Level, _ message: String, _ facts: Logger.Metadata, _ wall: Timestamp?) -> String {
        var text = wall.map { "\($0.rfc3339) \(level.rawValue) " } ?? "<\(priority(level))>"
        text += message
        for (key, value) in facts.sorted(by: { $0.key < $1.key }) {
            let value = value.description
            let quoted = value.isEmpty || value.contains { $0 == " " || $0 == "\"" || $0 == "=" }
            text +=
                " \(key)="
                + (quoted ? "\"\(value.split(separator: "\"", omittingEmptySubsequences: false).joined(separator: "'"))\"" : value)
        }
        return String(String.UnicodeScalarView(text.unicodeScalars.map { $0.value < 0x20 || $0.value == 0x7F ? " " : $0 })) + "\n"
    }

    private static func priority(_ level: Logger.Level) -> Int {
        switch level {
        case .trace, .debug: 7
        case .info: 6
        case .notice: 5
        case .warning: 4
        case .error: 3
        case .critical: 2
        }
    }
}
