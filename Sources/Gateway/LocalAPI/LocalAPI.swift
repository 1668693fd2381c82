import Metering

/// The routes of the local API, apart from any HTTP library: a request as plain values in, status and bytes out.
struct LocalAPI: Sendable {
    let view: any GatewayView
    /// Nil where callers may only look.
    var control: (any GatewayControl)?
    /// What may be done to the outputs; nil where callers may only look.
    var outputs: (any OutputControl)?
    /// The way to the buses; nil where there are none to ask.
    var commissioning: (any CommissioningView)?
    /// The configuration in force; nil where it is not shown.
    var configuration: (any ConfigurationView)?
    /// What the daemon logs; nil where that cannot be changed.
    var logLevel: LogLevelControl?
    /// The load of the buses and the plans of their devices; nil where there are none to tell of.
    var field: (any FieldView)?
    /// What the quarter hours are asked of; nil where none are made.
    var intervals: (any IntervalView)?

    /// A request path and query together; longer ones are refused.
    static let targetBytesLimit = 2048

    static let routes = [
        "/v1/status", "/v1/devices", "/v1/outputs", "/v1/readings", "/v1/read", "/v1/identify", "/v1/trial", "/v1/reload", "/metrics",
    ]
    /// Routes that do something.
    static let actions = ["/v1/reload"]

    /// The answer to every request, wrong ones too. The body is one JSON object and a newline.
    func answer(method: String, path: String, parameters: [(key: String, value: String)]) async -> Answer {
        if let refusal = LocalAPI.refusal(method: method, path: path) { return refusal }
        if let answer = await answerOutputs(path: path, parameters: parameters) { return answer }
        if let answer = await answerOperation(method: method, path: path, parameters: parameters) { return answer }
        if let answer = await answerField(method: method, path: path, parameters: parameters) { return answer }
        let allowed = path == "/v1/readings" ? ["device"] : LocalAPI.commissioningRoutes[path] ?? []
        if let stranger = parameters.first(where: { !allowed.contains($0.key) }) {
            let hint = Spelling.hint(stranger.key, among: allowed)
            return .failure(400, "unknown_parameter", "\(path) has no parameter \"\(stranger.key)\"\(hint)")
        }
        switch path {
        case "/metrics": return await metrics()
        case "/v1/reload": return await reload()
        case "/v1/devices": return .success(DevicesReport(devices: await view.devices()))
        case "/v1/outputs": return .success(OutputsReport(outputs: await view.outputs()))
        case "/v1/read", "/v1/identify", "/v1/trial": return await commission(path: path, parameters)
        case "/v1/readings": return await readings(device: parameters.first?.value)
        default: return .success(await view.status())
        }
    }

    /// What is said of a route that is not there, or of a method that it does not answer; nil where there is an answer.
    static func refusal(method: String, path: String) -> Answer? {
        let methods = methods(of: path)
        guard !methods.isEmpty else {
            let others = (outputRoutes + operationRoutes).map(\.path) + fieldRoutes.keys + [intervalsRoute]
            let hint = Spelling.hint(path, among: routes + others)
            return .failure(404, "not_found", "there is no \(path)\(hint) (routes: \(routes.joined(separator: ", ")))")
        }
        guard !methods.contains(method) else { return nil }
        var answer = Answer.failure(405, "method_not_allowed", "\(path) only answers \(methods.joined(separator: ", "))")
        answer.allows = methods.joined(separator: ", ")
        return answer
    }

    /// Empty for a route that is not there.
    private static func methods(of path: String) -> [String] {
        if routes.contains(path) { return [actions.contains(path) ? "POST" : "GET"] }
        if fieldRoutes[path] != nil || path == intervalsRoute { return ["GET"] }
        return (outputRoutes + operationRoutes).filter { $0.path == path }.map(\.method)
    }

    private func metrics() async -> Answer {
        do {
            let text = MetricsText(status: await view.status(), readings: try await view.readings(device: nil)).text
            return Answer(status: 200, body: Array(text.utf8), contentType: MetricsText.contentType)
        } catch {
            return .failure(503, "unavailable", "the readings cannot be told now; try again")
        }
    }

    private func reload() async -> Answer {
        guard let control else { return .failure(403, "only_local", "a reload is only taken on the Unix socket; use meterctl reload") }
        switch await control.reload() {
        case .applied(let report): return .success(report)
        case .refused(let problems): return .failure(422, "invalid_config", problems.joined(separator: "\n"))
        case .unavailable(let text): return .failure(503, "unavailable", text)
        }
    }

    private func readings(device: String?) async -> Answer {
        do {
            return .success(try await view.readings(device: device))
        } catch {
            switch error {
            case .unknownDevice(let name, let known):
                let hint = Spelling.hint(name, among: known)
                return .failure(404, "unknown_device", "no device is called \"\(name)\"\(hint) (meterctl devices lists them)")
            case .unavailable(let text):
                return .failure(503, "unavailable", text)
            }
        }
    }

    struct Answer: Sendable {
        var status: Int
        var body: [UInt8]
        /// With a 405: the method that the route answers.
        var allows = "GET"
        var contentType = "application/json"
        /// With a 429.
        var retryAfterSeconds: Int?

        static func success(_ report: some JSONValue) -> Answer {
            Answer(status: 200, body: report.json + [UInt8(ascii: "\n")])
        }

        static func failure(_ status: Int, _ code: String, _ text: String) -> Answer {
            Answer(status: status, body: APIErrorReport(code: code, text: text).json + [UInt8(ascii: "\n")])
        }
    }
}

/// The body of every answer that is not 200: `{"error": {"code": "unknown_device", "text": "..."}}`.
package struct APIErrorReport: Hashable, Sendable {
    /// For machines; holds no names or values.
    package var code: String
    /// For people: what is wrong and how to mend it.
    package var text: String

    package init(code: String, text: String) {
        self.code = code
        self.text = text
    }
}

extension APIErrorReport: JSONValue, Decodable {
    private enum CodingKeys: String, CodingKey { case error }
    private enum ErrorKeys: String, CodingKey { case code, text }

    private struct Detail: JSONValue {
        var report: APIErrorReport
        func write(to json: inout JSONWriter) {
            json.object {
                $0.field(ErrorKeys.code, report.code)
                $0.field(ErrorKeys.text, report.text)
            }
        }
    }

    package func write(to json: inout JSONWriter) {
        json.object { $0.field(CodingKeys.error, Detail(report: self)) }
    }

    package init(from decoder: any Decoder) throws {
        let detail = try decoder.container(keyedBy: CodingKeys.self).nestedContainer(keyedBy: ErrorKeys.self, forKey: .error)
        code = try detail.decode(String.self, forKey: .code)
        text = try detail.decode(String.self, forKey: .text)
    }
}
