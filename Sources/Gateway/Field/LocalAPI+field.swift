import Metering

/// The routes that show how the field side is asked.
extension LocalAPI {
    static let fieldRoutes = ["/v1/buses": "bus", "/v1/device": "device"]

    /// - Returns: nil for a route that is not one of these.
    func answerField(method: String, path: String, parameters: [(key: String, value: String)]) async -> Answer? {
        guard let parameter = LocalAPI.fieldRoutes[path] else { return nil }
        guard method == "GET" else { return .failure(405, "method_not_allowed", "\(path) only answers GET") }
        if let stranger = parameters.first(where: { $0.key != parameter }) {
            let hint = Spelling.hint(stranger.key, among: [parameter])
            return .failure(400, "unknown_parameter", "\(path) has no parameter \"\(stranger.key)\"\(hint)")
        }
        guard let field else { return .failure(503, "unavailable", "there are no buses to tell of here") }
        let name = parameters.first?.value
        return path == "/v1/buses" ? await buses(field, name) : await device(field, name)
    }

    private func buses(_ field: any FieldView, _ name: String?) async -> Answer {
        let all = await field.buses()
        guard let name else { return .success(BusesReport(buses: all)) }
        let known = all.map(\.name)
        guard let bus = all.first(where: { $0.name == name }) else {
            let hint = Spelling.hint(name, among: known)
            return .failure(404, "unknown_bus", "no bus is called \"\(name)\"\(hint) (meterctl buses lists them)")
        }
        return .success(BusesReport(buses: [bus]))
    }

    private func device(_ field: any FieldView, _ name: String?) async -> Answer {
        guard let name else { return .failure(400, "missing_parameter", "name the device: device=...") }
        let all = await view.devices()
        guard let device = all.first(where: { $0.name == name }) else {
            let hint = Spelling.hint(name, among: all.map(\.name))
            return .failure(404, "unknown_device", "no device is called \"\(name)\"\(hint) (meterctl devices lists them)")
        }
        let readings: ReadingsReport
        do { readings = try await view.readings(device: name) } catch {
            return .failure(503, "unavailable", "\(name) cannot be told of now; try again")
        }
        let points = readings.readings.first?.points ?? []
        return .success(DeviceDetailReport(device: device, plan: await field.plan(device: name), points: points))
    }
}
