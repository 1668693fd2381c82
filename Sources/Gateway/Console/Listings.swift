import Metering

/// `meterctl devices`: a row for each device.
package struct DeviceListing: Sendable {
    let devices: [DeviceReport]
    let now: Timestamp

    package init(_ devices: [DeviceReport], now: Timestamp) {
        self.devices = devices
        self.now = now
    }

    package var table: Table {
        Table(
            [
                .init("DEVICE", cut: .middle, matters: true), .init("STATE", matters: true), .init("BUS", cut: .middle),
                .init("UNIT", .right), .init("PROFILE", cut: .end), .init("LAST POLL", .right), .init("OK", .right),
                .init("FAILED", .right), .init("SKIPPED", .right),
            ],
            rows: devices.map { device in
                [
                    .init(device.name), .init(device.state.rawValue, device.state.tone), .init(device.bus), .init(String(device.unit)),
                    .init(device.profile), .init(Humanize.age(of: device.lastPoll, at: now)), .init(Humanize.count(device.pollsOK)),
                    .init(Humanize.count(device.pollsFailed)), .init(Humanize.count(device.pollsSkipped)),
                ]
            })
    }
}

/// `meterctl outputs`: a row for each output, and below it why an output is stuck.
package struct OutputListing: Sendable {
    let outputs: [OutputReport]
    let now: Timestamp

    package init(_ outputs: [OutputReport], now: Timestamp) {
        self.outputs = outputs
        self.now = now
    }

    package var table: Table {
        Table(
            [
                .init("OUTPUT", cut: .middle, matters: true), .init("TYPE"), .init("STATE", matters: true),
                .init("BACKLOG", .right, matters: true), .init("ACCEPTED", .right), .init("REJECTED", .right), .init("DEAD", .right),
                .init("LAST SUCCESS", .right),
            ],
            rows: outputs.map { output in
                [
                    .init(output.name), .init(output.type), .init(output.state.rawValue, output.state.tone),
                    .init(Humanize.count(output.backlogPolls)), .init(Humanize.count(output.acceptedPolls)),
                    .init(Humanize.count(output.rejectedPolls)), .init(Humanize.count(output.deadLetters)),
                    .init(Humanize.age(of: output.lastSuccess, at: now)),
                ]
            })
    }

    /// The table, then what more there is to say of each output: its last error, a backlog that follows beside what is new.
    package func lines(width: Int?, paint: Paint) -> [String] {
        let notes = outputs.flatMap { output -> [String] in
            var notes: [String] = []
            if output.historicalPolls > 0 {
                notes.append("new polls go first; of the backlog \(Humanize.count(output.historicalPolls)) follow beside them")
            }
            if let error = output.lastError { notes.append(error) }
            return notes.flatMap { Folding.wrap("\(output.name): \($0)", width: width) }
        }
        return table.lines(width: width, paint: paint) + (notes.isEmpty ? [] : [""] + notes)
    }
}

/// `meterctl readings`: a row for each point.
package struct ReadingListing: Sendable {
    let report: ReadingsReport

    package init(_ report: ReadingsReport) { self.report = report }

    package var table: Table {
        Table(
            [
                .init("DEVICE", cut: .middle, matters: true), .init("QUANTITY", cut: .middle, matters: true),
                .init("VALUE", .right, cut: .end, matters: true), .init("UNIT"), .init("AGE", .right), .init("QUALITY", cut: .end),
            ],
            rows: report.readings.flatMap { device in
                device.points.map { point in
                    [
                        .init(device.device), .init(point.quantity), .init(point.valueText), .init(point.unit),
                        .init(Humanize.age(of: point.time, at: report.time)),
                        .init(point.qualityText, point.quality == .good ? .good : point.value == nil ? .bad : .warning),
                    ]
                }
            })
    }

    /// One line for each point that is newer than in the report before, for logs and pipes:
    /// `2026-11-24T06:00:00.000Z main power_active 398.1 W good`. A value or unit that is missing is `-`.
    package func news(since before: ReadingsReport?) -> [String] {
        var known: [String: Timestamp] = [:]
        for device in before?.readings ?? [] {
            for point in device.points { known["\(device.device)/\(point.quantity)"] = point.time }
        }
        return report.readings.flatMap { device in
            device.points.compactMap { point in
                guard known["\(device.device)/\(point.quantity)"] != point.time else { return nil }
                let unit = point.unit.isEmpty ? "-" : point.unit
                let value = point.valueText.withoutControls
                return "\(point.time.rfc3339) \(device.device) \(point.quantity) \(value) \(unit) \(point.qualityText)"
            }
        }
    }
}

extension PointReport {
    /// The exact digits; `-` without a value.
    var valueText: String {
        switch value {
        case .number(let number): number.description
        case .text(let text): text
        case nil: "-"
        }
    }

    /// `good`, or the names of what is wrong: `NO_COMM,TIME_UNSYNC`.
    var qualityText: String { quality == .good ? "good" : quality.names.joined(separator: ",") }
}

extension DeviceReport.State {
    var tone: Tone {
        switch self {
        case .online: .good
        case .starting: .warning
        case .offline: .bad
        case .disabled: .faint
        }
    }
}

extension OutputReport.State {
    var tone: Tone {
        switch self {
        case .delivering, .idle: .good
        case .retrying, .paused: .warning
        case .blocked: .bad
        }
    }
}
