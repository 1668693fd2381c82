import Metering

/// One output, as `/v1/outputs` and `/v1/status` list it.
package struct OutputReport: Hashable, Sendable {
    package enum State: String, Hashable, Sendable, Decodable, JSONValue {
        /// Batches are going out.
        case delivering
        /// All is handed on.
        case idle
        /// The receiver cannot be reached or is busy; it is tried again.
        case retrying
        /// Our credentials or address are refused, or someone paused it: someone must act.
        case paused
        /// The receiver refuses every record.
        case blocked
    }

    package var name: String
    package var type: String
    package var state: State
    /// Everything up to and including this seq is accepted, rejected or filtered.
    package var cursor: Int64
    /// How far new polls are handed on, ahead of a backlog; `cursor` when there is none beside them.
    package var liveCursor: Int64
    package var backlogPolls: Int
    /// Those of the backlog that new polls have overtaken.
    package var historicalPolls: Int
    package var acceptedPolls: Int
    package var rejectedPolls: Int
    /// Polls of which the output's filter left nothing.
    package var filteredPolls: Int
    package var deadLetters: Int
    /// Dead letters that were removed for newer ones.
    package var deadLettersDropped: Int
    /// Someone paused it with `meterctl outputs NAME pause`.
    package var pausedByOperator: Bool
    package var lastSuccess: Timestamp?
    package var lastError: String?

    package init(
        name: String, type: String, state: State, cursor: Int64, backlogPolls: Int, acceptedPolls: Int, rejectedPolls: Int,
        deadLetters: Int, deadLettersDropped: Int = 0, pausedByOperator: Bool = false, lastSuccess: Timestamp?, lastError: String?,
        filteredPolls: Int = 0, liveCursor: Int64? = nil, historicalPolls: Int = 0
    ) {
        self.name = name
        self.type = type
        self.state = state
        self.cursor = cursor
        self.liveCursor = liveCursor ?? cursor
        self.historicalPolls = historicalPolls
        self.filteredPolls = filteredPolls
        self.backlogPolls = backlogPolls
        self.acceptedPolls = acceptedPolls
        self.rejectedPolls = rejectedPolls
        self.deadLetters = deadLetters
        self.deadLettersDropped = deadLettersDropped
        self.pausedByOperator = pausedByOperator
        self.lastSuccess = lastSuccess
        self.lastError = lastError
    }
}

extension OutputReport: JSONValue, Decodable {
    private enum CodingKeys: String, CodingKey {
        case name, type, state, cursor
        case backlogPolls = "backlog_polls"
        case acceptedPolls = "accepted_polls"
        case rejectedPolls = "rejected_polls"
        case deadLetters = "dead_letters"
        case deadLettersDropped = "dead_letters_dropped"
        case pausedByOperator = "paused_by_operator"
        case lastSuccess = "last_success"
        case lastError = "last_error"
        case filteredPolls = "filtered_polls"
        case liveCursor = "live_cursor"
        case historicalPolls = "historical_polls"
    }

    package func write(to json: inout JSONWriter) {
        json.object {
            $0.field(CodingKeys.name, name)
            $0.field(CodingKeys.type, type)
            $0.field(CodingKeys.state, state)
            $0.field(CodingKeys.cursor, cursor)
            $0.field(CodingKeys.backlogPolls, backlogPolls)
            $0.field(CodingKeys.acceptedPolls, acceptedPolls)
            $0.field(CodingKeys.rejectedPolls, rejectedPolls)
            $0.field(CodingKeys.deadLetters, deadLetters)
            $0.field(CodingKeys.lastSuccess, lastSuccess)
            $0.field(CodingKeys.lastError, lastError)
            $0.field(CodingKeys.deadLettersDropped, deadLettersDropped)
            $0.field(CodingKeys.pausedByOperator, pausedByOperator)
            $0.field(CodingKeys.filteredPolls, filteredPolls)
            $0.field(CodingKeys.liveCursor, liveCursor)
            $0.field(CodingKeys.historicalPolls, historicalPolls)
        }
    }

    package init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        name = try container.decode(String.self, forKey: .name)
        type = try container.decode(String.self, forKey: .type)
        state = try container.decode(State.self, forKey: .state)
        cursor = try container.decode(Int64.self, forKey: .cursor)
        backlogPolls = try container.decode(Int.self, forKey: .backlogPolls)
        acceptedPolls = try container.decode(Int.self, forKey: .acceptedPolls)
        rejectedPolls = try container.decode(Int.self, forKey: .rejectedPolls)
        deadLetters = try container.decode(Int.self, forKey: .deadLetters)
        deadLettersDropped = try container.decodeIfPresent(Int.self, forKey: .deadLettersDropped) ?? 0
        pausedByOperator = try container.decodeIfPresent(Bool.self, forKey: .pausedByOperator) ?? false
        lastSuccess = try container.timeIfPresent(.lastSuccess)
        lastError = try container.decodeIfPresent(String.self, forKey: .lastError)
        filteredPolls = try container.decodeIfPresent(Int.self, forKey: .filteredPolls) ?? 0
        liveCursor = try container.decodeIfPresent(Int64.self, forKey: .liveCursor) ?? cursor
        historicalPolls = try container.decodeIfPresent(Int.self, forKey: .historicalPolls) ?? 0
    }
}

/// `/v1/outputs`: an object, so that fields can be added beside the list.
package struct OutputsReport: Hashable, Sendable, Decodable, JSONValue {
    package var outputs: [OutputReport]

    package init(outputs: [OutputReport]) { self.outputs = outputs }

    private enum CodingKeys: String, CodingKey { case outputs }

    package func write(to json: inout JSONWriter) {
        json.object { $0.field(CodingKeys.outputs, outputs) }
    }
}
