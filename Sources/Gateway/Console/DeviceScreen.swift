import Metering

/// `meterctl devices NAME`: how a device fares, how it is asked, what it does not give, and its points.
package struct DeviceScreen: Sendable {
    let report: DeviceDetailReport
    let now: Timestamp

    package init(_ report: DeviceDetailReport, now: Timestamp) {
        self.report = report
        self.now = now
    }

    package func lines(width: Int?, paint: Paint) -> [String] {
        var lines = DeviceListing([report.device], now: now).table.lines(width: width, paint: paint)
        let identity = self.identity
        if !identity.isEmpty { lines += [""] + Folding.fold("identity  \(identity)", indent: 10, width: width) }
        if let plan = report.plan {
            lines +=
                (identity.isEmpty ? [""] : [])
                + [periods(plan), timing(plan)].flatMap { Folding.fold($0, indent: 10, width: width) }
            if !plan.requests.isEmpty { lines += [""] + requests(plan).lines(width: width, paint: paint) }
            let learned = self.learned(plan)
            if !learned.isEmpty { lines += [""] + learned.flatMap { Folding.wrap($0, width: width) } }
        } else {
            lines += ["", "its bus has not begun"]
        }
        if !report.points.isEmpty { lines += [""] + points.lines(width: width, paint: paint) }
        return lines
    }

    /// Texts that say who the device is.
    private var identity: String {
        report.points.compactMap { point in
            guard point.quantity.hasPrefix("device_"), case .text(let text) = point.value else { return nil }
            return "\(point.quantity.dropFirst("device_".count)) \(text.withoutControls)"
        }.joined(separator: ", ")
    }

    private func periods(_ plan: DevicePlanReport) -> String {
        func text(_ milliseconds: Int?) -> String { milliseconds.map { Measures.text(.milliseconds(Int64($0))) } ?? "off" }
        return "periods   live \(text(plan.liveMilliseconds)), slow \(text(plan.slowMilliseconds))"
    }

    private func timing(_ plan: DevicePlanReport) -> String {
        let (answers, wait) = (Humanize.milliseconds(plan.responseMilliseconds), Humanize.milliseconds(plan.timeoutMilliseconds))
        return "timing    answers in \(answers), waited for \(wait)"
    }

    private func requests(_ plan: DevicePlanReport) -> Table {
        Table(
            [
                .init("CLASS", matters: true), .init("TABLE"), .init("ADDRESS", .right, matters: true), .init("COUNT", .right),
                .init("POINTS", cut: .end, matters: true),
            ],
            rows: plan.requests.map { request in
                [
                    .init(request.pointClass), .init(request.table), .init(String(request.address)), .init(String(request.count)),
                    .init(request.points.joined(separator: " ")),
                ]
            })
    }

    private func learned(_ plan: DevicePlanReport) -> [String] {
        var lines = plan.excluded.map { block in
            let why = block.reason == .refused ? "refused (exception 2)" : "left unanswered"
            let what = block.points.isEmpty ? "" : ": \(block.points.joined(separator: ", "))"
            let when = block.retrySeconds > 0 ? "in \(Humanize.span(.seconds(block.retrySeconds)))" : "next"
            return "learned: \(block.table) \(block.address) to \(block.address + block.count - 1) is \(why), asked again \(when)\(what)"
        }
        if !plan.splits.isEmpty {
            let places = plan.splits.map { "\($0.table) \($0.address)" }.joined(separator: ", ")
            lines.append("learned: no request reaches across \(places)")
        }
        if plan.separatesClasses { lines.append("learned: each class is asked for by itself, since a shared request was not answered") }
        if !plan.unreadable.isEmpty {
            lines.append("cannot be read within the profile's own limits: \(plan.unreadable.joined(separator: ", "))")
        }
        return lines
    }

    private var points: Table {
        Table(
            [
                .init("QUANTITY", cut: .middle, matters: true), .init("VALUE", .right, cut: .end, matters: true), .init("UNIT"),
                .init("AGE", .right), .init("QUALITY", cut: .end),
            ],
            rows: report.points.map { point in
                [
                    .init(point.quantity), .init(point.valueText), .init(point.unit), .init(Humanize.age(of: point.time, at: now)),
                    .init(point.qualityText, point.quality == .good ? .good : point.value == nil ? .bad : .warning),
                ]
            })
    }
}
