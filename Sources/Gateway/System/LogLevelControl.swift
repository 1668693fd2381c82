import Host
import Logging

/// The least level that is logged. One for the whole daemon: whoever changes it changes it for every logger, until the daemon ends.
package final class LogLevelControl: Sendable {
    private let current: Lock<Logger.Level>

    package init(_ level: Logger.Level) { current = Lock(level) }

    package var level: Logger.Level {
        get { current.withLock { $0 } }
        set { current.withLock { $0 = newValue } }
    }
}

/// `GET` and `POST /v1/log-level`.
package struct LogLevelReport: Hashable, Sendable {
    package var level: Logger.Level

    package init(level: Logger.Level) { self.level = level }
}

extension LogLevelReport: JSONValue, Decodable {
    private enum CodingKeys: String, CodingKey { case level }

    package func write(to json: inout JSONWriter) {
        json.object { $0.field(CodingKeys.level, level.rawValue) }
    }

    /// The word, for those who know no levels.
    package var word: String { level.rawValue }
}
