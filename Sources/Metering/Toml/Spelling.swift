/// Finds what someone may have meant.
package enum Spelling {
    /// `; did you mean "port"?` for `prot`, or nothing when no candidate is near.
    package static func hint(_ word: String, among candidates: some Sequence<String>) -> String {
        guard let best = nearest(word, among: candidates) else { return "" }
        return "; did you mean \"\(best)\"?"
    }

    /// The candidate at the smallest distance, when that is at most a third of the word's length (at least 1).
    package static func nearest(_ word: String, among candidates: some Sequence<String>) -> String? {
        let limit = max(1, word.utf8.count / 3)
        return candidates.lazy.map { (distance(word, $0), $0) }.filter { $0.0 <= limit }.min { $0 < $1 }?.1
    }

    /// Damerau-Levenshtein (optimal string alignment): insertions, deletions, replacements and swaps of neighbours, one step each.
    /// prot → port: 1.  baudd → baud: 1.  kitten → sitting: 3.
    static func distance(_ a: String, _ b: String) -> Int {
        let a = Array(a.utf8)
        let b = Array(b.utf8)
        var before: [Int] = []
        var last = Array(0...b.count)
        for i in a.indices {
            var row = [i + 1]
            for j in b.indices {
                var best = min(last[j + 1] + 1, row[j] + 1, last[j] + (a[i] == b[j] ? 0 : 1))
                if i > 0, j > 0, a[i] == b[j - 1], a[i - 1] == b[j] { best = min(best, before[j - 1] + 1) }
                row.append(best)
            }
            before = last
            last = row
        }
        return last[b.count]
    }
}
