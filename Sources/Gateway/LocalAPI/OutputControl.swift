import Metering
import Store

/// What the local API lets its callers do to the outputs and see of the journal. Only those on the Unix socket: who may use that may run
/// the daemon.
package protocol OutputControl: Sendable {
    /// Dead letters of an output by seq, the first `limit` from this one on.
    func deadLetters(output: String, from seq: Int64, limit: Int) async throws(OutputControlError) -> DeadLettersReport
    /// The dead letter with this seq, with its record as the output would send it.
    func deadLetter(output: String, seq: Int64) async throws(OutputControlError) -> DeadLetterReport
    /// Returns how many will be handed on again. Nil seqs are all; of named ones one at least must be there.
    func replay(output: String, seqs: [Int64]?) async throws(OutputControlError) -> Int
    /// Returns how many are gone; the seqs as above.
    func drop(output: String, seqs: [Int64]?) async throws(OutputControlError) -> Int
    func setPaused(_ isPaused: Bool, output: String) async throws(OutputControlError)
    /// Returns the seq of the poll that is handed on next.
    func rewind(output: String, to place: RewindPlace) async throws(OutputControlError) -> Int64
    func journal() async throws(OutputControlError) -> JournalDetailReport
    /// The devices of which something was ever kept, by name.
    func exportableDevices() async throws(OutputControlError) -> [String]
    /// - Throws: `OutputControlError` before anything was written; later whatever broke it off.
    func export(_ export: JournalExport, write: ([UInt8]) async throws -> Void) async throws
}

/// Where an output goes on after a rewind.
package enum RewindPlace: Hashable, Sendable {
    case seq(Int64)
    case time(Timestamp)
}

/// Why something could not be done to an output.
package enum OutputControlError: Error, Hashable, Sendable {
    /// No output has this name; `known` are the names that exist.
    case unknownOutput(String, known: [String])
    /// No dead letter of the output has one of these seqs.
    case unknownLetters(String, [Int64])
    /// No poll of a device of this name was ever kept; `known` are those of which some were.
    case unknownDevice(String, known: [String])
    /// It must not be done; the text says why and what to do.
    case refused(String)
    /// It cannot be done now; the text says why and what to do.
    case unavailable(String)
}

extension OutputControlError {
    /// Names that one sentence lists.
    private static let namedDevices = 20

    static func unknownDeviceText(_ name: String, known: [String]) -> String {
        let names = known.prefix(namedDevices).joined(separator: ", ") + (known.count > namedDevices ? " ..." : "")
        let rest = known.isEmpty ? "; nothing is kept yet" : "; there are \(names)"
        return "the journal has no device \"\(name)\"\(Spelling.hint(name, among: known))\(rest)"
    }
}

/// An export that is ready to run.
struct ExportedText: Sendable {
    let export: JournalExport
    let control: any OutputControl

    func run(_ write: ([UInt8]) async throws -> Void) async throws {
        try await control.export(export, write: write)
    }
}
