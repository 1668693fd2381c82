/// What `meterctl identify` and `meterctl scan` show of the units of a bus.
package struct IdentifyListing: Sendable {
    private let findings: [IdentifyReport]

    package init(_ findings: [IdentifyReport]) { self.findings = findings }

    package var table: Table {
        Table(
            [
                .init("BUS", cut: .middle, matters: true), .init("UNIT", .right, matters: true), .init("DEVICE", cut: .middle),
                .init("PROFILES THAT FIT", cut: .end, matters: true), .init("SUNSPEC", cut: .end),
            ],
            rows: findings.map { finding in
                [
                    Table.Cell(finding.bus), Table.Cell(String(finding.unit)), Table.Cell(finding.device ?? "-"),
                    Table.Cell(finding.profileNames), Table.Cell(finding.sunSpecText),
                ]
            })
    }
}

extension IdentifyReport {
    /// `roof:3 (main): profiles kaco-blueplanet; SunSpec metersim Roof 30k (models 1 103 at 40000)`
    package var line: String {
        let sunSpecPart = sunSpec == nil ? "" : "; SunSpec \(sunSpecText)"
        return "\(bus):\(unit)\(device.map { " (\($0))" } ?? ""): profiles \(profileNames)\(sunSpecPart)"
    }

    fileprivate var profileNames: String {
        profiles.isEmpty ? "none that can be told" : profiles.map(\.profile).joined(separator: ", ")
    }

    /// `metersim Roof 30k, serial SIM-1 (models 1 103 at 40000)`
    fileprivate var sunSpecText: String {
        guard let sunSpec else { return "-" }
        let who = [sunSpec.manufacturer, sunSpec.model].compactMap { $0 }.joined(separator: " ")
        let serial = sunSpec.serial.map { ", serial \($0)" } ?? ""
        let models = sunSpec.models.map(String.init).joined(separator: " ")
        let unknown = (sunSpec.unknown ?? []).map { "\($0.model)" }.joined(separator: " ")
        let skipped = unknown.isEmpty ? "" : "; not known here and skipped: \(unknown)"
        return "\(who)\(serial) (models \(models) at \(sunSpec.base)\(skipped))"
    }
}

/// `/v1/identify` of many units, as `meterctl scan --json` prints it.
package struct ScanReport: Sendable, JSONValue {
    package var bus: String
    package var first: Int
    package var last: Int
    /// The last unit that was asked; less than `last` when the scan was interrupted.
    package var reached: Int
    package var found: [IdentifyReport]

    package init(bus: String, first: Int, last: Int, reached: Int, found: [IdentifyReport]) {
        self.bus = bus
        self.first = first
        self.last = last
        self.reached = reached
        self.found = found
    }

    private enum CodingKeys: String, CodingKey { case bus, first, last, reached, found }

    package func write(to json: inout JSONWriter) {
        json.object {
            $0.field(CodingKeys.bus, bus)
            $0.field(CodingKeys.first, first)
            $0.field(CodingKeys.last, last)
            $0.field(CodingKeys.reached, reached)
            $0.field(CodingKeys.found, found)
        }
    }
}
