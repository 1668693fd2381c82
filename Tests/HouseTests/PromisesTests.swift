import TestSupport
import Testing

@Suite struct PromisesTests {
    /// docs/promises.md names tests; each is there, so that a renamed or removed one shows.
    @Test func everyTestThatAPromiseNamesExists() throws {
        let rows = TextFile.content(Products.repository + "/docs/promises.md").split(separator: "\n").filter { $0.hasPrefix("| ") }
        let tests = House.swiftFiles(under: Products.repository + "/Tests").map(TextFile.content).joined(separator: "\n")
        var named = 0
        for row in rows {
            guard let cell = row.split(separator: "|").map(\.trimmed).last else { continue }
            for test in cell.quoted {
                named += 1
                #expect(tests.contains("func \(test)("), "docs/promises.md names \(test), which is no test")
            }
        }
        #expect(named >= 20)
    }
}
