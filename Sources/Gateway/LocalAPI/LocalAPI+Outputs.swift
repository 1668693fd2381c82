import Metering
import Store

/// The routes by which people look after outputs and the journal. What they do is told by the path and the query; bodies are not read.
extension LocalAPI {
    struct OutputRoute: Sendable {
        var path: String
        var method: String
        var parameters: [String]
    }

    static let exportRoute = "/v1/journal/export"
    /// Dead letters in one answer.
    static let deadLettersLimit = 1000
    /// Dead letters named in one request; the length of a query is limited too.
    static let seqsLimit = 256

    static let outputRoutes = [
        OutputRoute(path: "/v1/dead-letters", method: "GET", parameters: ["output", "from", "limit"]),
        OutputRoute(path: "/v1/dead-letters/letter", method: "GET", parameters: ["output", "seq"]),
        OutputRoute(path: "/v1/dead-letters/replay", method: "POST", parameters: ["output", "seq", "all"]),
        OutputRoute(path: "/v1/dead-letters/drop", method: "POST", parameters: ["output", "seq", "all"]),
        OutputRoute(path: "/v1/outputs/pause", method: "POST", parameters: ["output"]),
        OutputRoute(path: "/v1/outputs/resume", method: "POST", parameters: ["output"]),
        OutputRoute(path: "/v1/outputs/rewind", method: "POST", parameters: ["output", "seq", "time"]),
        OutputRoute(path: "/v1/journal", method: "GET", parameters: []),
        OutputRoute(path: exportRoute, method: "GET", parameters: ["format", "device", "from", "until"]),
    ]

    /// - Returns: nil for a route that is not one of these.
    func answerOutputs(path: String, parameters: [(key: String, value: String)]) async -> Answer? {
        guard let route = LocalAPI.outputRoutes.first(where: { $0.path == path }) else { return nil }
        do {
            guard let outputs else { throw Refusal(403, "only_local", "\(path) is only answered on the daemon's Unix socket") }
            return try await act(path, try Query(parameters, of: route), outputs)
        } catch let refusal as Refusal {
            return refusal.answer
        } catch let error as OutputControlError {
            return Refusal(error).answer
        } catch {
            return .failure(500, "failed", "\(error)")
        }
    }

    /// An export that may begin, or the answer that says what is wrong.
    func export(_ parameters: [(key: String, value: String)]) async -> Result<ExportedText, Refusal> {
        do throws(Refusal) {
            guard let outputs else { throw Refusal(403, "only_local", "exports are only made on the daemon's Unix socket") }
            guard let route = LocalAPI.outputRoutes.last else { throw Refusal(404, "not_found", "there are no exports") }
            let query = try Query(parameters, of: route)
            guard let format = JournalExport.Format(rawValue: query.first("format") ?? "csv") else {
                throw Refusal(400, "bad_parameter", "format must be csv or jsonl")
            }
            let devices = query.all("device")
            let export = JournalExport(
                format: format, devices: devices.isEmpty ? nil : Set(devices), from: try query.time("from"), until: try query.time("until"))
            // A journal that cannot be read is told before the first byte.
            do throws(OutputControlError) {
                _ = try await outputs.journal()
                let known = try await outputs.exportableDevices()
                for device in devices where !known.contains(device) { throw OutputControlError.unknownDevice(device, known: known) }
            } catch {
                throw Refusal(error)
            }
            return .success(ExportedText(export: export, control: outputs))
        } catch {
            return .failure(error)
        }
    }

    /// - Throws: `Refusal`, `OutputControlError`.
    private func act(_ path: String, _ query: Query, _ outputs: any OutputControl) async throws -> Answer {
        if path == "/v1/journal" { return .success(try await outputs.journal()) }
        let output = try query.required("output")
        switch path {
        case "/v1/dead-letters":
            let (from, limit) = (try query.integer("from") ?? 0, try query.integer("limit") ?? 100)
            guard (1...Int64(LocalAPI.deadLettersLimit)).contains(limit) else {
                throw Refusal(400, "bad_parameter", "limit must be 1 to \(LocalAPI.deadLettersLimit)")
            }
            return .success(try await outputs.deadLetters(output: output, from: from, limit: Int(limit)))
        case "/v1/dead-letters/letter":
            guard let seq = try query.integer("seq") else { throw Refusal(400, "missing_parameter", "name the dead letter: seq=...") }
            return .success(try await outputs.deadLetter(output: output, seq: seq))
        case "/v1/dead-letters/replay":
            return .success(OutputActionReport(output: output, deadLetters: try await outputs.replay(output: output, seqs: query.seqs())))
        case "/v1/dead-letters/drop":
            return .success(OutputActionReport(output: output, deadLetters: try await outputs.drop(output: output, seqs: query.seqs())))
        case "/v1/outputs/rewind":
            return .success(OutputActionReport(output: output, nextSeq: try await outputs.rewind(output: output, to: query.place())))
        default:
            let isPaused = path == "/v1/outputs/pause"
            try await outputs.setPaused(isPaused, output: output)
            return .success(OutputActionReport(output: output, pausedByOperator: isPaused))
        }
    }
}

