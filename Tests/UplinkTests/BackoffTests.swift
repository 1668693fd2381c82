import Metering
import Testing

@testable import Uplink

@Suite struct BackoffTests {
    @Test(arguments: [(1, 1.5), (2, 2.5), (3, 4.5), (6, 32.5), (8, 128.5), (9, 150.5), (1000, 150.5)])
    func delaysGrowAsTheTableSays(attempt: Int, seconds: Double) {
        #expect(Backoff.delay(attempt: attempt, chance: 0.5) == .milliseconds(Int64(seconds * 1000)))
    }

    @Test func delaysStayBetweenOneSecondAndFiveMinutes() {
        for attempt in [Int.min, 0, 1, 5, 9, 62, 63, 64, Int.max] {
            #expect(Backoff.delay(attempt: attempt, chance: 0) == .seconds(1))
            #expect(Backoff.delay(attempt: attempt, chance: 0.999_999) <= .seconds(300))
        }
    }

    @Test func retryAfterIsNeverCutShortAndNeverLongerThanItsCap() {
        #expect(Backoff.delay(retryAfter: .seconds(60), chance: 0) == .seconds(60))
        #expect(Backoff.delay(retryAfter: .seconds(60), chance: 0.5) == .seconds(63))
        #expect(Backoff.delay(retryAfter: .zero, chance: 0) == .seconds(1))
        #expect(Backoff.delay(retryAfter: .seconds(86_400 * 365), chance: 0) == .seconds(3600))
    }
}
