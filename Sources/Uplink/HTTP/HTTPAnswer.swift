import FoundationEssentials
import Metering

/// What a receiver answered, and what that means for the batch. No answer but a 2xx that can be understood moves the cursor.
struct HTTPAnswer {
    /// Bytes of an answer that are read.
    static let bodyLimit = 64 * 1024
    /// Bytes of an answer that are quoted in a reason.
    static let quoteLimit = 400

    var status: Int
    var contentType: String?
    var retryAfter: String?
    var date: String?
    var body: [UInt8]
    /// There was more than `bodyLimit`.
    var truncated: Bool
    /// What the request carried, and no quotation may show.
    var secrets = RequestSecrets()

    func settlement(of batch: Batch, now: Timestamp) -> Settlement {
        if let fault = connectionFault { return .unauthorized(reason: fault) }
        return switch status {
        case 200...299: acknowledgement(of: batch)
        case 400, 415, 422: .refused(reason: words)
        case 413: .tooLarge(reason: words)
        case 407: .unauthorized(reason: "407: \(TransportFault.proxyWantsLogin)")
        case 401, 403: .unauthorized(reason: "\(words); check the output's token")
        // 409: the same batch is still being worked on there. 421 and 425: this connection or moment, not this content.
        case 408, 409, 421, 425, 429, 500...599: .unavailable(reason: words, retryAfter: wait(now))
        case 300...399: .unavailable(reason: "\(words): a redirect is no acknowledgement; check the output's url", retryAfter: nil)
        // 404, 405 and all others say that the URL, not the content, is wrong: the backlog waits for someone to mend it.
        case 400...499: .unauthorized(reason: "\(words); check the output's url")
        default: .unavailable(reason: "the answer has the unknown status \(status)", retryAfter: nil)
        }
    }

    /// nginx says 400 to what is wrong with the connection; no record is to blame for that.
    private var connectionFault: String? {
        guard status == 400, HTTPAnswer.isWebPage(body.drop { $0 == 0x20 || (0x09...0x0D).contains($0) }) else { return nil }
        let marks = [
            ("plain HTTP request was sent to HTTPS port", "the receiver speaks TLS at this port; write https:// in the output's url"),
            ("No required SSL certificate was sent", "the receiver wants a TLS client certificate; add cert_file and key_file"),
            ("SSL certificate error", "the receiver does not trust our TLS client certificate; check cert_file"),
        ]
        let page = String(decoding: body, as: UTF8.self)
        return marks.first { page.contains($0.0) }?.1
    }

    private func acknowledgement(of batch: Batch) -> Settlement {
        let start = body.drop { $0 == 0x20 || (0x09...0x0D).contains($0) }
        let saysJSON = contentType.map { $0.contains("json") } ?? false
        guard saysJSON || start.first == UInt8(ascii: "{") else {
            // A login page in between answers 200 to everything.
            return HTTPAnswer.isWebPage(start)
                ? .unavailable(
                    reason: "\(status), but with a web page; check the output's url, and whether a login page is in between",
                    retryAfter: nil)
                : .accepted(rejected: [])
        }
        if start.isEmpty { return .accepted(rejected: []) }
        if truncated { return garbage("its JSON is longer than \(HTTPAnswer.bodyLimit) bytes") }
        guard (try? JSONDecoder().decode(AnyJSON.self, from: Data(start))) != nil else { return garbage("its JSON cannot be read") }
        guard start.first == UInt8(ascii: "{") else { return .accepted(rejected: []) }
        guard let receipt = try? JSONDecoder().decode(Receipt.self, from: Data(start)) else {
            return garbage("`rejected` is not a list of {\"seq\": number, \"reason\": text}")
        }
        return rejection(receipt.rejected ?? [], of: batch)
    }

    private func rejection(_ list: [Receipt.Item], of batch: Batch) -> Settlement {
        let known = Set(batch.records.lazy.map(\.seq))
        var seen: Set<Int64> = []
        var rejected: [RejectedRecord] = []
        for item in list {
            // The answer is about some other batch: it settles nothing of this one.
            guard known.contains(item.seq) else { return garbage("it rejects seq \(item.seq), which is not in the batch") }
            guard seen.insert(item.seq).inserted else { continue }
            let reason = quote(Array((item.reason ?? "").utf8)[...])
            rejected.append(RejectedRecord(seq: item.seq, reason: reason.isEmpty ? "rejected without a reason" : reason))
        }
        return .accepted(rejected: rejected)
    }

    private func garbage(_ why: String) -> Settlement {
        .unavailable(reason: "\(status), but the answer cannot be understood: \(why)", retryAfter: nil)
    }

    private func wait(_ now: Timestamp) -> Duration? {
        retryAfter.flatMap { RetryAfter.parse($0, date: date, now: now) }
    }

    /// `the receiver answered 422: energy fell`: the status, and what the receiver said.
    var words: String {
        let text = HTTPAnswer.isWebPage(body.drop { $0 == 0x20 || (0x09...0x0D).contains($0) }) ? "" : quote(body[...])
        return text.isEmpty ? "the receiver answered \(status)" : "the receiver answered \(status): \(text)"
    }

    /// One line of text, and the only way by which words of an answer get into a reason: the request's secrets are taken out, control
    /// characters become spaces, broken UTF-8 the replacement character, the rest is cut.
    func quote(_ bytes: ArraySlice<UInt8>) -> String {
        let line = secrets.masked(bytes, first: HTTPAnswer.quoteLimit).map { $0 < 0x20 || $0 == 0x7F ? 0x20 : $0 }
        return line.split(separator: 0x20).map { String(decoding: $0, as: UTF8.self) }.joined(separator: " ")
    }

    private static func isWebPage(_ content: ArraySlice<UInt8>) -> Bool {
        let start = content.prefix(14).map { (0x41...0x5A).contains($0) ? $0 + 0x20 : $0 }
        return start.starts(with: "<!doctype html".utf8) || start.starts(with: "<html".utf8)
    }
}

private struct Receipt: Decodable {
    struct Item: Decodable {
        var seq: Int64
        var reason: String?
    }
    var rejected: [Item]?
}

/// Any JSON at all.
private struct AnyJSON: Decodable {
    init(from decoder: any Decoder) throws {}
}
