import TestSupport
import Testing

/// Manual, completions and pages know every command.
@Suite(.timeLimit(.minutes(10))) struct CoverageTests {
    @Test func everyCommandEndsItsHelpWithAnExampleOfItself() async throws {
        let tree = try await CommandTree.read().all
        #expect(tree.count > 20)
        for called in tree {
            let lines = (called.command.discussion ?? "").split(separator: "\n")
            let example = lines.firstIndex(of: "Example:").map { lines[$0...].dropFirst().first ?? "" } ?? ""
            #expect(example.contains("meterctl \(called.path)"), "meterctl \(called.path) --help: no example of it, but \"\(example)\"")
        }
    }

    @Test func everyCommandAndOptionIsInTheManual() async throws {
        let manual = TextFile.content(Products.repository + "/docs/man/meterctl.1")
        // .Cm dead-letters Cm list | show: the words of a macro line.
        let words = Set(manual.split { " \n|".contains($0) }.map(String.init))
        for called in try await CommandTree.read().all {
            for word in called.path.split(separator: " ") {
                #expect(words.contains(String(word)), "meterctl.1 does not know \(called.path)")
            }
            for option in called.options where !["--help", "--version"].contains(option) {
                let isTold = manual.contains("\\-" + option.dropFirst(2))
                #expect(isTold, "meterctl.1 does not know \(option) of \(called.path)")
            }
        }
    }

    @Test func everyCommandIsOnThePageOfTheAPI() async throws {
        let page =
            TextFile.content(Products.repository + "/docs/local-api.md") + TextFile.content(Products.repository + "/docs/commissioning.md")
        let tree = try await CommandTree.read().all
        for called in tree where called.command.subcommands?.isEmpty != false && !called.path.isEmpty {
            for word in called.path.split(separator: " ") where word != "show" {
                #expect(page.contains(word), "no page tells of meterctl \(called.path)")
            }
        }
    }

    @Test(arguments: ["bash", "zsh", "fish"]) func everyCommandIsCompleted(_ shell: String) async throws {
        let script = try await meterctl(["--generate-completion-script", shell])
        #expect(script.status == 0)
        for called in try await CommandTree.read().all {
            for word in called.path.split(separator: " ") { #expect(script.output.contains(word), "\(shell): \(called.path)") }
            for option in called.options { #expect(script.output.contains(option.dropFirst(2)), "\(shell): \(option)") }
        }
    }
}
