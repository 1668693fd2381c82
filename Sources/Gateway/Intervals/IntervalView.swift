import Host
import Metering
import Store

/// What the local API asks for the quarter hours of devices.
package protocol IntervalView: Sendable {
    /// Looks at a request and has what is needed ready.
    ///
    /// - Throws: `GatewayViewError`: an unknown device, or that it cannot be told now.
    func prepare(_ request: IntervalRequest) async throws(GatewayViewError) -> PreparedIntervals
}

/// Whose quarter hours, and which; the format in which they are told.
package struct IntervalRequest: Hashable, Sendable {
    /// Empty for all.
    package var devices: [String]
    /// Nil: a day before `until`.
    package var from: Timestamp?
    /// Nil: now.
    package var until: Timestamp?
    package var format: IntervalText.Format

    package init(devices: [String] = [], from: Timestamp? = nil, until: Timestamp? = nil, format: IntervalText.Format = .jsonLines) {
        self.devices = devices
        self.from = from
        self.until = until
        self.format = format
    }

    package static let usualSpan = Duration.seconds(86_400)
}

/// A listing that may begin.
package struct PreparedIntervals: Sendable {
    package var format: IntervalText.Format
    /// Hands the text on piece by piece.
    package var run: @Sendable (_ write: ([UInt8]) async throws -> Void) async throws -> Void
}

/// Tells them from the journal of the running gateway.
package struct IntervalDesk: IntervalView {
    private let store: Store
    private let time: any TimeSource
    private let devices: @Sendable () -> (names: [String], entries: [CatalogEntry])
    private let running = Lock(0)

    /// Each reads the journal for itself, and the store serves them beside its commits.
    static let listingsLimit = 4

    /// - Parameter devices: what is configured now, and what decodes it as far as that is known; a reload changes them.
    package init(
        store: Store, time: any TimeSource, devices: @escaping @Sendable () -> (names: [String], entries: [CatalogEntry])
    ) {
        self.store = store
        self.time = time
        self.devices = devices
    }

    package func prepare(_ request: IntervalRequest) async throws(GatewayViewError) -> PreparedIntervals {
        let (names, entries) = devices()
        let kept: Set<String>
        // A journal that cannot be read is told before the first byte.
        do throws(StoreError) { kept = try await store.catalogDevices() } catch { throw .unavailable("\(error)") }
        if let stranger = request.devices.first(where: { !names.contains($0) && !kept.contains($0) }) {
            throw .unknownDevice(stranger, known: names)
        }
        let now = time.wall()
        let until = min(request.until ?? now, now)
        let usual = Interval.number(of: until.advanced(by: .zero - IntervalRequest.usualSpan)) * Interval.milliseconds
        let from = request.from ?? Timestamp(milliseconds: usual)
        let listing = IntervalListing(
            devices: request.devices.isEmpty ? nil : Set(request.devices), from: from, until: until, known: entries)
        guard running.withLock({ $0 < IntervalDesk.listingsLimit }) else {
            throw .unavailable("\(IntervalDesk.listingsLimit) listings of intervals run already; try again when one has ended")
        }
        let text = IntervalText(request.format)
        return PreparedIntervals(format: request.format) { [store, running] write in
            running.withLock { $0 += 1 }
            defer { running.withLock { $0 -= 1 } }
            try await write(text.head)
            _ = try await listing.run(on: store, now: now) { intervals in
                try await write(intervals.flatMap { text.text($0) })
            }
        }
    }
}
