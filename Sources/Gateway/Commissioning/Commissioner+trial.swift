import Fieldbus
import Metering

extension Commissioner {
    /// Reads every point of a profile from a device, as its polls would, and says of each what came.
    ///
    /// - Parameter name: of a profile of the library; nil for the one that a configured device has.
    package func trial(_ target: BusTarget, profile name: String?) async throws(CommissioningError) -> TrialReport {
        let (bus, unit) = try place(of: target)
        let device = bus.devices.first { $0.unit == unit }
        let profile = try profile(name, of: device, at: "\(bus.description.name):\(unit)")
        var answers: [BlockAnswer] = []
        var plan = ReadPlan(profile: profile, cost: BusCost(of: bus.description.address))
        for block in plan.blocks(for: Set(PointClass.allCases)) { answers.append(try await answer(block, bus, unit)) }
        // What a request with other points in it does not bring may come alone.
        for point in profile.points {
            let run = Block(point.block.table, UInt16(point.run.lowerBound), count: UInt16(point.run.count))
            guard let index = answers.firstIndex(where: { $0.block.covers(run) }), case .fault(.exception) = answers[index].outcome,
                answers[index].block != run
            else { continue }
            answers.insert(try await answer(run, bus, unit), at: 0)
        }
        let readings = ReadingDecoder(profile: profile).decode(answers)
        return TrialReport(
            bus: bus.description.name, unit: Int(unit), device: device?.name, profile: profile.name,
            points: profile.points.enumerated().map { index, point in
                Commissioner.verdict(point, readings.first { $0.point == index }, answers)
            })
    }

    private func answer(_ block: Block, _ bus: Bus, _ unit: UInt8) async throws(CommissioningError) -> BlockAnswer {
        do {
            return try await bus.ask(block, unit: unit).answers.first ?? BlockAnswer(block: block, outcome: .fault(.timeout))
        } catch {
            throw CommissioningError(error)
        }
    }

    private func profile(_ name: String?, of device: DeviceDescription?, at place: String) throws(CommissioningError) -> Profile {
        guard let name else {
            guard let device else { throw .refused(code: "no_profile", "no device is configured at \(place); name a profile to try") }
            if device.profile.points.isEmpty {
                throw .unavailable("\(device.name) was not heard yet, so that its map is not known")
            }
            return device.profile
        }
        var library = ProfileLibrary(path: configuration.gateway.profilePath)
        let log = TomlReader.ProblemLog()
        switch library.profile(name, log: log) {
        case .found(let profile, _): return profile
        case .missing(let names):
            throw .refused(code: "unknown_profile", "the daemon knows no profile \"\(name)\"\(Spelling.hint(name, among: names))")
        case .faulty:
            throw .refused(code: "faulty_profile", log.sorted.first?.description ?? "profile \"\(name)\" is not valid")
        }
    }

    private static func verdict(_ point: PointDefinition, _ reading: Reading?, _ answers: [BlockAnswer]) -> TrialReport.Point {
        var report = TrialReport.Point(
            quantity: point.quantity.id, unit: point.quantity.unit, kind: point.block.table.name, address: Int(point.block.address),
            words: nil, value: reading?.value, verdict: .failed, reason: nil)
        guard let answer = answers.first(where: { $0.block.covers(point.block) }) else {
            report.reason = "no request within the profile's limits can hold it"
            return report
        }
        switch answer.outcome {
        case .fault(let fault):
            report.reason = FaultReport(fault).text
        case .words(let words):
            let start = Int(point.block.address) - Int(answer.block.address)
            guard words.count >= start + Int(point.block.count) else { break }
            let own = Array(words[start..<start + Int(point.block.count)])
            report.words = own
            switch reading?.value {
            case .number(let number):
                report.reason = Plausibility.objection(to: number, of: point.quantity)
                report.verdict = report.reason == nil ? .plausible : .implausible
            case .text: report.verdict = .plausible
            case nil:
                let isAbsent = point.saysAbsent(own)
                report.verdict = isAbsent ? .absent : .failed
                report.reason = isAbsent ? nil : "the words are no value of this type, or a register beside it gives none"
            }
        }
        return report
    }
}

extension PointDefinition {
    /// True when its own words say that the device does not have it: a sentinel, not a number, no text.
    fileprivate func saysAbsent(_ words: [UInt16]) -> Bool {
        if encoding == .string { return words.allSatisfy { $0 == 0 || $0 == 0x2020 || $0 == 0xFFFF } }
        guard parts.isEmpty else { return false }
        let pattern = order.pattern(words[...])
        return absent.contains(pattern) || encoding.number(pattern) == nil
    }
}
