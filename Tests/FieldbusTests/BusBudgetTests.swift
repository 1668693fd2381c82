import Fieldbus
import Metering
import Testing

@Suite struct BusBudgetTests {
    private static let line = BusDescription(name: "line-1", address: .serial(path: "/dev/ttyUSB0", line: SerialFormat(baud: 9600)))

    /// One block of 20 registers, counters all of them where `isCounter`.
    private static func meter(_ name: String, live: Duration, slow: Duration? = nil, isCounter: Bool = true) -> DeviceDescription {
        var points = (0..<10).map { point(UInt16($0 * 2), 2) }
        if isCounter { for index in points.indices { points[index].quantity.kind = .counter } }
        if slow != nil { points.append(point(1000, 20, .slow)) }
        var periods: [PointClass: Duration] = [.live: live, .once: .zero]
        periods[.slow] = slow
        return DeviceDescription(name: name, unit: 1, entry: CatalogID(1), profile: profile(points), periods: periods)
    }

    private static func meters(_ count: Int, live: Duration) -> [DeviceDescription] { (1...count).map { meter("d\($0)", live: live) } }

    /// 30 × 82.5 ms is a round of 2.475 s; 8 bytes there and 45 back.
    @Test func aLineOfThirtyMetersIsPredictedByTheFormula() throws {
        let budget = BusBudget(Self.line, devices: Self.meters(30, live: .seconds(5)))
        #expect(abs(budget.round.seconds - 2.475) < 0.001)
        #expect(abs(budget.utilization - 0.495) < 0.001)
        #expect(abs(budget.requestsPerSecond - 6) < 1e-9)
        #expect(abs(budget.bytesPerSecond - 318) < 1e-9)
        #expect(abs(try #require(budget.sweep).seconds - 2.475) < 0.001)
        #expect(budget.unmet.isEmpty)
    }

    @Test func aPeriodThatCannotBeMetIsNamedWithOneThatFits() throws {
        let budget = BusBudget(Self.line, devices: Self.meters(30, live: .seconds(1)))
        #expect(abs(budget.utilization - 2.475) < 0.001)
        let unmet = try #require(budget.unmet.first)
        #expect(budget.unmet.count == 1)
        #expect(unmet.pointClass == .live && unmet.period == .seconds(1))
        #expect(unmet.devices.count == 30 && unmet.devices.first == "d1")
        // 12.1 visits a second where 30 are due.
        #expect(abs(unmet.skipped - 0.6) < 0.02)
        #expect(unmet.fits == .seconds(3))
        #expect(BusBudget(Self.line, devices: Self.meters(30, live: .seconds(3))).unmet.isEmpty)
        #expect(!BusBudget(Self.line, devices: Self.meters(30, live: .seconds(2))).unmet.isEmpty)
    }

    /// The line is far from full, but one visit to the neighbour is longer than the period.
    @Test func aPeriodShorterThanANeighboursVisitIsNamedOnALineThatIsNotFull() throws {
        let long = DeviceDescription(
            name: "long", unit: 2, entry: CatalogID(2),
            profile: profile((0..<10).map { point(UInt16($0 * 500), 2) }, limits: ReadLimits(requestPause: .milliseconds(200))),
            periods: [.live: .seconds(30)])
        let budget = BusBudget(Self.line, devices: [Self.meter("quick", live: .milliseconds(500)), long])
        #expect(budget.utilization < 0.4)
        let unmet = try #require(budget.unmet.first)
        #expect(budget.unmet.count == 1)
        #expect(unmet.devices == ["quick"] && unmet.pointClass == .live)
        #expect(try #require(unmet.fits) == .seconds(2))
    }

    /// At each full minute the slow block is read in the same visit: 60 visits, of which one has two requests.
    @Test func classesThatAreDueTogetherShareAVisit() {
        let apart = BusBudget(Self.line, devices: [Self.meter("d", live: .seconds(7), slow: .seconds(60))])
        let together = BusBudget(Self.line, devices: [Self.meter("d", live: .seconds(1), slow: .seconds(60))])
        #expect(abs(together.requestsPerSecond - 61.0 / 60) < 1e-9)
        #expect(abs(apart.requestsPerSecond - (1.0 / 7 + 1.0 / 60)) < 1e-9)
    }

    @Test func aBusWithoutPeriodsOrCountersCostsNothing() {
        let idle = BusBudget(Self.line, devices: [])
        #expect(idle.utilization == 0 && idle.round == .zero && idle.sweep == nil && idle.unmet.isEmpty)
        #expect(BusBudget(Self.line, devices: [Self.meter("d", live: .seconds(1), isCounter: false)]).sweep == nil)
        var off = Self.line
        off.closesQuarterHours = false
        #expect(BusBudget(off, devices: Self.meters(2, live: .seconds(1))).sweep == nil)
    }
}
