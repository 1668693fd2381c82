import Metering

/// What one unit of a bus is, found out by reading: whether it answers at all, whether it speaks SunSpec, and which profiles fit.
package struct DeviceFinding: Hashable, Sendable {
    /// The answer to the first request; an exception is an answer too.
    package var firstFault: ReadFault?
    package var isPresent: Bool
    package var sunSpecBase: UInt16?
    package var sunSpecModels: [SunSpecWalk.Model] = []
    /// Those of the models that nothing here knows; `profile = "sunspec"` steps over them.
    package var sunSpecUnknown: [SunSpecWalk.Model] = []
    package var sunSpecIdentity: SunSpecIdentity?
    /// The profiles whose every check holds, the one with the most checks first.
    package var fitting: [Profile] = []
    /// Their names.
    package var profiles: [String] { fitting.map(\.name) }
    package var requests = 0
    package var time: Timestamp
}

/// Finds out what a unit is.
package struct DeviceSearch {
    /// The first question: the register that most devices have, or refuse with an exception, which tells as much.
    static let presence = Block(.holding, 0, count: 1)

    private let profiles: () -> [Profile]
    private let bases: [UInt16]
    private let ask: (Block) async throws(GuestError) -> Visit

    /// - Parameters:
    ///   - profiles: those with identity checks take part. Looked up once the unit has answered: most units of a scan do not.
    ///   - bases: where a SunSpec map may begin.
    package init(
        profiles: @autoclosure @escaping () -> [Profile], bases: [UInt16] = SunSpecWalk.bases,
        ask: @escaping (Block) async throws(GuestError) -> Visit
    ) {
        self.profiles = profiles
        self.bases = bases
        self.ask = ask
    }

    package func run() async throws(GuestError) -> DeviceFinding {
        let first = try await ask(DeviceSearch.presence)
        var finding = DeviceFinding(isPresent: false, requests: first.requests, time: first.time)
        if case .fault(let fault) = first.answers.first?.outcome { finding.firstFault = fault }
        finding.isPresent = DeviceSearch.isPresent(finding.firstFault)
        guard finding.isPresent else { return finding }
        try await walk(&finding)
        try await match(&finding)
        return finding
    }

    /// Exceptions 10 and 11 come from a gateway and say that nobody is behind it.
    static func isPresent(_ fault: ReadFault?) -> Bool {
        switch fault {
        case nil: true
        case .exception(let code): code != 10 && code != 11
        case .timeout, .garbled, .noConnection: false
        }
    }

    private func walk(_ finding: inout DeviceFinding) async throws(GuestError) {
        var walk = SunSpecWalk(bases: bases)
        while let block = walk.next { walk.take(try await outcome(block, &finding)) }
        finding.sunSpecBase = walk.base
        finding.sunSpecModels = walk.models
        finding.sunSpecUnknown = walk.base.map { SunSpecChain(base: $0, models: walk.models).unknown } ?? []
        guard let common = walk.models.first, let block = SunSpecIdentity.block(of: common) else { return }
        if case .words(let words) = try await outcome(block, &finding) { finding.sunSpecIdentity = SunSpecIdentity(words) }
    }

    /// Each block is asked once, whoever needs it; a profile whose one check failed is asked no further.
    private func match(_ finding: inout DeviceFinding) async throws(GuestError) {
        var known: [Block: BlockAnswer] = [:]
        var fitting: [Profile] = []
        for profile in profiles() where !profile.identity.isEmpty {
            var answers: [BlockAnswer] = []
            for check in profile.identity {
                if known[check.block] == nil {
                    known[check.block] = BlockAnswer(block: check.block, outcome: try await outcome(check.block, &finding))
                }
                guard let answer = known[check.block], case .words(let words) = answer.outcome, check.matches(words) else { break }
                answers.append(answer)
            }
            if answers.count == profile.identity.count, profile.identifies(answers) { fitting.append(profile) }
        }
        finding.fitting = fitting.sorted { ($1.identity.count, $0.name) < ($0.identity.count, $1.name) }
    }

    private func outcome(_ block: Block, _ finding: inout DeviceFinding) async throws(GuestError) -> BlockAnswer.Outcome {
        let visit = try await ask(block)
        finding.requests += visit.requests
        finding.time = visit.time
        return visit.answers.first?.outcome ?? .fault(.timeout)
    }
}