/// An answer that is not 200.
struct Refusal: Error {
    let answer: LocalAPI.Answer

    init(_ status: Int, _ code: String, _ text: String) { answer = .failure(status, code, text) }

    init(_ error: OutputControlError) {
        switch error {
        case .unknownOutput(let name, let known):
            let hint = Spelling.hint(name, among: known)
            self.init(404, "unknown_output", "no output is called \"\(name)\"\(hint) (meterctl outputs lists them)")
        case .unknownLetters(let output, let seqs):
            let names = "\(seqs.count == 1 ? "letter" : "letters") \(seqs.map(String.init).joined(separator: ", "))"
            self.init(404, "unknown_dead_letter", "\(output) has no dead \(names) (meterctl dead-letters list \(output) lists them)")
        case .unknownDevice(let name, let known):
            self.init(404, "unknown_device", OutputControlError.unknownDeviceText(name, known: known))
        case .refused(let text): self.init(409, "refused", text)
        case .unavailable(let text): self.init(503, "unavailable", text)
        }
    }
}

/// The parameters of a request, held against those of its route.
private struct Query {
    private let values: [(key: String, value: String)]

    init(_ values: [(key: String, value: String)], of route: LocalAPI.OutputRoute) throws(Refusal) {
        if let stranger = values.first(where: { !route.parameters.contains($0.key) }) {
            let hint = Spelling.hint(stranger.key, among: route.parameters)
            throw Refusal(400, "unknown_parameter", "\(route.path) has no parameter \"\(stranger.key)\"\(hint)")
        }
        self.values = values
    }

    func first(_ key: String) -> String? { values.first { $0.key == key }?.value }
    func all(_ key: String) -> [String] { values.filter { $0.key == key }.map(\.value) }

    func required(_ key: String) throws(Refusal) -> String {
        guard let value = first(key), !value.isEmpty else { throw Refusal(400, "missing_parameter", "name the \(key): \(key)=...") }
        return value
    }

    func integer(_ key: String) throws(Refusal) -> Int64? {
        guard let text = first(key) else { return nil }
        return try Query.integer(key, text)
    }

    func time(_ key: String) throws(Refusal) -> Timestamp? {
        guard let text = first(key) else { return nil }
        guard let time = Timestamp(rfc3339: text) else {
            throw Refusal(400, "bad_parameter", "\(key) must be a time such as 2026-11-24T06:00:00.000Z")
        }
        return time
    }

    /// Nil for all of them, which must be said.
    func seqs() throws(Refusal) -> [Int64]? {
        let named = all("seq")
        switch (first("all"), named.isEmpty) {
        case ("true"?, true): return nil
        case (nil, false):
            guard named.count <= LocalAPI.seqsLimit else {
                throw Refusal(400, "bad_parameter", "at most \(LocalAPI.seqsLimit) seqs can be named at a time; all=true takes all")
            }
            var seqs: [Int64] = []
            for text in named { seqs.append(try Query.integer("seq", text)) }
            return seqs
        default: throw Refusal(400, "missing_parameter", "name dead letters by seq=..., or say all=true")
        }
    }

    func place() throws(Refusal) -> RewindPlace {
        switch (try integer("seq"), try time("time")) {
        case (let seq?, nil): return .seq(seq)
        case (nil, let time?): return .time(time)
        default: throw Refusal(400, "missing_parameter", "say where to go on: either seq=... or time=...")
        }
    }

    private static func integer(_ key: String, _ text: String) throws(Refusal) -> Int64 {
        guard let number = Int64(text) else { throw Refusal(400, "bad_parameter", "\(key) must be a whole number, not \"\(text)\"") }
        return number
    }
}
