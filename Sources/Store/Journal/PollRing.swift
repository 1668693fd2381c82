import Metering

/// Polls that wait for a commit, oldest first, within bounds. Over them the oldest go, and are counted.
struct PollRing {
    private let polls: Int
    private let bytes: Int
    private var waiting: [CountedPoll] = []
    private var dropped = 0
    private(set) var usedBytes = 0
    private var loss: Loss?

    /// - Parameters: what it holds at most; it holds at least the newest poll.
    init(polls: Int, bytes: Int) {
        self.polls = polls
        self.bytes = bytes
    }

    var count: Int { waiting.count - dropped }
    /// A commit is wanted before its time.
    var isHalfFull: Bool { count > polls / 2 || usedBytes > bytes / 2 }

    mutating func append(_ poll: CountedPoll) {
        waiting.append(poll)
        usedBytes += PollRing.cost(of: poll)
        while count > 1, count > polls || usedBytes > bytes { dropOldest() }
    }

    /// Everything that waits; the ring is empty then.
    mutating func takeAll() -> [CountedPoll] {
        defer {
            waiting = []
            dropped = 0
            usedBytes = 0
        }
        return dropped == 0 ? waiting : Array(waiting[dropped...])
    }

    /// What was pushed out since the last call.
    mutating func takeLoss() -> Loss? {
        defer { loss = nil }
        return loss
    }

    private mutating func dropOldest() {
        let oldest = waiting[dropped]
        dropped += 1
        usedBytes -= PollRing.cost(of: oldest)
        let one = Loss(
            cause: .notCommitted, polls: 1, readings: oldest.readings, firstTime: oldest.poll.time, lastTime: oldest.poll.time)
        loss = loss?.merged(with: one) ?? one
        // Now and then, so that dropping stays cheap and memory bounded.
        if dropped > waiting.count / 2 {
            waiting.removeFirst(dropped)
            dropped = 0
        }
    }

    /// About what a poll takes in memory.
    static func cost(of poll: CountedPoll) -> Int {
        poll.poll.answers.reduce(96) { sum, answer in
            if case .words(let words) = answer.outcome { sum + 64 + 2 * words.count } else { sum + 32 }
        }
    }
}
