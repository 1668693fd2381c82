import Metering

/// What an output asks for when it asks for its next slice.
package struct SliceRequest: Hashable, Sendable {
    /// Polls in a range at most, 1 or more; must not change while a batch may be under way, or a crash gives other ranges.
    package var records: Int
    /// A shorter range is offered once its oldest poll has been committed for this long.
    package var age: Duration
    package var policy: LanePolicy
    /// Whether it may be backlog; what is fresh always may.
    package var backlog: Bool
    /// Catalog entries of whose polls the output wants nothing: left out, and counted as filtered.
    package var unwanted: Set<CatalogID>

    package init(
        records: Int, age: Duration, policy: LanePolicy = .inOrder, backlog: Bool = true, unwanted: Set<CatalogID> = []
    ) {
        self.records = records
        self.age = age
        self.policy = policy
        self.backlog = backlog
        self.unwanted = unwanted
    }
}

/// What becomes of new polls while a backlog waits.
package enum LanePolicy: String, Hashable, Sendable, CaseIterable {
    /// They go first, and the backlog beside them.
    case liveFirst = "live_first"
    /// They go when their turn comes: every poll in order of seq.
    case inOrder = "in_order"
}

extension Store {
    /// In order, all of it.
    package func offer(output name: String, records: Int, age: Duration) throws(StoreError) -> SliceOffer {
        try offer(output: name, SliceRequest(records: records, age: age))
    }
}
