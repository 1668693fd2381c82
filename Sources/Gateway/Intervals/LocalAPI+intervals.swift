import HTTPTypes
import Hummingbird
import Metering
import NIOCore

extension LocalAPI {
    static let intervalsRoute = "/v1/intervals"
    static let intervalsParameters = ["device", "from", "until", "format"]

    /// A listing that may begin, or the answer that says what is wrong.
    func intervals(_ parameters: [(key: String, value: String)]) async -> Result<PreparedIntervals, Refusal> {
        do throws(Refusal) {
            guard let intervals else { throw Refusal(503, "unavailable", "no intervals are made here") }
            let request = try LocalAPI.intervalRequest(parameters)
            do throws(GatewayViewError) { return .success(try await intervals.prepare(request)) } catch { throw Refusal(error) }
        } catch {
            return .failure(error)
        }
    }

    private static func intervalRequest(_ parameters: [(key: String, value: String)]) throws(Refusal) -> IntervalRequest {
        var request = IntervalRequest()
        for (key, value) in parameters {
            switch key {
            case "device": request.devices.append(value)
            case "from": request.from = try time(key, value)
            case "until": request.until = try time(key, value)
            case "format":
                guard let format = IntervalText.Format(rawValue: value) else {
                    throw Refusal(400, "bad_parameter", "format must be jsonl or csv")
                }
                request.format = format
            default:
                let hint = Spelling.hint(key, among: intervalsParameters)
                throw Refusal(400, "unknown_parameter", "\(intervalsRoute) has no parameter \"\(key)\"\(hint)")
            }
        }
        if let from = request.from, let until = request.until, from >= until {
            throw Refusal(400, "bad_parameter", "until must be later than from")
        }
        return request
    }

    private static func time(_ key: String, _ text: String) throws(Refusal) -> Timestamp {
        guard let time = Timestamp(rfc3339: text) else {
            throw Refusal(400, "bad_parameter", "\(key) must be a time such as 2026-11-24T06:00:00.000Z")
        }
        return time
    }
}

extension Refusal {
    init(_ error: GatewayViewError) {
        switch error {
        case .unknownDevice(let name, let known):
            let hint = Spelling.hint(name, among: known)
            self.init(404, "unknown_device", "no device is called \"\(name)\"\(hint) (meterctl devices lists them)")
        case .unavailable(let text): self.init(503, "unavailable", text)
        }
    }
}

extension LocalAPIServer {
    /// As an export: text of any length, sent as it is made.
    func stream(_ intervals: PreparedIntervals) -> Response {
        let headers: HTTPFields = [
            .contentType: intervals.format == .csv ? "text/csv; charset=utf-8" : "application/jsonl", .cacheControl: "no-store",
        ]
        let body = ResponseBody { writer in
            try await intervals.run { bytes in
                if !bytes.isEmpty { try await writer.write(ByteBuffer(bytes: bytes)) }
            }
            try await writer.finish(nil)
        }
        return Response(status: .ok, headers: headers, body: body)
    }
}
