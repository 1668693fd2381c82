import Host

/// What the kernel says of the wall clock, and how the daemon knows.
package struct ClockReport: Hashable, Sendable {
    package enum Source: String, Sendable {
        /// The daemon asked the kernel itself.
        case kernel
        /// The companion asked for it.
        case companion = "meterd-clock"
        /// The daemon may not ask and nobody tells it.
        case nobody = "none"
    }

    package var synchronized: Bool
    /// The largest error the kernel thinks possible, in milliseconds.
    package var maxErrorMilliseconds: Int
    package var source: Source

    package init(synchronized: Bool, maxErrorMilliseconds: Int, source: Source = .kernel) {
        self.synchronized = synchronized
        self.maxErrorMilliseconds = maxErrorMilliseconds
        self.source = source
    }

    package init(_ state: ClockState) {
        synchronized = state.quality == .synchronized
        maxErrorMilliseconds = state.maxErrorMilliseconds
        source =
            switch state.source {
            case .kernel: .kernel
            case .companion: .companion
            case .nobody: .nobody
            }
    }
}

extension ClockReport: JSONValue, Decodable {
    private enum CodingKeys: String, CodingKey {
        case synchronized
        case maxErrorMilliseconds = "max_error_ms"
        case source
    }

    package func write(to json: inout JSONWriter) {
        json.object {
            $0.field(CodingKeys.synchronized, synchronized)
            $0.field(CodingKeys.maxErrorMilliseconds, maxErrorMilliseconds)
            $0.field(CodingKeys.source, source.rawValue)
        }
    }

    package init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        synchronized = try container.decode(Bool.self, forKey: .synchronized)
        maxErrorMilliseconds = try container.decode(Int.self, forKey: .maxErrorMilliseconds)
        // A daemon that does not say asks the kernel itself.
        source = try container.decodeIfPresent(String.self, forKey: .source).flatMap(Source.init(rawValue:)) ?? .kernel
    }
}
