import FoundationEssentials
import Glibc
import Metering

/// A unit of the service manager as it stands in files: where it is, what overrides it, what it says. Nothing is asked of systemd, which may
/// not run.
package struct ServiceUnit: Hashable, Sendable {
    /// Where systemd looks, the first first.
    package static let directories = [
        "/etc/systemd/system", "/run/systemd/system", "/usr/local/lib/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system",
    ]
    static let fileBytes = 256 << 10
    static let dropInLimit = 100

    package var file: String
    package var isMasked: Bool
    /// Starts with the machine.
    package var isEnabled: Bool
    package var dropIns: [String]
    /// All assignments in their order, the drop-ins' last.
    var settings: [(key: String, value: String, file: String)] = []

    package static func == (a: ServiceUnit, b: ServiceUnit) -> Bool { a.file == b.file && a.dropIns == b.dropIns }
    package func hash(into hasher: inout Hasher) { hasher.combine(file) }

    /// Nil when there is no unit of this name.
    package init?(_ name: String, in directories: [String] = ServiceUnit.directories) {
        guard let file = directories.map({ "\($0)/\(name)" }).first(where: { access($0, F_OK) == 0 || ServiceUnit.target(of: $0) != nil })
        else { return nil }
        self.file = file
        isMasked = ServiceUnit.target(of: file) == "/dev/null"
        isEnabled = directories.contains { directory in
            let links = (try? FileManager.default.contentsOfDirectory(atPath: directory)) ?? []
            return links.contains { $0.hasSuffix(".wants") && ServiceUnit.target(of: "\(directory)/\($0)/\(name)") != nil }
        }
        // By name over all directories; the first directory that has a name hides the others'.
        var found: [String: String] = [:]
        for directory in directories.map({ "\($0)/\(name).d" }) {
            for name in (try? FileManager.default.contentsOfDirectory(atPath: directory)) ?? [] where name.hasSuffix(".conf") {
                if found[name] == nil { found[name] = "\(directory)/\(name)" }
            }
        }
        dropIns = found.sorted { $0.key < $1.key }.map(\.value).prefix(ServiceUnit.dropInLimit).map { $0 }
        for path in [file] + dropIns { read(path) }
    }

    private mutating func read(_ path: String) {
        guard let text = TextFile.read(path, limit: ServiceUnit.fileBytes, log: TomlReader.ProblemLog()) else { return }
        for line in text.split(separator: "\n") where line.first != "#" && line.first != ";" {
            guard let equals = line.firstIndex(of: "=") else { continue }
            let key = line[..<equals].filter { $0 != " " }
            settings.append((key, String(line[line.index(after: equals)...].drop { $0 == " " }), path))
        }
    }

    private static func target(of path: String) -> String? {
        var room = [CChar](repeating: 0, count: 4096)
        let count = readlink(path, &room, room.count)
        return count < 0 ? nil : String(decoding: room.prefix(count).map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// The last value of a key that is there once.
    package func value(_ key: String) -> String? { settings.last { $0.key == key }?.value }

    /// All values of a key that adds up; an empty one begins anew.
    package func values(_ key: String) -> [String] { assignments(key).flatMap { $0.split(separator: " ").map(String.init) } }

    /// The same of a key whose lines have one value each.
    func assignments(_ key: String) -> [String] {
        settings.filter { $0.key == key }.reduce(into: []) { list, setting in
            if setting.value.isEmpty { list = [] } else { list.append(setting.value) }
        }
    }

    /// Keys that the drop-ins set.
    package var overridden: [String] {
        var keys: [String] = []
        for setting in settings where setting.file != file && !keys.contains(setting.key) { keys.append(setting.key) }
        return keys
    }
}
