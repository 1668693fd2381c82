import FoundationEssentials
import Glibc
import Metering

/// The sink's file: one line of JSON for each batch taken, on the disk before the batch is answered.
///
/// A line holds the batch's id, when it came, what was rejected, and the body byte for byte (but for line breaks between its tokens).
final class SinkFile {
    /// A line as it is read back.
    struct Line: Decodable {
        var batch: String
        var received: Int64
        var rejected: [Int64]
        var body: WireBatch
    }

    /// Longer lines are not ours: the body's limit and what stands round it.
    static let lineLimit = SinkRequest.expandedLimit + 1024 * 1024

    private let descriptor: Int32
    private let path: String
    private var length: Int

    /// Opens or makes the file, and cuts off a last line that was not finished.
    /// - Parameter replay: gets every line, oldest first.
    /// - Throws: `unavailable`, or `corrupt` with the line's number.
    init(path: String, replay: (Line) -> Void) throws(SimulatorError) {
        self.path = path
        descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw SimulatorError(.unavailable, "cannot open \(path)", errorNumber: errno) }
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            close(descriptor)
            throw SimulatorError(.unavailable, "\(path) is in use by another sink")
        }
        do throws(SimulatorError) {
            length = try SinkFile.read(descriptor, path: path, each: replay)
        } catch {
            close(descriptor)
            throw error
        }
        guard ftruncate(descriptor, length) == 0, lseek(descriptor, length, SEEK_SET) == length else {
            let failure = errno
            close(descriptor)
            throw SimulatorError(.unavailable, "cannot write \(path)", errorNumber: failure)
        }
    }

    deinit { close(descriptor) }

    /// Returns when the line is on the disk.
    /// - Throws: `unavailable`; the file is then as it was before.
    func append(batch: String, received: Timestamp, rejected: [Int64], body: [UInt8]) throws(SimulatorError) {
        var line = Array(
            "{\"batch\":\(SinkFile.quoted(batch)),\"received\":\(received.milliseconds),\"rejected\":\(rejected),\"body\":".utf8)
        // A line break inside a JSON string is escaped, so a bare one stands between tokens.
        line += body.map { $0 == 0x0A || $0 == 0x0D ? 0x20 : $0 }
        line += [UInt8(ascii: "}"), 0x0A]
        guard writeAll(descriptor, line, socket: false), fdatasync(descriptor) == 0 else {
            let failure = errno
            ftruncate(descriptor, length)
            lseek(descriptor, length, SEEK_SET)
            throw SimulatorError(.unavailable, "cannot write \(path)", errorNumber: failure)
        }
        length += line.count
    }

    /// The accepted records of a file, oldest first, those that came twice twice. The file may be in use.
    static func records(path: String) throws(SimulatorError) -> [SinkRecord] {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw SimulatorError(.unavailable, "cannot open \(path)", errorNumber: errno) }
        defer { close(descriptor) }
        var records: [SinkRecord] = []
        _ = try read(descriptor, path: path) { line in
            let refused = Set(line.rejected)
            for record in line.body.readings where !refused.contains(record.seq) {
                records.append(
                    SinkRecord(
                        gateway: line.body.gateway, journalID: line.body.journalID, batchID: line.batch,
                        historical: line.body.batch.historical, seq: record.seq, device: record.device,
                        time: Timestamp(milliseconds: record.time), clock: TimeQuality(rawValue: Character(record.clock)) ?? .unknown,
                        values: record.everything, quality: (record.quality ?? [:]).mapValues { Quality(rawValue: $0) }))
            }
        }
        return records
    }

    /// Returns the length of the complete lines, in bytes.
    private static func read(_ descriptor: Int32, path: String, each: (Line) -> Void) throws(SimulatorError) -> Int {
        var chunk = [UInt8](repeating: 0, count: 1024 * 1024)
        var rest: [UInt8] = []
        var length = 0
        var number = 0
        while true {
            let count = Glibc.read(descriptor, &chunk, chunk.count)
            guard count >= 0 else { throw SimulatorError(.unavailable, "cannot read \(path)", errorNumber: errno) }
            if count == 0 { return length }
            var pieces = chunk[..<count].split(separator: 0x0A, omittingEmptySubsequences: false)
            let tail = pieces.removeLast()
            for piece in pieces {
                number += 1
                rest += piece
                guard let line = try? JSONDecoder().decode(Line.self, from: Data(rest)) else {
                    throw SimulatorError(.corrupt, "\(path):\(number): not a line that a sink wrote; give the sink another file")
                }
                each(line)
                length += rest.count + 1
                rest.removeAll(keepingCapacity: true)
            }
            rest += tail
            guard rest.count <= lineLimit else { throw SimulatorError(.corrupt, "\(path):\(number + 1): the line has no end") }
        }
    }

    private static func quoted(_ text: String) -> String {
        guard let data = try? JSONEncoder().encode(text) else { return "\"\"" }
        return String(decoding: data, as: UTF8.self)
    }
}
