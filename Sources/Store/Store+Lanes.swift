import Metering

/// Which lane of an output goes next, and when one is forked.
extension Store {
    enum LaneChoice: Hashable {
        /// - Parameter isLate: what comes of it is backlog.
        case lane(Int, isLate: Bool)
        case wait(until: Uptime)
        case empty
    }

    /// What is fresh goes first, where the output wants that; then the backlog, the oldest first, when it was asked for.
    func choice(of outbox: Outbox, _ request: SliceRequest, now: Uptime) -> LaneChoice {
        let newest = outbox.lanes.count - 1
        var wait: Uptime?
        var backlog = outbox.lanes.dropLast().firstIndex { $0.available > 0 }
        if let end = outbox.last.nextEnd(records: request.records) {
            if isLate(end, request, now: now) {
                backlog = backlog ?? newest
            } else if request.policy == .liveFirst || backlog == nil {
                let isWhole = outbox.last.pending != nil || outbox.last.available >= request.records
                guard !isWhole, let since = commitTime(of: outbox.liveCursor + 1), now < since + request.age else {
                    return .lane(newest, isLate: false)
                }
                wait = since + request.age
            }
        } else if outbox.horizon < books.lastSeq {
            // Behind the horizon more may be kept: the next commit, or the writer's tick, opens it.
            wait = now + StoreLimits.horizonWait
        }
        if let backlog {
            if request.backlog { return .lane(backlog, isLate: true) }
            wait = wait ?? now + StoreLimits.horizonWait
        }
        return wait.map { .wait(until: $0) } ?? .empty
    }

    /// Committed so long ago that it is backlog; what was committed before this start counts as that.
    func isLate(_ seq: Int64, _ request: SliceRequest, now: Uptime) -> Bool {
        commitTime(of: seq).map { now - $0 > request.age + StoreLimits.lateAfter } ?? true
    }

    /// Call it when a receiver took polls of an output: it is there, so what is new need not wait for what is old.
    func wishFork(of outbox: Outbox) {
        guard let request = requests[outbox.name], request.policy == .liveFirst, isBehind(outbox, request) else { return }
        // With the next commit, also when it has no poll to keep.
        forkWishes.insert(outbox.name)
    }

    /// Whether a commit forks it. A wish that is no longer due is dropped.
    func wantsFork(_ outbox: Outbox) -> Bool {
        guard forkWishes.contains(outbox.name) else { return false }
        guard let request = requests[outbox.name], isBehind(outbox, request) else {
            forkWishes.remove(outbox.name)
            return false
        }
        return true
    }

    func noteFork(of name: String, at seq: Int64) {
        forkWishes.remove(name)
        logger.info(
            "output hands on new polls first and its backlog beside them",
            metadata: ["output.name": "\(name)", "output.live_from": "\(seq + 1)"])
    }

    private func isBehind(_ outbox: Outbox, _ request: SliceRequest) -> Bool {
        outbox.last.available > 0 && isLate(outbox.liveCursor + 1, request, now: time.uptime())
    }
}

extension StoreLimits {
    /// Polls that were committed longer ago than this, and than the age of a batch, are backlog.
    static let lateAfter: Duration = .seconds(15)
}
