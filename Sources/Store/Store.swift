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
    /// In order of `seq`, all of first ... last except what retention or damage took, and what the output wants nothing of.
    package var polls: [StoredPoll]
    /// Polls of the range that were left out, since the output wants nothing of them.
    package var filtered: Int
    /// It was kept for long before it was offered: backlog, not what is measured now.
    package var isLate: Bool

    package init(first: Int64, last: Int64, polls: [StoredPoll], filtered: Int = 0, isLate: Bool = false) {
        self.first = first
        self.last = last
        self.polls = polls
        self.filtered = filtered
        self.isLate = isLate
    }
}

/// What an output may be handed now.
package enum SliceOffer: Hashable, Sendable {
    case slice(JournalSlice)
    /// Fewer than `records` are waiting, and the oldest is younger than `age`, or only backlog is, which was not asked for: ask again at
    /// this time, or after the next commit.
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
    /// Where the newest lane has come to; `cursor` while nothing overtakes the backlog.
    package var liveCursor: Int64
    package var backlogPolls: Int
    /// Those of the backlog that the newest lane has overtaken.
    package var historicalPolls: Int
    package var acceptedPolls: Int
    package var rejectedPolls: Int
    /// Polls of which the output's filter left nothing; they count as settled, not as accepted.
    package var filteredPolls: Int
    /// Copies of rejected polls that are kept.
    package var deadLetters: Int
    /// Copies that went for newer ones, over the limit.
    package var deadLettersDropped: Int
    /// Someone paused it; nothing is offered until someone resumes it.
    package var isPaused: Bool

    package init(
        name: String, cursor: Int64, liveCursor: Int64? = nil, backlogPolls: Int, historicalPolls: Int = 0, acceptedPolls: Int,
        rejectedPolls: Int, filteredPolls: Int = 0, deadLetters: Int, deadLettersDropped: Int = 0, isPaused: Bool = false
    ) {
        self.name = name
        self.cursor = cursor
        self.liveCursor = liveCursor ?? cursor
        self.backlogPolls = backlogPolls
        self.historicalPolls = historicalPolls
        self.acceptedPolls = acceptedPolls
        self.rejectedPolls = rejectedPolls
        self.filteredPolls = filteredPolls
        self.deadLetters = deadLetters
        self.deadLettersDropped = deadLettersDropped
        self.isPaused = isPaused
    }
}

/// The journal in figures.
package struct JournalState: Hashable, Sendable {
    /// Names this database; changes only when the file is replaced, by a new one or an older one.
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
    /// When it was last put back from a backup, while polls from then or before are kept.
    package var restore: JournalRestore?

    package init(
        journalID: String, firstSeq: Int64, lastSeq: Int64, polls: Int, readings: Int, bytes: Int, lostPolls: Int, lostReadings: Int,
        lostTimes: ClosedRange<Timestamp>? = nil, restore: JournalRestore? = nil
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
        self.restore = restore
    }
}
