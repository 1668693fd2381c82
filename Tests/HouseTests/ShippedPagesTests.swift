import FoundationEssentials
import TestSupport
import Testing

/// The pages that the package and deploy/install put into /usr/share/doc/meterd.
@Suite struct ShippedPagesTests {
    /// Where a page lies below that folder → where it comes from.
    private typealias Pages = [String: String]

    private static let repository = Products.repository + "/"

    /// - Parameter pattern: `docs/*.md`, or a whole folder.
    private static func pages(_ pattern: String, into folder: String) throws -> Pages {
        let parts = pattern.split(separator: "/")
        let isWhole = parts.last?.contains("*") == false && !pattern.hasSuffix(".md")
        let source = isWhole ? pattern : parts.dropLast().joined(separator: "/")
        let names =
            pattern.contains("*") || isWhole
            ? try FileManager.default.contentsOfDirectory(atPath: repository + source) : parts.suffix(1).map(String.init)
        let below = isWhole ? "\(folder)\(parts.last ?? "")/" : folder
        let pages = names.filter { $0.hasSuffix(".md") }.map { (below + $0, source.isEmpty ? $0 : "\(source)/\($0)") }
        return Pages(uniqueKeysWithValues: pages)
    }

    /// dh_installdocs takes folders as they are and files without theirs.
    private static func packaged() throws -> Pages {
        try TextFile.content(repository + "deploy/debian/meterd.docs").split(separator: "\n").reduce(into: [:]) { all, line in
            all.merge(try pages(String(line), into: "")) { $1 }
        }
    }

    /// install -D -m 644 -t "$root/usr/share/doc/meterd/decisions" docs/decisions/*.md
    private static func installed() throws -> Pages {
        let mark = "-t \"$root/usr/share/doc/meterd"
        return try TextFile.content(repository + "deploy/install").split(separator: "\n").reduce(into: [:]) { all, line in
            guard let range = line.firstRange(of: mark) else { return }
            let words = line[range.upperBound...].split(separator: " ")
            let folder = words[0].filter { $0 != "\"" }.drop { $0 == "/" }
            for pattern in words.dropFirst() where pattern.hasSuffix(".md") {
                all.merge(try pages(String(pattern), into: folder.isEmpty ? "" : "\(folder)/")) { $1 }
            }
        }
    }

    @Test func everyLinkOfAShippedPageLeadsToAShippedPage() throws {
        for (who, shipped) in [("the package", try Self.packaged()), ("deploy/install", try Self.installed())] {
            #expect(shipped.count > 20, "\(who): \(shipped.keys.sorted())")
            for (page, source) in shipped.sorted(by: { $0.key < $1.key }) {
                let folder = page.split(separator: "/").dropLast()
                for part in TextFile.content(Self.repository + source).split(separator: "](").dropFirst() {
                    let target = part.prefix { $0 != ")" && $0 != "#" }
                    guard !target.isEmpty, !target.contains(":") else { continue }
                    let path = target.split(separator: "/").reduce(into: Array(folder)) { path, step in
                        if step == ".." { _ = path.popLast() } else { path.append(step) }
                    }
                    #expect(shipped[path.joined(separator: "/")] != nil, "\(who) ships \(source), whose link to \(target) leads nowhere")
                }
            }
        }
    }

    @Test func thePackageAndTheInstallationWithoutAptShipTheSamePages() throws {
        #expect(try Self.packaged() == Self.installed())
    }
}
