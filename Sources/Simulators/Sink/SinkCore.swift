import FoundationEssentials
import Host
import Metering

/// A request as the sink sees it, whole.
struct SinkRequest {
    /// The longest body taken, as sent.
    static let bodyLimit = 8 * 1024 * 1024
    /// The longest JSON that a packed body may unfold to.
    static let expandedLimit = 64 * 1024 * 1024

    var method: String
    var path: String
    var contentType: String?
    var contentEncoding: String?
    var idempotencyKey: String?
    var body: [UInt8]
}

/// What the sink's connection does with a request.
enum SinkAction: Hashable {
    case answer(SinkAnswer)
    /// Bytes that are no HTTP, then the end.
    case noise
    case hang
    case cut
    /// Set this mode, then answer.
    case setMode(SinkMode)
}

struct SinkAnswer: Hashable {
    var status: Int
    var body: String
    var contentType = "application/json"
    var headers: [String: String] = [:]

    static func problem(_ status: Int, _ sentence: String) -> SinkAnswer {
        SinkAnswer(status: status, body: sentence + "\n", contentType: "text/plain; charset=utf-8")
    }
}

/// Decides and keeps: everything of the sink but its sockets.
final class SinkCore: Sendable {
    private struct State {
        var mode: SinkMode
        var books = SinkBooks()
        var file: SinkFile?
    }

    private let state: Lock<State>
    private let time: any TimeSource

    init(path: String, mode: SinkMode, time: any TimeSource) throws(SimulatorError) {
        var books = SinkBooks()
        let file = try SinkFile(path: path) { books.enter($0.body, rejected: $0.rejected) }
        state = Lock(State(mode: mode, books: books, file: file))
        self.time = time
    }

    var mode: SinkMode {
        get { state.withLock { $0.mode } }
        set { state.withLock { $0.mode = newValue } }
    }

    var report: SinkReport { state.withLock { $0.books.fullReport(mode: $0.mode) } }

    /// Lets go of the file; batches are answered 503 from then on.
    func close() { state.withLock { $0.file = nil } }

    func action(for request: SinkRequest) -> SinkAction {
        switch (request.method, request.path) {
        case ("GET", "/status"): return .answer(SinkAnswer(status: 200, body: SinkCore.json(report)))
        case ("POST", "/mode"): return modeAction(request)
        case ("POST", _): return batchAction(request)
        case (_, "/status"), (_, "/mode"): return .answer(.problem(405, "GET /status and POST /mode are all there is"))
        default: return .answer(.problem(405, "batches come by POST"))
        }
    }

    private func modeAction(_ request: SinkRequest) -> SinkAction {
        var text = String(decoding: request.body, as: UTF8.self)
        while text.last?.isWhitespace == true { text.removeLast() }
        do throws(SimulatorError) {
            return .setMode(try SinkMode(text))
        } catch {
            return .answer(.problem(400, error.text))
        }
    }

    private func batchAction(_ request: SinkRequest) -> SinkAction {
        let behaviour = takeBehaviour()
        if let action = SinkCore.withoutReading(behaviour) { return action }
        let batch: WireBatch
        let body: [UInt8]
        do throws(RefusedRequest) {
            body = try SinkCore.body(of: request)
            batch = try SinkCore.batch(body, request)
            try SinkCore.check(batch, request, behaviour)
        } catch {
            state.withLock { $0.books.countBadRequest() }
            return .answer(error.answer)
        }
        return keep(batch, body, behaviour)
    }

    /// The behaviour that this batch meets; one of its `times` is used up.
    private func takeBehaviour() -> SinkMode.Behaviour {
        state.withLock { state in
            let behaviour = state.mode.behaviour
            if let times = state.mode.times {
                state.mode.times = times - 1
                if times <= 1 { state.mode = .ok }
            }
            return behaviour
        }
    }

    private static func withoutReading(_ behaviour: SinkMode.Behaviour) -> SinkAction? {
        switch behaviour {
        case .hang: return .hang
        case .noise: return .noise
        case .refuse, .cutBefore: return .cut
        case .redirect(let address):
            var answer = SinkAnswer.problem(307, "look there")
            answer.headers["Location"] = address
            return .answer(answer)
        case .status(let status, let retryAfter):
            var answer = SinkAnswer.problem(status, "told to answer \(status)")
            if let retryAfter { answer.headers["Retry-After"] = "\((retryAfter.milliseconds + 999) / 1000)" }
            return .answer(answer)
        case .ok, .tooLarge, .badRecord, .rejecting, .garbage, .cutAfter: return nil
        }
    }

