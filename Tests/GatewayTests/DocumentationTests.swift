import FoundationEssentials
import Gateway
import TestSupport
import Testing

/// Every key that the readers ask for is documented, and every documented key is asked for.
@Suite struct DocumentationTests {
    private static let page = TextFile.content(Products.repository + "/docs/configuration.md")
    private static let manual = TextFile.content(Products.repository + "/docs/man/meterd.toml.5")

    /// Keys of a table by what the readers asked, for one table of each kind and type.
    private static func asked() throws -> [String: Set<String>] {
        let folder = try TemporaryFolder.make("keys")
        defer { TemporaryFolder.remove(folder) }
        let types = Configuration.OutputType.allCases.map(\.rawValue)
        let outputs = types.map { "[[output]]\nname = \"\($0)\"\ntype = \"\($0)\"\n" }.joined()
        // Presets have keys of their own.
        let names = ["thingsboard", "homeassistant", "aws", "azure"]
        let presets = names.map { "[[output]]\nname = \"\($0)\"\ntype = \"mqtt\"\npreset = \"\($0)\"\nclient_id = \"box\"\n" }
            .joined()
        try TextFile.write("[gateway]\n[journal]\n[api]\n[[bus]]\n[[device]]\n\(outputs)\(presets)", to: folder + "/meterd.toml")
        var keys: [String: Set<String>] = [:]
        for entry in Configuration.examine(file: folder + "/meterd.toml", hostName: "box").configuration.listing.entries {
            let isPreset = entry.name.map(names.contains) ?? false
            let kind = entry.table == "output" ? (isPreset ? "mqtt" : entry.name ?? "") : entry.table
            keys[kind, default: []].insert(entry.key)
        }
        return keys
    }

    /// The keys in the first column below a heading: `## `[journal]``, `## `[[bus]]``, `` `type = "http"`: ``.
    private static func documented() -> [String: Set<String>] {
        var keys: [String: Set<String>] = [:]
        var kind = ""
        for line in page.split(separator: "\n") {
            if line.hasPrefix("## ") { kind = String(line.dropFirst(3).filter { $0.isLetter }) }
            if line.hasPrefix("`type = ") { kind = line.split(separator: "\"").dropFirst().first.map(String.init) ?? "" }
            guard line.hasPrefix("| `"), let cell = line.split(separator: "|").first else { continue }
            for (index, part) in cell.split(separator: "`").enumerated() where index % 2 == 1 && !part.contains(":") {
                keys[kind, default: []].insert(String(part))
            }
        }
        return keys
    }

    @Test func everyKeyIsDocumentedAndEveryDocumentedKeyIsRead() throws {
        let (asked, documented) = (try Self.asked(), Self.documented())
        let outputTypes = Set(Configuration.OutputType.allCases.map(\.rawValue))
        #expect(asked.keys.count >= 5 + outputTypes.count)
        for (kind, keys) in asked {
            let common = outputTypes.contains(kind) ? documented["output"] ?? [] : []
            let known = (documented[kind] ?? []).union(common)
            #expect(!known.isEmpty, "docs/configuration.md has no table for \(kind)")
            // [device.units] is a table of its own there.
            let missing = keys.subtracting(known).subtracting(["units"])
            #expect(missing.isEmpty, "docs/configuration.md does not tell of \(kind): \(missing.sorted())")
            guard !outputTypes.contains(kind) else { continue }
            #expect((documented[kind] ?? []).subtracting(keys).isEmpty, "docs/configuration.md tells of \(kind) what nobody reads")
        }
        for kind in outputTypes {
            let stale = (documented[kind] ?? []).subtracting(asked[kind] ?? [])
            #expect(stale.isEmpty, "docs/configuration.md tells of type \(kind) what nobody reads: \(stale.sorted())")
        }
        for key in documented["output"] ?? [] {
            #expect(outputTypes.contains { asked[$0]?.contains(key) == true }, "no output reads \(key)")
        }
    }

    /// An empty line ends a table: what comes behind it is shown as text with bars.
    @Test func noTableIsCutInTwo() throws {
        let docs = Products.repository + "/docs"
        for name in try FileManager.default.contentsOfDirectory(atPath: docs) where name.hasSuffix(".md") {
            let lines = TextFile.content("\(docs)/\(name)").split(separator: "\n", omittingEmptySubsequences: false)
            for (index, line) in lines.enumerated().dropFirst() where line.hasPrefix("| ") && lines[index - 1].isEmpty {
                let next = index + 1 < lines.count ? lines[index + 1] : ""
                #expect(next.hasPrefix("|--"), "docs/\(name):\(index + 1) belongs to a table that an empty line has ended")
            }
        }
    }

