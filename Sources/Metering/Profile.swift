/// The register map of a device model, as its TOML file states it. docs/device-profiles.md documents the file key by key.
package struct Profile: Hashable, Sendable {
    /// The name configs use, e.g. `eastron-sdm630`; equal to the file's name without `.toml`.
    package var name: String
    package var version: Int
    package var vendor: String
    package var models: [String]
    /// Where the map comes from: documents and independent implementations.
    package var source: String
    package var limits: ReadLimits
    /// How the device is found when new.
    package var hints: ConnectionHints
    /// Reads that tell whether a device is one of these models; empty where the device offers none.
    package var identity: [IdentityCheck]
    package var points: [PointDefinition]
    package var examples: [WorkedExample]

    package init(
        name: String, version: Int, vendor: String, models: [String], source: String, limits: ReadLimits = ReadLimits(),
        hints: ConnectionHints = ConnectionHints(), identity: [IdentityCheck] = [], points: [PointDefinition],
        examples: [WorkedExample] = []
    ) {
        self.name = name
        self.version = version
        self.vendor = vendor
        self.models = models
        self.source = source
        self.limits = limits
        self.hints = hints
        self.identity = identity
        self.points = points
        self.examples = examples
    }
}

/// What the device allows a reader to ask.
package struct ReadLimits: Hashable, Sendable {
    /// Registers per request, 1 ... 125.
    package var maxRegisters: Int
    /// Unused registers that one request may read across; 0 forbids any.
    package var maxGap: Int
    /// Registers that must never be asked for, alone or in passing.
    package var forbidden: [Block]
    /// The pause that the device wants between the end of one answer and the next request.
    package var requestPause: Duration
    /// Runs that may be read across whatever `maxGap` says; no request crosses the border of one.
    package var windows: [Block]
    /// The pause that the device wants between a new TCP connection and the first request.
    package var connectDelay: Duration
    /// True for a device that sleeps and loses the first request of a visit.
    package var losesFirstRequest: Bool

    package init(
        maxRegisters: Int = 125, maxGap: Int = 16, forbidden: [Block] = [], requestPause: Duration = .zero, windows: [Block] = [],
        connectDelay: Duration = .zero, losesFirstRequest: Bool = false
    ) {
        self.maxRegisters = maxRegisters
        self.maxGap = maxGap
        self.forbidden = forbidden
        self.requestPause = requestPause
        self.windows = windows
        self.connectDelay = connectDelay
        self.losesFirstRequest = losesFirstRequest
    }
}

/// Words and what they mean, stated in the profile so that a test and `meterctl profiles test` can decode them.
package struct WorkedExample: Hashable, Sendable {
    package var answers: [BlockAnswer]
    package var quantity: String
    /// Nil: the words mean "not available".
    package var value: Value?

    package init(answers: [BlockAnswer], quantity: String, value: Value?) {
        self.answers = answers
        self.quantity = quantity
        self.value = value
    }
}
