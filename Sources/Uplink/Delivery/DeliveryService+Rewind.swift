import Host

/// How often someone sets the output's cursor back.
struct Rewinds {
    /// Just now, and not yet in the store.
    var underWay = 0
    /// In the store, since the loop last looked: what is in hand is no longer what comes next.
    var written = 0
}

extension DeliveryService {
    /// The output's cursor is about to be set back in the store; `rewound` or `abandonRewind` says what became of that. Nothing is sent
    /// until then.
    ///
    /// - Returns: why the upstream does not allow it now, and then nothing has begun; nil when it does.
    package nonisolated func beginRewind() async -> String? {
        rewinds.withLock { $0.underWay += 1 }
        let reason = await upstream.beginRewind()
        if reason != nil { leave() }
        return reason
    }

    /// The output's cursor was set back in the store.
    package nonisolated func rewound() {
        rewinds.withLock { $0.written += 1 }
        leave()
    }

    /// The output's cursor stays where it is.
    package nonisolated func abandonRewind() async {
        await upstream.endRewind()
        leave()
    }

    private nonisolated func leave() {
        rewinds.withLock { $0.underWay -= 1 }
        bell.ring()
    }

    nonisolated var isBeingSetBack: Bool { rewinds.withLock { $0.underWay + $0.written > 0 } }

    /// Whether any was written since the last call.
    func endRewinds() async -> Bool {
        let written = rewinds.withLock { rewinds in
            defer { rewinds.written = 0 }
            return rewinds.written
        }
        for _ in 0..<written { await upstream.endRewind() }
        return written > 0
    }
}
