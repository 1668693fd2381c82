import FoundationEssentials
import TestSupport
import Testing

/// The rules of the house, read from ARCHITECTURE.md and held against the source.
enum House {
    static let sources = Products.repository + "/Sources"

    /// Module name → the modules and libraries that its row allows.
    static func allowedImports() throws -> [String: Set<String>] {
        let text = try String(contentsOfFile: Products.repository + "/ARCHITECTURE.md", encoding: .utf8)
        var rows: [String: Set<String>] = [:]
        for line in text.split(separator: "\n") where line.hasPrefix("| `") {
            let cells = line.split(separator: "|").map { $0.trimmed }
            guard cells.count == 4 else { continue }
            guard let module = cells[0].quoted.first else { continue }
            rows[module] = Set(cells[2].quoted + cells[3].quoted)
        }
        return rows
    }

    static func swiftFiles(under directory: String) -> [String] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: directory)) ?? []
        return names.sorted().flatMap { name -> [String] in
            let path = directory + "/" + name
            return name.hasSuffix(".swift") ? [path] : swiftFiles(under: path)
        }
    }

    static func modules() throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: sources).filter { !swiftFiles(under: sources + "/" + $0).isEmpty }.sorted()
    }

    /// The C library and the small Foundation belong to the language here.
    static let ownLanguage: Set = ["Glibc", "FoundationEssentials"]

    /// The names of everything that the files of a module import.
    static func imports(of module: String) throws -> Set<String> {
        var names: Set<String> = []
        for file in swiftFiles(under: sources + "/" + module) {
            for line in try lines(file) where line.first?.isWhitespace == false && !line.hasPrefix("//") {
                let words = line.split(separator: " ")
                guard let at = words.firstIndex(of: "import"), at <= 2, words.count > at + 1 else { continue }
                names.insert(String(words[at + 1].split(separator: ".")[0]))
            }
        }
        return names
    }

    static func lines(_ file: String) throws -> [Substring] {
        try String(contentsOfFile: file, encoding: .utf8).split(separator: "\n", omittingEmptySubsequences: false)
    }
}

extension StringProtocol {
    var trimmed: String {
        var text = Substring(self)
        while let first = text.first, first.isWhitespace { text.removeFirst() }
        while let last = text.last, last.isWhitespace { text.removeLast() }
        return String(text)
    }

    /// What stands between backticks.
    var quoted: [String] {
        split(separator: "`", omittingEmptySubsequences: false).enumerated().filter { $0.offset % 2 == 1 }.map { String($0.element) }
    }
}

@Suite struct HouseTests {
    @Test func everyModuleHasItsRowInTheTable() throws {
        #expect(Set(try House.allowedImports().keys) == Set(try House.modules()))
    }

    @Test func noModuleImportsWhatItsRowDoesNotName() throws {
        let allowed = try House.allowedImports()
        for module in try House.modules() {
            let rights = (allowed[module] ?? []).union(House.ownLanguage)
            for name in try House.imports(of: module) {
                #expect(rights.contains(name), "\(module) may not import \(name)")
            }
        }
    }

