import Metering
import Testing

@testable import Uplink

/// What every upstream promises, on each one there is.
@Suite struct UpstreamContractTests {
    enum Kind: String, CaseIterable, Sendable { case http, recording }
    enum Wish: CaseIterable, Sendable { case takeAll, rejectSecond, refuse, tooLarge, unauthorized, unavailable }

    /// An upstream of this kind before a receiver that answers by `wish`, and how often the receiver was asked.
    private func with(_ kind: Kind, _ wish: Wish, _ body: (any Upstream) async throws -> Void) async throws -> Int {
        switch kind {
        case .http:
            let reply: WireServer.Reply =
                switch wish {
                case .takeAll: .status("200 OK")
                case .rejectSecond: .status("200 OK", body: #"{"rejected":[{"seq":2,"reason":"no"}]}"#)
                case .refuse: .status("422 No")
                case .tooLarge: .status("413 No")
                case .unauthorized: .status("401 No")
                case .unavailable: .status("503 No", headers: ["Retry-After: 7"])
                }
            return try await WireServer.serve(reply) { server in
                try await withUpstream(server.url) { try await body($0) }
                return server.requests.count
            }
        case .recording:
            let upstream = RecordingUpstream { _ in
                switch wish {
                case .takeAll: .accepted(rejected: [])
                case .rejectSecond: .accepted(rejected: [RejectedRecord(seq: 2, reason: "no")])
                case .refuse: .refused(reason: "422")
                case .tooLarge: .tooLarge(reason: "413")
                case .unauthorized: .unauthorized(reason: "401")
                case .unavailable: .unavailable(reason: "503", retryAfter: .seconds(7))
                }
            }
            try await body(upstream)
            return await upstream.batches.count
        }
    }

    @Test(arguments: Kind.allCases, Wish.allCases)
    func everyAnswerHasItsSettlement(kind: Kind, wish: Wish) async throws {
        let asked = try await with(kind, wish) { upstream in
            let settlement = await upstream.send(Plant.batch(1...3))
            let fits =
                switch (wish, settlement) {
                case (.takeAll, .accepted(let rejected)): rejected.isEmpty
                case (.rejectSecond, .accepted(let rejected)): rejected == [RejectedRecord(seq: 2, reason: "no")]
                case (.refuse, .refused), (.tooLarge, .tooLarge), (.unauthorized, .unauthorized): true
                case (.unavailable, .unavailable(_, let retryAfter)): retryAfter == .seconds(7)
                default: false
                }
            #expect(fits, "\(settlement)")
        }
        // It never tries again by itself: that is the plan's to decide.
        #expect(asked == 1)
    }

    @Test(arguments: Kind.allCases)
    func aBatchOfOneFitsWhateverTheCap(kind: Kind) async throws {
        _ = try await with(kind, .takeAll) { upstream in
            let count = await upstream.fitting(Plant.batch(1...1), bytes: 1)
            #expect(count == 1)
            let again = await upstream.fitting(Plant.batch(1...50), bytes: 2000)
            #expect(await upstream.fitting(Plant.batch(1...50), bytes: 2000) == again)
        }
    }

    @Test(arguments: Kind.allCases)
    func closingTwiceIsHarmless(kind: Kind) async throws {
        _ = try await with(kind, .takeAll) { upstream in
            await upstream.close()
            await upstream.close()
        }
    }
}
