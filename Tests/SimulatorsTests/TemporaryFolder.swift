import FoundationEssentials
import Glibc

/// A folder for one test, removed with it.
final class TemporaryFolder {
    let path: String

    struct CannotMake: Error {}

    init() throws {
        var template = Array("/tmp/metersim-test-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw CannotMake() }
        path = String(decoding: template.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    func file(_ name: String, content: String? = nil) -> String {
        let file = path + "/" + name
        if let content { try? Data(content.utf8).write(to: URL(filePath: file)) }
        return file
    }

    func content(of name: String) throws -> String {
        String(decoding: try Data(contentsOf: URL(filePath: path + "/" + name)), as: UTF8.self)
    }
}
