// Store: what we keep, in one SQLite file.
//
// Journal, catalog, cursors, dead letters, losses. It never lets SQL or a row type out.

import Metering

/// A poll with its place in the journal: strictly increasing, never reused.
package struct StoredPoll: Hashable, Sendable {
    package var seq: Int64
    package var poll: Poll

    package init(seq: Int64, poll: Poll) {
        self.seq = seq
        self.poll = poll
    }
}

/// A contiguous range of the journal for one output.
package struct JournalSlice: Hashable, Sendable {
    package var first: Int64
    package var last: Int64
    /// In order of `seq`, all of first ... last except what retention or damage took.
    package var polls: [StoredPoll]

    package init(first: Int64, last: Int64, polls: [StoredPoll]) {
        self.first = first
        self.last = last
        self.polls = polls
    }
}

/// What an output may be handed now.
package enum SliceOffer: Hashable, Sendable {
    case slice(JournalSlice)
    /// Fewer than `records` are waiting, and the oldest is younger than `age`: ask again at this time, or after the next commit.
    case wait(until: Uptime)
    /// All is handed on.
    case empty
    /// Someone paused the output: ask again when it was resumed.
    case paused
}

/// A record that the receiver refused, with its answer.
package struct Rejection: Hashable, Sendable {
    package var seq: Int64
    package var reason: String

    package init(seq: Int64, reason: String) {
        self.seq = seq
        self.reason = reason
    }
}

/// What one output has been handed so far.
package struct OutputState: Hashable, Sendable {
    package var name: String
    /// Everything up to and including this seq is accepted or rejected.
    package var cursor: Int64
    package var backlogPolls: Int
    package var acceptedPolls: Int
    package var rejectedPolls: Int
    /// Copies of rejected polls that are kept.
    package var deadLetters: Int
    /// Copies that went for newer ones, over the limit.
    package var deadLettersDropped: Int
    /// Someone paused it; nothing is offered until someone resumes it.
    package var isPaused: Bool

    package init(
        name: String, cursor: Int64, backlogPolls: Int, acceptedPolls: Int, rejectedPolls: Int, deadLetters: Int,
        deadLettersDropped: Int = 0, isPaused: Bool = false
    ) {
        self.name = name
        self.cursor = cursor
        self.backlogPolls = backlogPolls
        self.acceptedPolls = acceptedPolls
        self.rejectedPolls = rejectedPolls
        self.deadLetters = deadLetters
        self.deadLettersDropped = deadLettersDropped
        self.isPaused = isPaused
    }
}

/// The journal in figures.
package struct JournalState: Hashable, Sendable {
    /// Names this database; changes only when the file is replaced.
    package var journalID: String
    package var firstSeq: Int64
    package var lastSeq: Int64
    package var polls: Int
    package var readings: Int
    package var bytes: Int
    package var lostPolls: Int
    package var lostReadings: Int
    /// When the lost polls were read; nil when none were lost.
    package var lostTimes: ClosedRange<Timestamp>?

    package init(
        journalID: String, firstSeq: Int64, lastSeq: Int64, polls: Int, readings: Int, bytes: Int, lostPolls: Int, lostReadings: Int,
        lostTimes: ClosedRange<Timestamp>? = nil
    ) {
        self.journalID = journalID
        self.firstSeq = firstSeq
        self.lastSeq = lastSeq
        self.polls = polls
        self.readings = readings
        self.bytes = bytes
        self.lostPolls = lostPolls
        self.lostReadings = lostReadings
        self.lostTimes = lostTimes
    }
}
