import Host
import Metering

/// The kernel's clock, and whether the daemon gets to know of it.
extension Doctor {
    var checkClock: [DoctorCheck] { [checkKernelClock] + checkCompanion }

    private var checkKernelClock: DoctorCheck {
        if case .nobody = surroundings.clock.source {
            return .warning(
                "clock", "nobody here may ask the kernel whether the clock is synchronised", cure: "allow adjtimex in this container")
        }
        guard surroundings.clock.quality == .synchronized else {
            return .warning(
                "clock", "the kernel does not hold the clock synchronised, so readings are marked",
                cure: "run a time service: timedatectl set-ntp true, and see timedatectl timesync-status")
        }
        return .ok("clock", "synchronised, its error is at most \(surroundings.clock.maxErrorMilliseconds) ms")
    }

    /// The packaged unit forbids the question to the daemon; then it stands on what meterd-clock.service writes.
    private var checkCompanion: [DoctorCheck] {
        guard let unit, ["yes", "true", "on", "1"].contains(unit.value("ProtectClock")) else { return [] }
        let subject = "meterd-clock"
        func missing(_ text: String, cure: String) -> [DoctorCheck] {
            [.warning("clock", about: subject, "\(text), so the daemon does not know whether the clock is right", cure: cure)]
        }
        guard let companion = ServiceUnit("meterd-clock.service", in: surroundings.units) else {
            return missing("systemd has no meterd-clock.service", cure: "install the package again, or run deploy/install")
        }
        if companion.isMasked {
            return missing(
                "\(companion.file) is masked", cure: "sudo systemctl unmask meterd-clock && sudo systemctl start meterd-clock")
        }
        // It runs as long as the daemon does.
        guard case .answers(let status) = daemon else { return [] }
        do throws(ClockStateFile.Fault) {
            _ = try surroundings.clockFile.read { SystemTime().uptime() }
        } catch {
            return missing(
                "meterd-clock.service is not running: \(surroundings.clockFile.path) \(error)", cure: ProblemFacts.companionCure)
        }
        if status.clock.source == .nobody {
            return missing(
                "the daemon does not read \(surroundings.clockFile.path)",
                cure: "sudo systemctl restart meterd, and see systemctl cat meterd")
        }
        return [.ok("clock", about: subject, "it tells the daemon what the kernel says")]
    }
}
