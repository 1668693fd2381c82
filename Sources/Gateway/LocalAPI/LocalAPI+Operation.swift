import Logging
import Metering

/// The routes by which people look after the daemon itself.
extension LocalAPI {
    static let operationRoutes = [
        OutputRoute(path: "/v1/config", method: "GET", parameters: []),
        OutputRoute(path: "/v1/config/diff", method: "GET", parameters: []),
        OutputRoute(path: "/v1/log-level", method: "GET", parameters: []),
        OutputRoute(path: "/v1/log-level", method: "POST", parameters: ["level"]),
    ]

    /// - Returns: nil for a route that is not one of these.
    func answerOperation(method: String, path: String, parameters: [(key: String, value: String)]) async -> Answer? {
        let routes = LocalAPI.operationRoutes.filter { $0.path == path }
        guard let first = routes.first, let route = routes.first(where: { $0.method == method }) else { return nil }
        if let stranger = parameters.first(where: { !route.parameters.contains($0.key) }) {
            let hint = Spelling.hint(stranger.key, among: first.parameters)
            return .failure(400, "unknown_parameter", "\(path) has no parameter \"\(stranger.key)\"\(hint)")
        }
        return path == "/v1/log-level" ? level(method, parameters.first?.value) : configuration(path)
    }

    private func level(_ method: String, _ word: String?) -> Answer {
        guard let logLevel else { return .failure(403, "only_local", "/v1/log-level is only answered on the daemon's Unix socket") }
        if method == "POST" {
            let names = Logger.Level.allCases.map(\.rawValue)
            guard let word else { return .failure(400, "missing_parameter", "name the level: level=debug") }
            guard let level = Logger.Level(rawValue: word) else {
                let hint = Spelling.hint(word, among: names)
                return .failure(400, "bad_parameter", "\"\(word)\" is no level\(hint) (\(names.joined(separator: ", ")))")
            }
            logLevel.level = level
        }
        return .success(LogLevelReport(level: logLevel.level))
    }

    private func configuration(_ path: String) -> Answer {
        guard let configuration else { return .failure(403, "only_local", "\(path) is only answered on the daemon's Unix socket") }
        if path == "/v1/config" { return .success(configuration.inForce()) }
        do throws(Problems) {
            return .success(try configuration.difference())
        } catch {
            return .failure(422, "invalid_config", error.description)
        }
    }
}
