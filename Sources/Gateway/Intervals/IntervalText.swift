import Metering

/// Intervals as text, piece by piece.
package struct IntervalText: Hashable, Sendable {
    package enum Format: String, Hashable, Sendable, CaseIterable {
        /// A row for each counter and each gauge of an interval, after a row with the names of the columns.
        case csv
        /// An object for each interval on a line of its own.
        case jsonLines = "jsonl"
    }

    package var format: Format

    package init(_ format: Format) { self.format = format }

    package static let columns = [
        "start", "end", "device", "segment", "quantity", "unit", "advance", "open", "close", "open_time", "close_time", "min", "mean",
        "max", "samples", "expected", "quality", "clock", "complete", "events",
    ]

    /// What stands before the first interval.
    package var head: [UInt8] { format == .csv ? IntervalText.row(IntervalText.columns) : [] }

    package func text(_ interval: Interval) -> [UInt8] {
        switch format {
        case .jsonLines: return IntervalReport(interval).json + [UInt8(ascii: "\n")]
        case .csv:
            let counters = interval.counters.flatMap { IntervalText.row(IntervalText.cells(interval, $0)) }
            return counters + interval.gauges.flatMap { IntervalText.row(IntervalText.cells(interval, $0)) }
        }
    }

    private static func cells(_ interval: Interval, _ counter: CounterInterval) -> [String] {
        let events = interval.events.filter { $0.quantity == nil || $0.quantity == counter.quantity.id }.map(\.kind.rawValue)
        return head(interval, counter.quantity) + [
            counter.advance?.description ?? "", counter.open?.value.description ?? "", counter.close?.value.description ?? "",
            counter.open?.time.rfc3339 ?? "", counter.close?.time.rfc3339 ?? "", "", "", "",
        ] + tail(interval, counter.samples, counter.expected, counter.quality, events)
    }

    private static func cells(_ interval: Interval, _ gauge: GaugeInterval) -> [String] {
        let events = interval.events.filter { $0.quantity == nil }.map(\.kind.rawValue)
        return head(interval, gauge.quantity) + [
            "", "", "", "", "", gauge.minimum?.description ?? "", gauge.mean?.description ?? "", gauge.maximum?.description ?? "",
        ] + tail(interval, gauge.samples, gauge.expected, gauge.quality, events)
    }

    private static func head(_ interval: Interval, _ quantity: Quantity) -> [String] {
        [interval.start.rfc3339, interval.end.rfc3339, interval.device, String(interval.segment), quantity.id, quantity.unit]
    }

    private static func tail(
        _ interval: Interval, _ samples: Int, _ expected: Int?, _ quality: Quality, _ events: [String]
    ) -> [String] {
        [
            String(samples), expected.map { String($0) } ?? "", String(quality.rawValue),
            interval.clock.map { String($0.rawValue) } ?? "", String(interval.isComplete), events.joined(separator: " "),
        ]
    }

    /// RFC 4180: quoted where it must be. Only names could have to be, and those of devices hold no such characters.
    private static func row(_ cells: [String]) -> [UInt8] {
        let quoted = cells.map { cell in
            cell.utf8.contains { [UInt8(ascii: ","), UInt8(ascii: "\""), 10, 13].contains($0) }
                ? "\"\(cell.replacing("\"", with: "\"\""))\"" : cell
        }
        return Array(quoted.joined(separator: ",").utf8) + [UInt8(ascii: "\n")]
    }
}
