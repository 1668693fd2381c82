import FoundationEssentials
import Metering

/// The profiles of the directories on the path; a name in an earlier directory hides the same name in a later one.
package struct ProfileLibrary {
    package enum Answer {
        case found(Profile, text: String)
        /// With the names that there are.
        case missing([String])
        /// It is there and wrong; the problems are noted in the log.
        case faulty
    }

    package let path: [String]
    private var known: [String: Answer] = [:]

    package init(path: [String]) { self.path = path }

    package static let fileBytes = 1 << 20

    /// Reads `<name>.toml`; each profile once, so its problems are noted once.
    package mutating func profile(_ name: String, log: TomlReader.ProblemLog) -> Answer {
        if let answer = known[name] { return answer }
        let answer = read(name, log: log)
        known[name] = answer
        return answer
    }

    private func read(_ name: String, log: TomlReader.ProblemLog) -> Answer {
        guard !name.contains("/"), let directory = path.first(where: { FileManager.default.fileExists(atPath: "\($0)/\(name).toml") })
        else {
            return .missing(names)
        }
        let file = "\(directory)/\(name).toml"
        guard let text = TextFile.read(file, limit: ProfileLibrary.fileBytes, log: log) else { return .faulty }
        do {
            let profile = try Profile(toml: text, file: file)
            guard profile.name == name else {
                log.add(
                    Problem(
                        file: file, place: nil, key: "profile",
                        text: "is \"\(profile.name)\" in a file named \(name).toml; make the two the same"))
                return .faulty
            }
            return .found(profile, text: text)
        } catch {
            for problem in error.list { log.add(problem) }
            return .faulty
        }
    }

    /// Every name on the path, sorted.
    package var names: [String] {
        let files = path.flatMap { (try? FileManager.default.contentsOfDirectory(atPath: $0)) ?? [] }
        return Set(files.filter { $0.hasSuffix(".toml") }.map { String($0.dropLast(5)) }).sorted()
    }
}