    private struct RefusedRequest: Error {
        var answer: SinkAnswer
        init(_ status: Int, _ sentence: String) { answer = .problem(status, sentence) }
    }

    private static func body(of request: SinkRequest) throws(RefusedRequest) -> [UInt8] {
        let type = request.contentType?.split(separator: ";").first.map { $0.filter { !$0.isWhitespace }.lowercased() }
        guard type == "application/json" else { throw RefusedRequest(415, "the content type is not application/json") }
        switch request.contentEncoding?.lowercased() {
        case nil, "identity": return request.body
        case "gzip":
            do throws(Deflate.Failure) {
                return try Deflate.expand(request.body, format: .gzip, limit: SinkRequest.expandedLimit)
            } catch {
                switch error {
                case .corrupt: throw RefusedRequest(400, "the body is no gzip stream")
                case .tooLong(let limit): throw RefusedRequest(413, "the body unfolds to more than \(limit) bytes")
                }
            }
        case "zstd":
            do throws(Zstandard.Failure) {
                return try Zstandard.expand(request.body, limit: SinkRequest.expandedLimit)
            } catch {
                switch error {
                case .corrupt: throw RefusedRequest(400, "the body is no zstd frame")
                case .tooLong(let limit): throw RefusedRequest(413, "the body unfolds to more than \(limit) bytes")
                }
            }
        case .some(let other): throw RefusedRequest(415, "content encoding \(other) is neither gzip nor zstd")
        }
    }

    private static func batch(_ body: [UInt8], _ request: SinkRequest) throws(RefusedRequest) -> WireBatch {
        let batch: WireBatch
        do throws(SimulatorError) { batch = try WireBatch.read(body) } catch { throw RefusedRequest(400, error.text) }
        guard let key = request.idempotencyKey else { throw RefusedRequest(400, "there is no Idempotency-Key header") }
        guard key == batch.batch.id else { throw RefusedRequest(400, "Idempotency-Key \(key) is not batch.id \(batch.batch.id)") }
        return batch
    }

    private static func check(_ batch: WireBatch, _ request: SinkRequest, _ behaviour: SinkMode.Behaviour) throws(RefusedRequest) {
        switch behaviour {
        case .tooLarge(let records, let bytes):
            if let records, batch.readings.count > records { throw RefusedRequest(413, "more than \(records) records") }
            if let bytes, request.body.count > bytes { throw RefusedRequest(413, "more than \(bytes) bytes") }
        case .badRecord(let seq):
            if batch.readings.contains(where: { $0.seq == seq }) { throw RefusedRequest(400, "seq \(seq) is bad") }
        default: break
        }
    }

    private func keep(_ batch: WireBatch, _ body: [UInt8], _ behaviour: SinkMode.Behaviour) -> SinkAction {
        var refused: [Int64] = []
        if case .rejecting(let seq, let every) = behaviour {
            refused = batch.readings.map(\.seq).filter { own in own == seq || (every.map { own % $0 == 0 } ?? false) }
        }
        let outcome = state.withLock { state -> Result<[Int64], SimulatorError> in
            if let earlier = state.books.rejections(ofBatch: batch.batch.id) {
                state.books.countRepeat()
                return .success(earlier)
            }
            guard let file = state.file else { return .failure(SimulatorError(.unavailable, "the sink is stopping")) }
            do throws(SimulatorError) {
                try file.append(batch: batch.batch.id, received: time.wall(), rejected: refused, body: body)
            } catch {
                return .failure(error)
            }
            state.books.enter(batch, rejected: refused)
            return .success(refused)
        }
        switch outcome {
        case .failure(let error): return .answer(.problem(503, "\(error)"))
        case .success(let rejected):
            switch behaviour {
            case .cutAfter: return .cut
            case .garbage: return .answer(SinkAnswer(status: 200, body: "<html>\u{1}{{{ not json", contentType: "text/html"))
            default: return .answer(SinkAnswer(status: 200, body: SinkCore.accepted(rejected)))
            }
        }
    }

    private static func accepted(_ rejected: [Int64]) -> String {
        if rejected.isEmpty { return "{}" }
        return "{\"rejected\":[" + rejected.map { "{\"seq\":\($0),\"reason\":\"told to reject it\"}" }.joined(separator: ",") + "]}"
    }

    private static func json(_ report: SinkReport) -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys]
        guard let data = try? encoder.encode(report) else { return "{}" }
        return String(decoding: data, as: UTF8.self)
    }
}
