import Metering

extension LocalAPI {
    static let commissioningRoutes = [
        "/v1/read": ["device", "bus", "unit", "table", "address", "count"], "/v1/identify": ["device", "bus", "unit"],
        "/v1/trial": ["device", "bus", "unit", "profile"],
    ]

    /// The answer of the routes that ask a bus.
    func commission(path: String, _ parameters: [(key: String, value: String)]) async -> Answer {
        guard let commissioning else { return .failure(503, "unavailable", "no bus can be asked here") }
        let values = Dictionary(parameters.map { ($0.key, $0.value) }) { first, _ in first }
        do throws(CommissioningError) {
            let target = try target(values)
            if path == "/v1/trial" { return .success(try await commissioning.trial(target, profile: values["profile"])) }
            if path == "/v1/identify" { return .success(try await commissioning.identify(target)) }
            return .success(try await commissioning.read(target, try block(values)))
        } catch {
            return LocalAPI.failure(error)
        }
    }

    private func target(_ values: [String: String]) throws(CommissioningError) -> BusTarget {
        if let device = values["device"] {
            if values["bus"] != nil || values["unit"] != nil { throw .bad("name either a device, or a bus and a unit") }
            return .device(device)
        }
        guard let bus = values["bus"] else { throw .bad("name a device, or a bus and a unit") }
        guard let unit = values["unit"].flatMap({ UInt8($0) }) else { throw .bad("unit must be a number from 0 to 255") }
        return .unit(bus: bus, unit: unit)
    }

    private func block(_ values: [String: String]) throws(CommissioningError) -> Block {
        guard let table = RegisterTable.allCases.first(where: { $0.name == values["table"] ?? "holding" }) else {
            throw .bad("table must be one of \(RegisterTable.allCases.map(\.name).joined(separator: ", "))")
        }
        guard let address = values["address"].flatMap({ UInt16($0) }) else { throw .bad("address must be a number from 0 to 65535") }
        guard let count = UInt16(values["count"] ?? "1") else { throw .bad("count must be a number from 1 to \(table.requestLimit)") }
        return Block(table, address, count: count)
    }

    private static func failure(_ error: CommissioningError) -> Answer {
        switch error {
        case .unknownDevice(let name, let known):
            let hint = Spelling.hint(name, among: known)
            return .failure(404, "unknown_device", "no device is called \"\(name)\"\(hint) (meterctl devices lists them)")
        case .unknownBus(let name, let known):
            let hint = Spelling.hint(name, among: known)
            return .failure(404, "unknown_bus", "no bus is called \"\(name)\"\(hint) (there are: \(known.joined(separator: ", ")))")
        case .refused(let code, let text): return .failure(400, code, text)
        case .unavailable(let text): return .failure(503, "unavailable", text)
        }
    }
}

extension CommissioningError {
    fileprivate static func bad(_ text: String) -> CommissioningError { .refused(code: "bad_parameter", text) }
}
