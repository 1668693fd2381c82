/// What the local API lets its callers do. Only those on the Unix socket: who may use that may run the daemon.
package protocol GatewayControl: Sendable {
    /// Reads the config again and applies it. A file that is not valid changes nothing.
    func reload() async -> ReloadOutcome
}

/// How a reload ended.
package enum ReloadOutcome: Hashable, Sendable {
    case applied(ReloadReport)
    /// Nothing changed; each problem as a line, `file:line:column: key: what is wrong; how to mend it`.
    case refused([String])
    /// It cannot be done now; the text says why and what to do.
    case unavailable(String)
}

/// What a reload changed, as `POST /v1/reload` answers.
package struct ReloadReport: Hashable, Sendable {
    package var buses: ReloadChange
    package var outputs: ReloadChange

    package init(buses: ReloadChange, outputs: ReloadChange) {
        self.buses = buses
        self.outputs = outputs
    }
}

extension ReloadReport: JSONValue, Decodable {
    private enum CodingKeys: String, CodingKey { case buses, outputs }

    package func write(to json: inout JSONWriter) {
        json.object {
            $0.field(CodingKeys.buses, buses)
            $0.field(CodingKeys.outputs, outputs)
        }
    }
}

/// The names of the parts of one kind. One that changed is among the stopped and among the started.
package struct ReloadChange: Hashable, Sendable {
    package var kept: [String]
    package var stopped: [String]
    package var started: [String]

    package init(kept: [String], stopped: [String], started: [String]) {
        self.kept = kept
        self.stopped = stopped
        self.started = started
    }

    init(_ change: ReloadPlan.Change) { self.init(kept: change.keep, stopped: change.stop, started: change.start) }
}

extension ReloadChange: JSONValue, Decodable {
    private enum CodingKeys: String, CodingKey { case kept, stopped, started }

    package func write(to json: inout JSONWriter) {
        json.object {
            $0.field(CodingKeys.kept, kept)
            $0.field(CodingKeys.stopped, stopped)
            $0.field(CodingKeys.started, started)
        }
    }
}
