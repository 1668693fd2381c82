import ArgumentParser

/// `DEVICE` or `BUS:UNIT`, as the commands take it that ask a bus.
struct TargetArgument {
    var query: [(key: String, value: String)]

    /// - Throws: what the parser tells the person.
    static func parse(_ argument: String) throws -> TargetArgument {
        guard let colon = argument.lastIndex(of: ":") else { return TargetArgument(query: [("device", argument)]) }
        guard let unit = UInt8(argument[argument.index(after: colon)...]), colon != argument.startIndex else {
            throw ValidationError(
                "\"\(argument)\" is no device and no bus with a unit; give one such as main, or line-1:7 with a unit up to 255")
        }
        return TargetArgument(query: [("bus", String(argument[..<colon])), ("unit", String(unit))])
    }
}
