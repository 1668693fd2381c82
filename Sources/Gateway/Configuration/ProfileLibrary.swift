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

/// Reads text files that people write: bounded, UTF-8, with problems in words.
enum TextFile {
    static func read(_ path: String, limit: Int, log: TomlReader.ProblemLog) -> String? {
        func problem(_ text: String) -> String? {
            log.add(Problem(file: path, place: nil, key: "", text: text))
            return nil
        }
        var isDirectory = false
        guard FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory) else {
            return problem("does not exist; create it, or name another file with --config")
        }
        if isDirectory { return problem("is a directory; name the file in it") }
        guard let attributes = try? FileManager.default.attributesOfItem(atPath: path), let size = attributes[.size] as? Int else {
            return problem("cannot be read; its size is unknown")
        }
        if attributes[.type] as? FileAttributeType != .typeRegular { return problem("is no regular file") }
        if size > limit { return problem("is \(size) bytes long; at most \(limit) are read") }
        guard let data = try? Data(contentsOf: URL(filePath: path)) else {
            return problem("cannot be read; give the user that runs meterd the right to read it")
        }
        guard let text = String(validating: data, as: UTF8.self) else { return problem("is not UTF-8 text; save it as UTF-8") }
        return text
    }
}
