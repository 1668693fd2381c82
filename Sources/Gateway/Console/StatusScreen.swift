import Metering

/// `meterctl status`: one screen, health first, then what is wrong, then the parts in the way of a reading.
package struct StatusScreen: Sendable {
    /// More devices than this would push the rest off the screen.
    static let devicesShown = 12
    /// So many problems of one code are told one by one; more are summed up.
    static let alike = 3
    /// Of those summed up, the names that are said.
    static let namesShown = 12
    /// Where a line goes on that begins with a label.
    static let indent = 9

    let report: StatusReport
    let now: Timestamp

    /// - Parameter now: the wall clock, for ages.
    package init(_ report: StatusReport, now: Timestamp) {
        self.report = report
        self.now = now
    }

    package func lines(width: Int?, paint: Paint) -> [String] {
        func folded(_ lines: [String]) -> [String] { lines.flatMap { Folding.fold($0, indent: StatusScreen.indent, width: width) } }
        var blocks = [folded(head(paint))]
        if !report.problems.isEmpty { blocks.append(problems(width: width, paint)) }
        let none = report.devices.isEmpty ? ["devices  none is configured; man meterd.toml says how"] : []
        blocks.append(folded([clock(paint), journal(paint)] + none))
        if !report.buses.isEmpty { blocks.append(buses.lines(width: width, paint: paint)) }
        if !report.devices.isEmpty { blocks.append(devices(width: width, paint)) }
        if !report.outputs.isEmpty { blocks.append(OutputListing(report.outputs, now: now).table.lines(width: width, paint: paint)) }
        return Array(blocks.joined(separator: [""]))
    }

    private func head(_ paint: Paint) -> [String] {
        let count = report.problems.isEmpty ? "" : ", \(Humanize.count(report.problems.count, "problem"))"
        return [
            "health   \(paint(report.health.rawValue, report.health.tone))\(count)",
            "gateway  \(report.gateway.withoutControls), meterd \(report.version), up \(Humanize.span(.seconds(report.uptimeSeconds)))",
        ]
    }

    /// The texts are not cut: they say what to do. They are broken between words at the terminal's width. Of many problems of one kind, as
    /// when a line is dead, one stands for all: there is more than one problem on the screen.
    private func problems(width: Int?, _ paint: Paint) -> [String] {
        var kinds: [(code: String, problems: [ProblemReport])] = []
        for problem in report.problems {
            if let index = kinds.firstIndex(where: { $0.code == problem.code }) {
                kinds[index].problems.append(problem)
            } else {
                kinds.append((problem.code, [problem]))
            }
        }
        return kinds.flatMap { kind in
            kind.problems.count > StatusScreen.alike
                ? summedUp(kind.problems, width: width, paint) : kind.problems.flatMap { single($0, width: width, paint) }
        }
    }

    private func single(_ problem: ProblemReport, width: Int?, _ paint: Paint) -> [String] {
        let since = Humanize.age(of: problem.since, at: now)
        let head = "\(paint("!", .bad)) \(problem.subject.withoutControls): \(problem.code), for \(since)"
        return Folding.fold(head, indent: 2, width: width) + text(problem.text, width)
    }

    private func summedUp(_ problems: [ProblemReport], width: Int?, _ paint: Paint) -> [String] {
        let longest = Humanize.age(of: problems.map(\.since).min(), at: now)
        let head = "\(paint("!", .bad)) \(problems.count) of \(problems[0].code), the longest for \(longest)"
        let names = problems.prefix(StatusScreen.namesShown).map(\.subject)
        let more = problems.count > names.count ? " and \(problems.count - names.count) more" : ""
        return Folding.fold(head, indent: 2, width: width) + text(names.joined(separator: ", ") + more, width)
            + text("the first: \(problems[0].text)", width)
    }

    private func text(_ text: String, _ width: Int?) -> [String] {
        Folding.wrap(text, width: width.map { max(20, $0 - 2) }).map { "  \($0)" }
    }

    private func clock(_ paint: Paint) -> String {
        let clock = report.clock
        if clock.source == .nobody { return "clock    \(paint("unknown", .warning)): times of readings are marked as not synchronized" }
        guard clock.synchronized else {
            return "clock    \(paint("not synchronized", .warning)): times of readings are marked so"
        }
        return "clock    synchronized, error at most \(Humanize.count(clock.maxErrorMilliseconds)) ms"
    }

    private func journal(_ paint: Paint) -> String {
        let journal = report.journal
        var line = "journal  \(Humanize.count(journal.polls, "poll")), \(Humanize.count(journal.readings, "reading")), "
        line += Humanize.bytes(journal.bytes)
        if journal.polls > 0 { line += ", seq \(journal.firstSeq) to \(journal.lastSeq)" }
        if journal.lostPolls == 0, journal.lostReadings == 0 { return line + ", nothing lost" }
        var loss = "LOST \(Humanize.count(journal.lostPolls, "poll")), \(Humanize.count(journal.lostReadings, "reading"))"
        if let from = journal.lostFrom, let until = journal.lostUntil { loss += ", read from \(from.rfc3339) to \(until.rfc3339)" }
        return "\(line), \(paint(loss, .bad))"
    }

    /// All devices where they are few; of many, how they fare, and those in need of a look.
    private func devices(width: Int?, _ paint: Paint) -> [String] {
        guard report.devices.count > StatusScreen.devicesShown else {
            return DeviceListing(report.devices, now: now).table.lines(width: width, paint: paint)
        }
        let counts = [DeviceReport.State.online, .offline, .starting, .disabled].compactMap { state in
            let count = report.devices.count { $0.state == state }
            return count == 0 ? nil : paint("\(Humanize.count(count)) \(state.rawValue)", state.tone)
        }
        let summary = Folding.fold("devices  \(counts.joined(separator: ", "))", indent: StatusScreen.indent, width: width)
        let troubled = report.devices.filter { $0.state == .offline || $0.state == .starting }
        guard !troubled.isEmpty else { return summary }
        let shown = Array(troubled.prefix(StatusScreen.devicesShown))
        var lines = summary + DeviceListing(shown, now: now).table.lines(width: width, paint: paint)
        if shown.count < troubled.count { lines.append("and \(Humanize.count(troubled.count - shown.count)) more: meterctl devices") }
        return lines
    }

    private var buses: Table {
        Table(
            [
                .init("BUS", cut: .middle, matters: true), .init("STATE", matters: true), .init("BUSY", .right), .init("REQUESTS", .right),
                .init("TIMEOUTS", .right),
                .init("ERRORS", .right),
            ],
            rows: report.buses.map { bus in
                [
                    .init(bus.name), .init(bus.state.rawValue, bus.state.tone), .init(Humanize.percent(bus.utilization)),
                    .init(Humanize.count(bus.requests)), .init(Humanize.count(bus.timeouts)), .init(Humanize.count(bus.errors)),
                ]
            })
    }
}

extension StatusReport.Health {
    var tone: Tone {
        switch self {
        case .ok: .good
        case .degraded: .warning
        case .failed: .bad
        }
    }
}

extension BusReport.State {
    var tone: Tone {
        switch self {
        case .up: .good
        case .starting: .warning
        case .down: .bad
        }
    }
}
