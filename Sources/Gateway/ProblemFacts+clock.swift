import Host
import Metering

extension ProblemFacts {
    /// How to mend a companion that does not tell of the clock. It is part of the service and starts with it.
    static let companionCure = "sudo systemctl start meterd-clock; sudo journalctl -u meterd-clock says why it stopped"

    var clockProblems: [Problem] { clock.problem.map { [Problem(report: $0, severity: .heals)] } ?? [] }
}

extension ClockState {
    /// What is wrong with the clock, or with knowing of it; nil when it is right.
    package var problem: ProblemReport? {
        if case .nobody(let file, let fault) = source {
            let text =
                "the daemon may not ask the kernel for its clock, and \(file.path) \(fault): meterd-clock.service is not running; readings are "
                + "marked as not synchronised; \(ProblemFacts.companionCure)"
            return ProblemReport(code: "clock_unknown", subject: "clock", since: ProblemFacts.unknownSince, text: text)
        }
        if quality == .synchronized { return nil }
        let text = "the kernel does not call the clock synchronised; readings are marked so, check that a time service runs"
        return ProblemReport(code: "clock_unsynchronized", subject: "clock", since: ProblemFacts.unknownSince, text: text)
    }
}
