import Host
import Metering

/// The devices behind one port, by unit id, and the faults they have. Servers ask it what to do with each request.
package final class Site: Sendable {
    /// Fault windows kept; the oldest is forgotten when one more is set.
    package static let faultLimit = 1000

    private struct State {
        var devices: [UInt8: any SimulatedDevice] = [:]
        var faults: [FaultWindow] = []
        var answered: [UInt8: Int] = [:]
    }

    private let state = Lock(State())
    package let time: any TimeSource

    package init(devices: [UInt8: any SimulatedDevice], time: any TimeSource = SystemTime()) {
        self.time = time
        state.withLock { $0.devices = devices }
    }

    /// Unit 1 the SDM630 at the grid, 2 the iEM3155 sub-meter, 3 the SunSpec inverter, 4 and up `meters` more meters, iEM3155 and SDM630
    /// in turn. At most 244.
    package convenience init(plant: Plant, meters: Int = 0, time: any TimeSource = SystemTime()) {
        var devices: [UInt8: any SimulatedDevice] = [
            1: SimulatedMeter(plant: plant, model: .sdm630, place: .grid, unit: 1, serial: 19_012_345),
            2: SimulatedMeter(plant: plant, model: .iem3155, place: .submeter, unit: 2, serial: 2_231_550),
            3: SunSpecInverter(plant: plant, unit: 3, serial: "SIM-30K-0003"),
        ]
        for number in 0..<min(max(meters, 0), 244) {
            let unit = UInt8(4 + number)
            devices[unit] = SimulatedMeter(
                plant: plant, model: number.isMultiple(of: 2) ? .iem3155 : .sdm630, place: .extra(number + 1), unit: unit,
                serial: 5_000_000 + UInt32(number))
        }
        self.init(devices: devices, time: time)
    }

    /// Exchanges the device of a unit, or takes it away.
    package func put(_ device: (any SimulatedDevice)?, unit: UInt8) { state.withLock { $0.devices[unit] = device } }

    package var units: [UInt8] { state.withLock { $0.devices.keys.sorted() } }

    /// - Parameters:
    ///   - unit: nil for every unit.
    ///   - from: nil for now.
    ///   - until: nil for ever.
    package func setFault(_ fault: Fault, unit: UInt8?, from: Timestamp? = nil, until: Timestamp? = nil) {
        setFault(FaultWindow(unit: unit, fault: fault, from: from ?? time.wall(), until: until))
    }

    package func setFault(_ window: FaultWindow) {
        state.withLock { state in
            if state.faults.count == Site.faultLimit { state.faults.removeFirst() }
            state.faults.append(window)
        }
    }

    /// Ends every fault of a unit (nil: of all) at once; counters that were reset go back to the truth.
    package func clearFaults(unit: UInt8? = nil) {
        state.withLock { $0.faults.removeAll { unit == nil || $0.unit == unit } }
    }

    /// Good answers given by a unit so far.
    package func answered(unit: UInt8) -> Int { state.withLock { $0.answered[unit] ?? 0 } }

    /// What a server does with a request.
    enum Reaction: Hashable {
        case words([UInt16])
        case exception(UInt8)
        /// Words, in a frame that is wrong in this way.
        case spoiled([UInt16], Fault)
        case silence
        /// Ask again after this long.
        case later(Duration)
        case drop
        /// No such unit.
        case nobody
    }

    /// - Parameter delayed: true when the request waited already, so that `slow` is spent.
    func reaction(to request: ModbusRequest, delayed: Bool = false) -> Reaction {
        let now = time.wall()
        let (device, faults) = state.withLock { state in
            (state.devices[request.unit], state.faults.filter { $0.holds(unit: request.unit, at: now) })
        }
        guard let device else { return .nobody }
        var spoiler: Fault?
        var reset: Timestamp?
        for window in faults {
            switch window.fault {
            case .silent: return .silence
            case .dropConnection: return .drop
            case .slow(let delay): if !delayed { return .later(delay) }
            case .exception(let code): return .exception(code)
            case .resetCounter: reset = max(reset ?? window.from, window.from)
            case .wrongWords, .wrongUnit, .wrongFunction, .wrongLength, .wrongChecksum: spoiler = window.fault
            }
        }
        return answer(request, device, at: now, reset: reset, spoiler: spoiler)
    }

    private func answer(
        _ request: ModbusRequest, _ device: any SimulatedDevice, at now: Timestamp, reset: Timestamp?, spoiler: Fault?
    ) -> Reaction {
        guard let table = RegisterTable(rawValue: request.function) else { return .exception(1) }
        let limit = table.isBits ? table.requestLimit : device.requestLimit
        guard (1...limit).contains(Int(request.count)) else { return .exception(3) }
        let block = Block(table, request.address, count: request.count)
        guard let words = device.image(at: now, reset: reset).words(block) else { return .exception(2) }
        switch spoiler {
        case nil:
            state.withLock { $0.answered[request.unit, default: 0] += 1 }
            return .words(words)
        case .wrongWords:
            return .words(words.map { ~$0 })
        case .some(let fault):
            return .spoiled(words, fault)
        }
    }
}
