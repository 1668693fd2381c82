import Glibc
import Host
import Metering
import TestSupport
import Testing

@testable import Uplink

/// What every upstream promises, on each one there is.
@Suite(.serialized) struct UpstreamContractTests {
    enum Kind: String, CaseIterable, Sendable {
        /// A receiver made up at the wire, which can be brought to answer anything.
        case http, influx
        /// The same HTTP through nginx with TLS.
        case nginx
        case influxdb, victoria, mosquitto, nats, file, recording

        /// The program that is the receiver, or stands before it; nil where the tests are that themselves.
        var program: String? {
            switch self {
            case .http, .influx, .file, .recording: nil
            case .nginx: "nginx"
            case .influxdb: "influxd"
            case .victoria: "victoria-metrics"
            case .mosquitto: "mosquitto"
            case .nats: "nats-server"
            }
        }

        /// What can be brought about with a receiver of this kind: a disk refuses no record, and MQTT says no to messages alone.
        var wishes: [Wish] {
            switch self {
            case .http, .influx, .nginx, .recording: Wish.allCases
            case .influxdb: [.takeAll, .tooLarge, .unauthorized, .unavailable]
            case .mosquitto: [.takeAll, .rejectSecond, .unauthorized, .unavailable]
            case .nats, .victoria, .file: [.takeAll, .unauthorized, .unavailable]
            }
        }

        /// The kinds whose receiver can say when to come again.
        var namesATime: Bool { [.http, .influx, .nginx, .recording].contains(self) }

        /// A machine that lacks the receiver's package leaves its cases out, and says so.
        func skipUnlessInstalled() throws {
            if let program, RealServer.path(program) == nil { try Test.cancel("\(program) is not installed") }
        }
    }

    enum Wish: CaseIterable, Sendable { case takeAll, rejectSecond, refuse, tooLarge, unauthorized, unavailable }

    struct Case: Sendable, CustomTestStringConvertible {
        var kind: Kind
        var wish: Wish
        var testDescription: String { "\(kind) \(wish)" }
        static let all = Kind.allCases.flatMap { kind in kind.wishes.map { Case(kind: kind, wish: $0) } }
    }

    private static let batch: Batch = {
        var batch = Plant.batch(1...3)
        batch.records[1].readings[1] = Reading(point: 1, value: .text(String(repeating: "x", count: 3000)))
        return batch
    }()

    @Test(arguments: Case.all)
    func everyAnswerHasItsSettlement(it: Case) async throws {
        try it.kind.skipUnlessInstalled()
        let asked = try await with(it.kind, it.wish) { upstream in
            let settlement = await upstream.send(Self.batch)
            let fits =
                switch (it.wish, settlement) {
                case (.takeAll, .accepted(let rejected)): rejected.isEmpty
                case (.rejectSecond, .accepted(let rejected)): rejected.map(\.seq) == [2] && rejected.allSatisfy { !$0.reason.isEmpty }
                case (.refuse, .refused), (.tooLarge, .tooLarge), (.unauthorized, .unauthorized): true
                case (.unavailable, .unavailable(_, let retryAfter)): retryAfter == .seconds(7) || !it.kind.namesATime
                default: false
                }
            #expect(fits, "\(settlement)")
        }
        // It never tries again by itself: that is the plan's to decide.
        #expect(asked == 1)
    }

    @Test(arguments: Kind.allCases)
    func aBatchThatComesAgainIsTakenAgain(kind: Kind) async throws {
        try kind.skipUnlessInstalled()
        _ = try await with(kind, .takeAll) { upstream in
            for range in [1...3, 1...3, 2...5] as [ClosedRange<Int64>] {
                #expect(await upstream.send(Plant.batch(range)) == .accepted(rejected: []))
            }
        }
    }

    @Test(arguments: Kind.allCases)
    func aBatchOfOneFitsWhateverTheCap(kind: Kind) async throws {
        try kind.skipUnlessInstalled()
        _ = try await with(kind, .takeAll) { upstream in
            let count = await upstream.fitting(Plant.batch(1...1), bytes: 1)
            #expect(count == 1)
            let again = await upstream.fitting(Plant.batch(1...50), bytes: 2000)
            #expect(again >= 1 && (again < 50 || kind == .recording))
            #expect(await upstream.fitting(Plant.batch(1...50), bytes: 2000) == again)
        }
    }

    @Test(arguments: Kind.allCases)
    func closingTwiceIsHarmless(kind: Kind) async throws {
        try kind.skipUnlessInstalled()
        _ = try await with(kind, .takeAll) { upstream in
            _ = await upstream.send(Plant.batch(1...3))
            await upstream.close()
            await upstream.close()
        }
    }
}
