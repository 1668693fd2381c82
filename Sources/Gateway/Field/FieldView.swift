import Fieldbus

/// What the local API shows of the buses beyond the status: their load, and how each device is asked. A snapshot, at once.
package protocol FieldView: Sendable {
    /// All buses, in config order.
    func buses() async -> [BusDetailReport]
    /// Nil for a device that is not there, or whose bus has not begun.
    func plan(device: String) async -> DevicePlanReport?
}

/// The running buses.
package struct FieldDesk: FieldView {
    private let running: @Sendable () -> [Bus]

    package init(running: @escaping @Sendable () -> [Bus]) { self.running = running }

    package func buses() async -> [BusDetailReport] { running().map { BusDetailReport($0) } }

    package func plan(device: String) async -> DevicePlanReport? {
        for bus in running() { if let insight = bus.insight(device: device) { return DevicePlanReport(insight) } }
        return nil
    }
}
