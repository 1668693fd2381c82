import FoundationEssentials
import Metering

/// Every profile on a path as `meterctl profiles` lists it: also those that are hidden by a file of the same name, and those that are wrong.
package struct ProfileShelf: Sendable {
    package struct Entry: Sendable {
        package var name: String
        /// Nil for the map that is found by asking the device.
        package var file: String?
        /// Files of the same name further down the path, which nobody reads.
        package var hidden: [String] = []
        /// Nil where the file is wrong.
        package var profile: Profile?
        package var text: String = ""
        /// `file:line:column: key: what is wrong`.
        package var problems: [String] = []
    }

    package let path: [String]
    package let entries: [Entry]

    package init(path: [String]) {
        self.path = path
        var library = ProfileLibrary(path: path)
        var entries = library.names.filter { $0 != SunSpecProfile.name }.map { name in
            let files = path.map { "\($0)/\(name).toml" }.filter { FileManager.default.fileExists(atPath: $0) }
            var entry = Entry(name: name, file: files.first, hidden: Array(files.dropFirst()))
            let log = TomlReader.ProblemLog()
            if case .found(let profile, let text) = library.profile(name, log: log) {
                entry.profile = profile
                entry.text = text
            }
            entry.problems = log.sorted.map(\.description)
            return entry
        }
        entries.append(Entry(name: SunSpecProfile.name))
        self.entries = entries.sorted { $0.name < $1.name }
    }

    package func entry(_ name: String) -> Entry? { entries.first { $0.name == name } }

    /// ` did you mean …` for a name that is none.
    package func hint(_ name: String) -> String { Spelling.hint(name, among: entries.map(\.name)) }

    /// The path that a configuration gives, or the standard one. What else is wrong with the file does not matter here.
    package static func path(configuration file: String) -> [String] {
        var path = Configuration.Gateway(id: "").profilePath
        let log = TomlReader.ProblemLog()
        for part in Configuration.files(main: file, log: log) {
            guard let text = TextFile.read(part, limit: ConfigurationLimits.fileBytes, log: log),
                let node = try? TomlNode.parse(text, file: part),
                let table = TomlReader(file: part, node: node, log: log).table("gateway"), let own = table.strings("profile_path")
            else { continue }
            path = own.map { table.absolute($0) ?? $0 }
        }
        return path
    }
}