    /// The walk of one reading names files; each is there.
    @Test func theWalkThroughTheFilesIsTrue() throws {
        let text = try String(contentsOfFile: Products.repository + "/ARCHITECTURE.md", encoding: .utf8)
        let rows = text.split(separator: "\n").filter { $0.hasPrefix("| ") && $0.contains(".swift") }
        #expect(rows.count >= 8)
        for row in rows {
            let cells = row.split(separator: "|").map { $0.trimmed }
            var module = ""
            for name in try #require(cells.last).quoted {
                // A name without a module is in the module named before it.
                let parts = name.split(separator: "/").map(String.init)
                if parts.count > 1, try House.modules().contains(parts[0]) { module = parts[0] }
                let found = House.swiftFiles(under: House.sources + "/" + module).contains { $0.hasSuffix("/" + name) }
                #expect(found, "ARCHITECTURE.md names \(name), which is not in \(module)")
            }
            for word in cells[1].quoted {
                let name = String(word.prefix { $0 != "(" && $0 != "=" }.split(separator: ".").last ?? "")
                guard !name.isEmpty, name.first?.isLetter == true, !word.contains("=") else { continue }
                let known = try House.swiftFiles(under: House.sources).contains {
                    try String(contentsOfFile: $0, encoding: .utf8).contains(name)
                }
                #expect(known, "ARCHITECTURE.md speaks of \(word), which is nowhere")
            }
        }
    }

    /// What a module imports it also declares, so that it does not build by the grace of another's dependencies.
    @Test func everyImportIsADeclaredDependency() throws {
        let whole = try String(contentsOfFile: Products.repository + "/Package.swift", encoding: .utf8)
        let manifest = whole[try #require(whole.firstRange(of: "    targets: [")).upperBound...]
        for module in try House.modules() {
            let forms = ["name: \"\(module)\", dep", "name: \"\(module)\",\n"]
            let start = try #require(forms.compactMap { manifest.firstRange(of: $0) }.first, "\(module) is no target")
            let rest = manifest[start.upperBound...]
            let end = ["arget(", "ystemLibrary("].compactMap { rest.firstRange(of: $0)?.lowerBound }.min() ?? rest.endIndex
            for name in try House.imports(of: module) where !House.ownLanguage.contains(name) {
                #expect(rest[..<end].contains("\"\(name)\""), "\(module) imports \(name) and does not declare it in Package.swift")
            }
        }
    }

    @Test func nobodyImportsTheWholeFoundation() throws {
        for file in House.swiftFiles(under: House.sources) + House.swiftFiles(under: Products.repository + "/Tests") {
            for line in try House.lines(file) {
                #expect(
                    !line.trimmed.hasSuffix("import Foundation"), "\(file): FoundationEssentials is enough; Foundation brings 44 MB of ICU")
            }
        }
    }

    @Test func everyModuleSaysItsCaptionFirst() throws {
        let text = try String(contentsOfFile: Products.repository + "/ARCHITECTURE.md", encoding: .utf8)
        let programs: Set = ["meterd", "meterctl", "metersim"]
        for module in try House.modules() where !programs.contains(module) {
            let first = try #require(try House.lines("\(House.sources)/\(module)/\(module).swift").first)
            #expect(first.hasPrefix("// \(module): "), "\(module).swift begins with its caption")
            let caption = first.dropFirst("// \(module): ".count).trimmed
            let words = caption.lowercased().prefix { $0 != "." }
            #expect(text.lowercased().contains(words), "ARCHITECTURE.md has another caption for \(module): \(caption)")
        }
    }

    @Test func aFileIsOneIdea() throws {
        for file in House.swiftFiles(under: House.sources) {
            #expect(try House.lines(file).count <= 401, "\(file) is longer than 400 lines")
        }
    }

    /// Promise 6: the daemon only reads. No libmodbus write call is named anywhere, and the one place that sends a request of its own
    /// takes its function code from `RegisterTable`, which has the four reading ones.
    @Test func noModbusWriteFunctionIsReachable() throws {
        let forbidden = [
            "modbus_write_bit", "modbus_write_bits", "modbus_write_register", "modbus_write_registers", "modbus_mask_write_register",
            "modbus_write_and_read_registers",
        ]
        for module in try House.modules() where module != "Simulators" && module != "metersim" {
            for file in House.swiftFiles(under: House.sources + "/" + module) {
                let text = try String(contentsOfFile: file, encoding: .utf8)
                for call in forbidden { #expect(!text.contains(call), "\(file) calls \(call)") }
            }
        }
        let senders = try House.swiftFiles(under: House.sources + "/Fieldbus").filter {
            try String(contentsOfFile: $0, encoding: .utf8).contains("modbus_send_raw_request")
        }
        #expect(senders.count == 1, "raw requests leave from one file: \(senders)")
    }

    @Test func theSourceIsFormatted() async throws {
        let formatter = try await runToEnd(
            "/usr/bin/env",
            ["swift", "format", "lint", "--strict", "--recursive", "--configuration", Products.repository + "/.swift-format"]
                + ["Sources", "Tests", "Package.swift"].map { Products.repository + "/" + $0 }, within: .seconds(300))
        #expect(formatter.exit == .code(0), "\(formatter.errors.prefix(4000))")
    }

    @Test func noUnfinishedWordIsCommitted() throws {
        let unfinished = ["TO" + "DO", "FIX" + "ME", "X" + "XX"]
        for file in House.swiftFiles(under: House.sources) {
            for line in try House.lines(file) {
                for word in unfinished { #expect(!line.contains(word), "\(file): \(line.trimmed)") }
            }
        }
    }
}