    @Test func theTimeThatRequestsHaveAtTheStopIsTheServers() throws {
        let source = TextFile.content(Products.repository + "/Sources/Gateway/LocalAPI/LocalAPIServer.swift")
        let number = try #require(source.firstRange(of: "stopGrace = Duration.milliseconds(")?.upperBound)
        let milliseconds = try #require(Int(source[number...].prefix { $0.isNumber }))
        let page = TextFile.content(Products.repository + "/docs/local-api.md")
        #expect(page.contains("requests in flight have \(Double(milliseconds) / 1000) s to end"))
    }

    /// systemd starts no service for which a single secret or a directory is missing; a secret out of a folder, and a path behind a dash, may be.
    @Test func noPageHasTheServiceStandOnAFileOrADirectoryThatMayBeGone() throws {
        let files = FileManager.default
        let pages = try ["docs", "docs/man", "deploy"].flatMap { folder in
            try files.contentsOfDirectory(atPath: "\(Products.repository)/\(folder)").map { "\(folder)/\($0)" }
        }
        var told = 0
        for page in pages {
            let text = TextFile.content("\(Products.repository)/\(page)")
            for (mark, good) in [
                ("LoadCredential=", "secrets:/etc/meterd/secrets"), ("/run/credentials/meterd.service/", "secrets_"),
                ("ReadWritePaths=/", "-"),
            ] {
                for range in text.ranges(of: mark) {
                    let rest = text[range.upperBound...]
                    let next = rest.hasPrefix(good) ? rest.dropFirst(good.count).first : "/"
                    #expect(next != "/", "\(page): \(mark)\(rest.prefix(60))")
                    told += 1
                }
            }
        }
        #expect(told >= 7)
    }

    /// The page of section 5 has the keys of all tables, and of outputs those of HTTP.
    @Test func everyKeyIsInTheManual() throws {
        // .It Cm devices , quantities
        let items = Self.manual.split(separator: "\n").filter { $0.hasPrefix(".It Cm ") }
        let told = Set(items.flatMap { $0.dropFirst(7).split { " ,".contains($0) }.map(String.init) })
        for (kind, keys) in try Self.asked() where ["gateway", "journal", "api", "bus", "device", "http"].contains(kind) {
            for key in keys { #expect(told.contains(key), "docs/man/meterd.toml.5 does not tell of \(kind) \(key)") }
        }
    }

    /// Of the same tables, the words that a key takes: | `compression` | `gzip` `zstd` `none` |
    @Test func everyChoiceIsInTheManual() {
        let told = Set(Self.manual.split { !$0.isLetter && !$0.isNumber && $0 != "-" }.map(String.init))
        var kind = ""
        var choices = 0
        for line in Self.page.split(separator: "\n") {
            if line.hasPrefix("## ") { kind = String(line.dropFirst(3).filter { $0.isLetter }) }
            if line.hasPrefix("`type = ") { kind = line.split(separator: "\"").dropFirst().first.map(String.init) ?? "" }
            guard ["gateway", "journal", "api", "bus", "device", "output", "http"].contains(kind), line.hasPrefix("| `") else { continue }
            let words = line.split(separator: "|").dropFirst().first?.split(separator: " ") ?? []
            guard words.allSatisfy({ $0.count > 2 && $0.first == "`" && $0.last == "`" }) else { continue }
            for word in words.map({ String($0.dropFirst().dropLast()) }) where word.allSatisfy({ $0.isLetter }) {
                choices += 1
                #expect(told.contains(word), "docs/man/meterd.toml.5 does not tell of \(kind): \(word)")
            }
        }
        #expect(choices >= 10)
    }

    /// Each command of metersim has its synopsis and its paragraph.
    @Test func everyCommandOfTheSimulatorIsInItsManual() throws {
        let folder = Products.repository + "/Sources/metersim"
        let manual = TextFile.content(Products.repository + "/docs/man/metersim.1")
        var commands = 0
        for name in try FileManager.default.contentsOfDirectory(atPath: folder) where name.hasSuffix("Command.swift") {
            let source = TextFile.content("\(folder)/\(name)")
            let start = try #require(source.firstRange(of: "commandName: \"")?.upperBound, "\(name)")
            let command = source[start...].prefix { $0 != "\"" }
            commands += 1
            #expect(manual.contains(".Nm\n.Cm \(command)\n"), "docs/man/metersim.1 has no synopsis of \(command)")
            #expect(manual.contains(".It Cm \(command)\n"), "docs/man/metersim.1 does not tell of \(command)")
        }
        #expect(commands >= 5)
    }
}
