import FoundationEssentials
import Metering

/// Finds the profile that a command line names.
package enum ProfileFile {
    /// Where names are looked for when nothing else is said: as meterd does, then beside the source.
    package static let directories = ["/etc/meterd/profiles", "/usr/share/meterd/profiles", "profiles"]

    /// - Parameter name: a profile's name, looked for in `directories` in their order; or a path, when it holds a `/` or ends in `.toml`.
    /// - Throws: `usage` when there is none, `corrupt` with every problem of an invalid one.
    package static func load(_ name: String, directories: [String]) throws(SimulatorError) -> Profile {
        let isPath = name.contains("/") || name.hasSuffix(".toml")
        let candidates = isPath ? [name] : directories.map { "\($0)/\(name).toml" }
        guard let path = candidates.first(where: { FileManager.default.fileExists(atPath: $0) }) else {
            if isPath { throw SimulatorError(.usage, "there is no file \(name)") }
            throw SimulatorError(
                .usage, "no profile \(name) in \(directories.joined(separator: ", ")); give its file or --profiles DIRECTORY")
        }
        guard let data = try? Data(contentsOf: URL(filePath: path)), let text = String(validating: data, as: UTF8.self) else {
            throw SimulatorError(.corrupt, "\(path) cannot be read as text; check its permissions and that it is UTF-8")
        }
        do throws(Problems) {
            return try Profile(toml: text, file: path)
        } catch {
            throw SimulatorError(.corrupt, error.description)
        }
    }
}

/// Reads what follows `--set`: `voltage_l1=231.5`.
package struct SetText: Hashable, Sendable {
    package var quantity: String
    package var value: String

    /// - Throws: `usage`, with an example.
    package init(_ text: String) throws(SimulatorError) {
        let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 2, !parts[0].isEmpty, !parts[1].isEmpty else {
            throw SimulatorError(.usage, "set: \"\(text)\" is not quantity=value; write voltage_l1=231.5")
        }
        quantity = String(parts[0])
        value = String(parts[1])
    }

    /// The values by quantity, in the sense of the profile's points.
    /// - Throws: `usage` for a number that is none and a quantity given twice.
    package static func values(_ texts: [SetText], of profile: Profile) throws(SimulatorError) -> [String: Value] {
        var values: [String: Value] = [:]
        for text in texts {
            if values[text.quantity] != nil { throw SimulatorError(.usage, "set: \(text.quantity) is given twice") }
            let isText = profile.points.first { $0.quantity.id == text.quantity }?.quantity.kind == .text
            if isText {
                values[text.quantity] = .text(text.value)
            } else if let number = ExactDecimal(text.value) {
                values[text.quantity] = .number(number)
            } else {
                throw SimulatorError(
                    .usage, "set: \(text.quantity)=\(text.value) is no number; write it like 231.5, in the quantity's unit")
            }
        }
        return values
    }
}
