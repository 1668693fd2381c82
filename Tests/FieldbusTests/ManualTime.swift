import Host
import Metering

/// A clock that moves by hand, and by itself only when somebody sleeps: a sleep ends at once and the time is its deadline.
final class ManualTime: TimeSource {
    private let state: Lock<(uptime: Int64, wallOffset: Int64)>

    init(uptime: Uptime = Uptime(nanoseconds: 1_000_000_000), wallOffset: Duration = .seconds(1_700_000_000)) {
        state = Lock((uptime.nanoseconds, wallOffset.nanoseconds))
    }

    func advance(by duration: Duration) { state.withLock { $0.uptime += duration.nanoseconds } }
    func stepWall(by duration: Duration) { state.withLock { $0.wallOffset += duration.nanoseconds } }

    func uptime() -> Uptime { Uptime(nanoseconds: state.withLock { $0.uptime }) }
    func wall() -> Timestamp { Timestamp(milliseconds: state.withLock { ($0.uptime + $0.wallOffset) / 1_000_000 }) }
    func clockState() -> ClockState { ClockState(quality: .synchronized, maxErrorMilliseconds: 1) }
    func sleep(until deadline: Uptime) async throws {
        try Task.checkCancellation()
        state.withLock { $0.uptime = max($0.uptime, deadline.nanoseconds) }
        await Task.yield()
    }
}

func point(_ address: UInt16, _ count: UInt16 = 1, _ pointClass: PointClass = .live, scale: UInt16? = nil) -> PointDefinition {
    point(.holding, address, count, pointClass, scale: scale)
}

func point(
    _ table: RegisterTable, _ address: UInt16, _ count: UInt16 = 1, _ pointClass: PointClass = .live, scale: UInt16? = nil
) -> PointDefinition {
    PointDefinition(
        quantity: Quantity(id: "x_test_\(address)", unit: "", kind: .gauge), block: Block(table, address, count: count),
        encoding: count == 1 ? .uint16 : count == 2 ? .uint32 : .string, scaleRegister: scale.map { Block(table, $0, count: 1) },
        pointClass: pointClass)
}

func profile(_ points: [PointDefinition], limits: ReadLimits = ReadLimits()) -> Profile {
    Profile(name: "test", version: 1, vendor: "none", models: [], source: "tests", limits: limits, points: points)
}
