import Metering

/// What the sink does with the batches it gets. Written `429,retry-after=5s,times=3`, on the command line as in `POST /mode`.
package struct SinkMode: Hashable, Sendable {
    package enum Behaviour: Hashable, Sendable {
        /// Takes every good batch.
        case ok
        /// Closes the listening port and every connection.
        case refuse
        /// Reads the request and never answers.
        case hang
        /// Answers this status, takes nothing. `retryAfter` in whole seconds.
        case status(Int, retryAfter: Duration?)
        /// 413 for more records, or more bytes of body as sent; others are taken.
        case tooLarge(records: Int?, bytes: Int?)
        /// 400 for every batch that holds this seq; others are taken.
        case badRecord(seq: Int64)
        /// Takes the batch, but rejects the records whose seq is this, or a multiple of `every`.
        case rejecting(seq: Int64?, every: Int64?)
        /// Takes the batch and answers 200 with a body that is no JSON.
        case garbage
        /// Takes nothing and answers bytes that are no HTTP.
        case noise
        /// Takes nothing and closes the connection instead of answering.
        case cutBefore
        /// Takes the batch and closes the connection instead of answering.
        case cutAfter
        /// 307 to another address, takes nothing.
        case redirect(to: String)
    }

    package var behaviour: Behaviour
    /// How many batches it meets before the sink goes back to `ok`; nil: all.
    package var times: Int?

    package init(_ behaviour: Behaviour, times: Int? = nil) {
        self.behaviour = behaviour
        self.times = times
    }

    package static let ok = SinkMode(.ok)

    /// The modes as they are written, for help texts.
    package static let known = [
        "ok", "refuse", "hang", "429[,retry-after=5s]", "500", "any other status 400 to 599", "413,records=N", "413,bytes=N", "400,seq=N",
        "rejected,seq=N", "rejected,every=N", "garbage", "noise", "cut-before", "cut-after", "redirect,to=URL",
    ]

    /// - Throws: `usage`, naming the key and the cure.
    package init(_ text: String) throws(SimulatorError) {
        var keys = try OptionText(text, option: "mode", first: "mode")
        guard let name = keys.take("mode") else { throw SimulatorError(.usage, "mode: write its name first, e.g. 429,retry-after=5s") }
        times = try keys.takeInteger("times", in: 1...1_000_000).map(Int.init)
        behaviour = try SinkMode.behaviour(name, &keys)
        try keys.end()
        if behaviour == .refuse, times != nil { throw SimulatorError(.usage, "mode: refuse meets no batches, so times means nothing here") }
    }

    private static func behaviour(_ name: String, _ keys: inout OptionText) throws(SimulatorError) -> Behaviour {
        switch name {
        case "ok": return .ok
        case "refuse": return .refuse
        case "hang": return .hang
        case "garbage": return .garbage
        case "noise": return .noise
        case "cut-before": return .cutBefore
        case "cut-after": return .cutAfter
        case "redirect": return .redirect(to: keys.take("to") ?? "http://127.0.0.1:9/")
        case "rejected":
            let seq = try keys.takeInteger("seq", in: 0...Int64.max)
            let every = try keys.takeInteger("every", in: 1...Int64.max)
            guard seq != nil || every != nil else { throw SimulatorError(.usage, "mode: rejected needs seq=N or every=N") }
            return .rejecting(seq: seq, every: every)
        default: return try status(name, &keys)
        }
    }

    private static func status(_ name: String, _ keys: inout OptionText) throws(SimulatorError) -> Behaviour {
        guard let status = Int(name), (400...599).contains(status) else {
            throw SimulatorError(.usage, "mode: \(name) is not known; one of \(known.joined(separator: ", "))")
        }
        if status == 413 {
            let records = try keys.takeInteger("records", in: 0...1_000_000).map(Int.init)
            let bytes = try keys.takeInteger("bytes", in: 0...1_000_000_000).map(Int.init)
            if records != nil || bytes != nil { return .tooLarge(records: records, bytes: bytes) }
        }
        if status == 400, let seq = try keys.takeInteger("seq", in: 0...Int64.max) { return .badRecord(seq: seq) }
        return .status(status, retryAfter: try keys.takeDuration("retry-after"))
    }
}

extension SinkMode: CustomStringConvertible {
    /// As `init(_:)` reads it.
    package var description: String {
        var parts: [String]
        switch behaviour {
        case .ok: parts = ["ok"]
        case .refuse: parts = ["refuse"]
        case .hang: parts = ["hang"]
        case .status(let status, let retryAfter): parts = ["\(status)"] + (retryAfter.map { ["retry-after=\($0.milliseconds)ms"] } ?? [])
        case .tooLarge(let records, let bytes):
            parts = ["413"] + (records.map { ["records=\($0)"] } ?? []) + (bytes.map { ["bytes=\($0)"] } ?? [])
        case .badRecord(let seq): parts = ["400", "seq=\(seq)"]
        case .rejecting(let seq, let every):
            parts = ["rejected"] + (seq.map { ["seq=\($0)"] } ?? []) + (every.map { ["every=\($0)"] } ?? [])
        case .garbage: parts = ["garbage"]
        case .noise: parts = ["noise"]
        case .cutBefore: parts = ["cut-before"]
        case .cutAfter: parts = ["cut-after"]
        case .redirect(let address): parts = ["redirect", "to=\(address)"]
        }
        if let times { parts.append("times=\(times)") }
        return parts.joined(separator: ",")
    }
}
