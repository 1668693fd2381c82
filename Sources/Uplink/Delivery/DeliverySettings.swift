import Metering
import Store

/// What one output is told: who it speaks for, and how big its batches may be.
package struct DeliverySettings: Hashable, Sendable {
    package var gateway: String
    package var site: String?
    /// The output's name; the cursor belongs to it.
    package var output: String
    package var journalID: String
    /// Records in one batch, 1 or more.
    package var batchRecords: Int
    /// Bytes of one request before compression. A single record is sent even if it is larger.
    package var batchBytes: Int
    /// A batch that is not full is sent when its oldest record has waited so long.
    package var batchAge: Duration
    /// Nil: everything is handed on.
    package var filter: OutputFilter?
    /// Nil: the backlog goes as fast as the receiver answers.
    package var pace: Pace?
    package var policy: LanePolicy
    /// The longest a request takes; the upstream bounds itself to it, the heartbeat counts on it.
    package var requestTimeout: Duration
    /// How long a request in flight may still take once the service is told to stop.
    package var stopGrace: Duration

    package init(
        gateway: String, site: String?, output: String, journalID: String, batchRecords: Int = 500, batchBytes: Int = 256 * 1024,
        batchAge: Duration = .seconds(5), filter: OutputFilter? = nil, pace: Pace? = nil, policy: LanePolicy = .inOrder,
        requestTimeout: Duration = .seconds(30), stopGrace: Duration = .seconds(1)
    ) {
        self.gateway = gateway
        self.site = site
        self.output = output
        self.journalID = journalID
        self.batchRecords = batchRecords
        self.batchBytes = batchBytes
        self.batchAge = batchAge
        self.filter = filter
        self.pace = pace
        self.policy = policy
        self.requestTimeout = requestTimeout
        self.stopGrace = stopGrace
    }
    /// Polls of a slice. Of a filtered one little may remain: several batches' worth are looked through for one that is worth sending. It
    /// follows from the settings alone, so that ranges are the same after a crash.
    var sliceRecords: Int {
        filter == nil ? batchRecords : max(batchRecords, min(batchRecords * DeliverySettings.reach, DeliverySettings.reachLimit))
    }

    private static let reach = 8
    private static let reachLimit = 8192
}
