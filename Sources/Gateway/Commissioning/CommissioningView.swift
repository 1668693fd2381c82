import Fieldbus
import Metering

/// What the local API asks of the buses on behalf of somebody who commissions a device. Every request only reads, between the polls.
package protocol CommissioningView: Sendable {
    func read(_ target: BusTarget, _ block: Block) async throws(CommissioningError) -> ReadReport
    func identify(_ target: BusTarget) async throws(CommissioningError) -> IdentifyReport
}

/// Whom a request is for: a configured device, or any unit of a bus.
package enum BusTarget: Hashable, Sendable {
    case device(String)
    case unit(bus: String, unit: UInt8)
}

package enum CommissioningError: Error, Hashable, Sendable {
    case unknownDevice(String, known: [String])
    case unknownBus(String, known: [String])
    /// It cannot be asked at all; the code is for machines, the text for people.
    case refused(code: String, String)
    /// Not now.
    case unavailable(String)

    init(_ error: GuestError) {
        switch error.code {
        case .illegalBlock, .illegalUnit: self = .refused(code: error.code.rawValue, error.sentence)
        case .queueFull, .notRunning, .cancelled: self = .unavailable(error.sentence)
        }
    }
}

/// The buses of the running gateway, as those see them who commission.
package struct Commissioner: CommissioningView {
    private let lineup: @Sendable () -> (Configuration, [Bus])
    private var configuration: Configuration { lineup().0 }
    private var buses: [Bus] { lineup().1 }

    /// - Parameter lineup: what runs now; a reload changes it.
    package init(lineup: @escaping @Sendable () -> (Configuration, [Bus])) {
        self.lineup = lineup
    }

    package func read(_ target: BusTarget, _ block: Block) async throws(CommissioningError) -> ReadReport {
        let (bus, unit) = try place(of: target)
        let visit: Visit
        do { visit = try await bus.ask(block, unit: unit) } catch { throw CommissioningError(error) }
        var report = ReadReport(bus: bus.description.name, unit: Int(unit), block: block, time: visit.time)
        switch visit.answers.first?.outcome {
        case .words(let words): report.words = words
        case .fault(let fault): report.fault = FaultReport(fault)
        case nil: report.fault = FaultReport(.timeout)
        }
        return report
    }

    package func identify(_ target: BusTarget) async throws(CommissioningError) -> IdentifyReport {
        let (bus, unit) = try place(of: target)
        let configured = configuration.devices.first { $0.bus == bus.description.name && $0.unit == unit }
        let search = DeviceSearch(profiles: profiles(), bases: configured?.search?.bases ?? SunSpecWalk.bases) { block throws(GuestError) in
            try await bus.ask(block, unit: unit)
        }
        let finding: DeviceFinding
        do { finding = try await search.run() } catch { throw CommissioningError(error) }
        return IdentifyReport(
            bus: bus.description.name, unit: Int(unit), device: configured?.name, finding: finding)
    }

    private func place(of target: BusTarget) throws(CommissioningError) -> (Bus, UInt8) {
        switch target {
        case .device(let name):
            guard let device = configuration.devices.first(where: { $0.name == name }) else {
                throw .unknownDevice(name, known: configuration.devices.map(\.name))
            }
            return (try bus(device.bus), device.unit)
        case .unit(let name, let unit):
            return (try bus(name), unit)
        }
    }

    private func bus(_ name: String) throws(CommissioningError) -> Bus {
        guard let bus = buses.first(where: { $0.description.name == name }) else {
            throw .unknownBus(name, known: buses.map(\.description.name))
        }
        return bus
    }

    /// Shipped and own profiles. Faulty files were reported at start, or are of no device.
    private func profiles() -> [Profile] {
        var library = ProfileLibrary(path: configuration.gateway.profilePath)
        return library.names.compactMap { name in
            guard case .found(let profile, _) = library.profile(name, log: TomlReader.ProblemLog()) else { return nil }
            return profile
        }
    }
}
