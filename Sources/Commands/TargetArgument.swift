import ArgumentParser

/// `DEVICE` or `BUS:UNIT`, as the commands take it that ask a bus.
struct TargetArgument: ExpressibleByArgument {
    var query: [(key: String, value: String)]

    init?(argument: String) {
        guard let colon = argument.lastIndex(of: ":") else {
            query = [("device", argument)]
            return
        }
        guard let unit = UInt8(argument[argument.index(after: colon)...]), colon != argument.startIndex else { return nil }
        query = [("bus", String(argument[..<colon])), ("unit", String(unit))]
    }
}
