/// `meterctl reload`: what the daemon did, in a line for each kind of part.
package struct ReloadVerdict: Sendable {
    let report: ReloadReport

    package init(_ report: ReloadReport) { self.report = report }

    package var lines: [String] {
        ["the config is applied", "buses    \(ReloadVerdict.text(report.buses))", "outputs  \(ReloadVerdict.text(report.outputs))"]
    }

    /// `2 kept, changed hall-2, removed roof`; a part that was stopped and started is a changed one.
    private static func text(_ change: ReloadChange) -> String {
        let changed = change.started.filter { change.stopped.contains($0) }
        let added = change.started.filter { !change.stopped.contains($0) }
        let removed = change.stopped.filter { !change.started.contains($0) }
        let parts = [("changed", changed), ("added", added), ("removed", removed)].filter { !$0.1.isEmpty }
        return (["\(change.kept.count) kept"] + parts.map { "\($0.0) \($0.1.map(\.withoutControls).joined(separator: " "))" })
            .joined(separator: ", ")
    }
}
