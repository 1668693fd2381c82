import Metering

/// Reads what follows `--fault`: `unit=3,fault=silent,after=10s,for=20s`.
///
/// Keys: `unit` (0 ... 255, or `all`), `fault` (a name of `Fault.names`), `after` and `for` (from the start of the simulator; default at
/// once and for ever), `delay` (slow, late), `code` (exception), `length` (wrong-length).
package struct FaultText: Hashable, Sendable {
    package var unit: UInt8?
    package var fault: Fault
    package var after: Duration
    package var duration: Duration?

    /// - Parameter only: the unit that is meant where there is one only; the text then may be as short as `silent`.
    /// - Throws: `usage`, naming the key and the cure.
    package init(_ text: String, only: UInt8? = nil) throws(SimulatorError) {
        var keys = try OptionText(text, option: "fault", first: only == nil ? nil : "fault")
        let named = keys.take("unit")
        unit = if named == nil, let only { only } else { try FaultText.unit(named) }
        fault = try FaultText.fault(&keys)
        after = try keys.takeDuration("after") ?? .zero
        duration = try keys.takeDuration("for")
        try keys.end()
    }

    /// The window of a simulator that started at `start`.
    package func window(from start: Timestamp) -> FaultWindow {
        let from = start.advanced(by: after)
        return FaultWindow(unit: unit, fault: fault, from: from, until: duration.map { from.advanced(by: $0) })
    }

    private static func unit(_ text: String?) throws(SimulatorError) -> UInt8? {
        guard let text else { throw SimulatorError(.usage, "fault has no unit; write unit=3, or unit=all") }
        if text == "all" { return nil }
        guard let unit = UInt8(text) else { throw SimulatorError(.usage, "fault: unit=\(text) is not 0 to 255 or all") }
        return unit
    }

    private static func fault(_ keys: inout OptionText) throws(SimulatorError) -> Fault {
        let known = Fault.names.joined(separator: ", ")
        guard let name = keys.take("fault") else {
            throw SimulatorError(.usage, "fault has no name; write fault=silent (known: \(known))")
        }
        switch name {
        case "silent": return .silent
        case "slow": return .slow(try keys.takeDuration("delay") ?? .milliseconds(500))
        case "late": return .slow(try keys.takeDuration("delay") ?? .seconds(2))
        case "exception": return .exception(try exceptionCode(keys.take("code")))
        case "wrong-words": return .wrongWords
        case "wrong-unit": return .wrongUnit
        case "wrong-function": return .wrongFunction
        case "wrong-length": return .wrongLength(try length(keys.take("length")))
        case "wrong-checksum": return .wrongChecksum
        case "reset-counter": return .resetCounter
        case "drop-connection": return .dropConnection
        default: throw SimulatorError(.usage, "fault: \(name) is not known; one of \(known)")
        }
    }

    private static func exceptionCode(_ text: String?) throws(SimulatorError) -> UInt8 {
        guard let text else { return 4 }
        guard let code = UInt8(text), code > 0 else { throw SimulatorError(.usage, "fault: code=\(text) is not 1 to 255") }
        return code
    }

    private static func length(_ text: String?) throws(SimulatorError) -> Fault.WrongLength {
        guard let text else { return .short }
        guard let length = Fault.WrongLength(rawValue: text) else {
            throw SimulatorError(.usage, "fault: length=\(text) is not short, long or truncated")
        }
        return length
    }
}
