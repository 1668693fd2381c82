/// How far apart the readings of a point usually are, told by the readings alone: the journal does not say what was configured.
///
/// A vote: a distance like the one that leads makes it lead more and refines it, another one less; with no lead left the other leads.
struct PeriodEstimate: Hashable, Sendable {
    private var leading = 0.0
    private var votes = 0

    private static let mostVotes = 16

    mutating func note(_ milliseconds: Int64) {
        let distance = Double(milliseconds)
        guard distance > 0 else { return }
        if abs(distance - leading) <= leading / 4 {
            votes = min(votes + 1, PeriodEstimate.mostVotes)
            leading += (distance - leading) / 8
        } else if votes > 0 {
            votes -= 1
        } else {
            leading = distance
            votes = 1
        }
    }

    /// Nil until a distance came twice.
    var milliseconds: Double? { votes > 1 ? leading : nil }

    /// A hole this long is no late poll; while no period is known, only a whole quarter hour is.
    var gapMilliseconds: Double { milliseconds.map { max(3 * $0, 10_000) } ?? 900_000 }

    /// How many fit into a span.
    func expected(in span: Int64) -> Int? { milliseconds.map { Int((Double(span) / $0).rounded()) } }
}
