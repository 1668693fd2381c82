import TestSupport
import Testing

/// docs/security.md and docs/operating.md are held against what they speak of.
@Suite struct SecurityPageTests {
    private static func rows(_ page: String, below heading: String? = nil) -> [[String]] {
        let text = TextFile.content(Products.repository + page)
        let part = heading.flatMap { text.firstRange(of: "\n\($0)\n").map { text[$0.upperBound...] } } ?? text[...]
        let section = heading == nil ? part : part.firstRange(of: "\n## ").map { part[..<$0.lowerBound] } ?? part
        return section.split(separator: "\n").filter { $0.hasPrefix("| ") && !$0.hasPrefix("|--") }.map { line in
            line.split(separator: "|", omittingEmptySubsequences: false).dropFirst().dropLast().map(\.trimmed)
        }
    }

    /// Each row of the claims names the tests that hold it.
    @Test func everyClaimNamesItsTestsAndTheyExist() {
        let tests = House.swiftFiles(under: Products.repository + "/Tests").map(TextFile.content).joined(separator: "\n")
        var claims = 0
        for cells in Self.rows("/docs/security.md", below: "## What is claimed, and what shows it").dropFirst() {
            claims += 1
            let named = (cells.last ?? "").quoted
            #expect(!named.isEmpty, "docs/security.md: nothing shows \"\(cells.first ?? "")\"")
            for test in named {
                let exists = tests.contains("func \(test)(") || TextFile.content(Products.repository + "/" + test).contains("#!")
                #expect(exists, "docs/security.md names \(test), which is no test")
            }
        }
        #expect(claims >= 20)
    }

    /// What the page says of the confinement stands in the unit.
    @Test(arguments: [("meterd", "## Confinement", 20), ("meterd-clock", "## Confinement of the companion", 15)])
    func theServiceIsConfinedAsClaimed(name: String, heading: String, atLeast: Int) {
        let unit = TextFile.content(Products.repository + "/systemd/\(name).service")
        let lines = Set(unit.split(separator: "\n").map(String.init))
        let page = Self.rows("/docs/security.md", below: heading).dropFirst().prefix { $0.last != "why" }
        var settings = 0
        for cells in page {
            for setting in (cells.last ?? "").quoted where setting.contains("=") && !setting.hasSuffix("=") {
                settings += 1
                #expect(lines.contains(setting), "docs/security.md says \(setting), and the unit does not")
            }
        }
        #expect(settings >= atLeast)
        // What would undo it.
        for line in lines where line.contains("Capabilit") { #expect(line.hasSuffix("="), "\(line): the service has no capability") }
        for line in lines where line.hasPrefix("Environment=") || line.hasPrefix("ExecStart=") {
            let word = line.lowercased()
            #expect(!["token", "password", "secret"].contains { word.contains($0) }, "\(line): everybody on the machine can read it")
        }
    }

    /// systemd refuses a port of any other driver, so the names are told; those of RS-485 boards are among them.
    @Test func theSerialDriversThatTheUnitAllowsAreDocumented() throws {
        let unit = TextFile.content(Products.repository + "/systemd/meterd.service")
        let rules = unit.split(separator: "\n").filter { $0.hasPrefix("DeviceAllow=char-") && $0.hasSuffix(" rw") }
        let drivers = Set(rules.map { String($0.dropFirst("DeviceAllow=char-".count).dropLast(" rw".count)) })
        #expect(drivers.isSuperset(of: ["ttyS", "ttyUSB", "ttyACM", "ttySC", "ttyLP", "ttySTM", "ttyXRUSB", "ttyMAX", "ttyPS"]))
        let page = TextFile.content(Products.repository + "/docs/configuration.md")
        let start = try #require(page.firstRange(of: "\n## As a service\n")?.upperBound)
        for driver in drivers { #expect(page[start...].contains("`\(driver)`"), "docs/configuration.md does not name \(driver)") }
    }

    /// The alarm table has every code that a status can show, and no other.
    @Test func everyAlarmIsExplained() throws {
        var codes: Set<String> = []
        for file in House.swiftFiles(under: House.sources + "/Gateway")
        where file.split(separator: "/").last?.hasPrefix("ProblemFacts") == true {
            let text = TextFile.content(file)
            let parts = ["problem(", "ProblemReport(code: "].flatMap { text.components(between: $0, and: "\"").dropFirst() }
            for part in parts {
                let code = part.prefix { $0 != "\"" }
                // Where the code is the store's own, the first text is the subject.
                if ["journal"].contains(code) { continue }
                if !code.isEmpty, code.allSatisfy({ $0.isLowercase || $0 == "_" }) { codes.insert(String(code)) }
            }
        }
        #expect(codes.count >= 14, "\(codes)")
        for line in try House.lines(House.sources + "/Store/StoreError.swift") where line.trimmed.hasPrefix("case ") {
            if let code = line.split(separator: "\"").dropFirst().first { codes.insert(String(code)) }
        }
        let told = Set(Self.rows("/docs/operating.md", below: "## What each alarm means").dropFirst().flatMap { $0.first?.quoted ?? [] })
        #expect(codes.subtracting(told).isEmpty, "docs/operating.md does not tell of \(codes.subtracting(told).sorted())")
        #expect(told.subtracting(codes).isEmpty, "docs/operating.md tells of what no status shows: \(told.subtracting(codes).sorted())")
    }
}

extension String {
    /// What follows the first `mark` after each `start`; the first element is what stands before all.
    fileprivate func components(between start: String, and mark: String) -> [Substring] {
        split(separator: start, omittingEmptySubsequences: false).map { part in
            part.firstRange(of: mark).map { part[$0.upperBound...] } ?? ""
        }
    }
}
