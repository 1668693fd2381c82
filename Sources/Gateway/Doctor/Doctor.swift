import Fieldbus
import Host
import Metering
import NIOCore
import Uplink

/// Looks at all that meterd stands on, and says what is wrong and how to mend it. It changes nothing, opens no serial port, asks no meter and
/// hands nothing on; the daemon need not run.
package struct Doctor: Sendable {
    /// Whether the daemon answers.
    package enum Daemon: Sendable {
        case answers(StatusReport)
        /// In a sentence with its cure.
        case silent(String)
    }

    /// What of the machine is looked at; tests put their own in its place.
    package struct Surroundings: Sendable {
        package var units: [String] = ServiceUnit.directories
        /// Whom the daemon runs as; nil: whom the unit names.
        package var user: DaemonUser?
        package var clock: ClockState
        /// What meterd-clock.service writes.
        package var clockFile = ClockStateFile()
        /// The kernel's table of serial drivers.
        package var serialDrivers = "/proc/tty/drivers"

        package init(clock: ClockState) { self.clock = clock }
    }

    /// What becomes of the daemon when a drop-in sets it: the promises of the packaged unit no longer hold by themselves.
    static let weightyKeys = [
        "ExecStart", "User", "Group", "Type", "WatchdogSec", "Restart", "ProtectSystem", "SystemCallFilter", "NoNewPrivileges",
        "DevicePolicy", "CapabilityBoundingSet", "PrivateDevices", "ProtectClock",
    ]

    let file: String
    let configuration: Configuration
    let problems: [Problem]
    let daemon: Daemon
    let surroundings: Surroundings
    let unit: ServiceUnit?
    /// Whom the daemon runs as. Where no unit says it, a daemon that runs has shown its rights, and else it is whoever asks.
    let user: DaemonUser?

    /// - Parameters:
    ///   - file: the config that the daemon is started with.
    ///   - examined: what was found in it; read from the file when that was not yet done.
    package init(
        file: String, daemon: Daemon, surroundings: Surroundings, examined: (configuration: Configuration, problems: [Problem])? = nil
    ) {
        self.file = file
        self.daemon = daemon
        self.surroundings = surroundings
        (configuration, problems) = examined ?? Configuration.examine(file: file)
        let unit = ServiceUnit("meterd.service", in: surroundings.units)
        self.unit = unit
        if let own = surroundings.user {
            user = own
        } else if let unit {
            user = DaemonUser.named(unit.value("User") ?? "root", and: unit.values("SupplementaryGroups"))
        } else {
            let isHeld = ExclusivePort.holder(ofPath: configuration.gateway.dataDirectory + "/lock") != nil
            user = isHeld ? nil : DaemonUser.current()
        }
    }

    /// Every check, in the order of a reading's way. Receivers are asked all at once.
    package func examine(eventLoops: any EventLoopGroup, time: any TimeSource) async -> DoctorReport {
        var checks = [checkConfiguration] + checkService + checkDaemon + checkSocket + checkClock
        checks += checkProfiles + checkDataDirectory + configuration.buses.map(check)
        let outputs = configuration.outputs
        let answers = await withTaskGroup(of: (Int, DoctorCheck).self) { group in
            for (index, output) in outputs.enumerated() {
                group.addTask { (index, await check(output, eventLoops: eventLoops, time: time)) }
            }
            return await group.reduce(into: [(Int, DoctorCheck)]()) { $0.append($1) }
        }
        return DoctorReport(checks: checks + answers.sorted { $0.0 < $1.0 }.map(\.1))
    }

    private var checkConfiguration: DoctorCheck {
        guard let first = problems.first else {
            let counts = ConfigurationVerdict(
                file: file, buses: configuration.buses.count, devices: configuration.devices.count, outputs: configuration.outputs.count)
            if configuration.devices.isEmpty {
                return .warning("config", "\(file) is valid and names no device", cure: "add a [[bus]] and a [[device]]: docs/operating.md")
            }
            return .ok("config", counts.summary)
        }
        let more = problems.count > 1 ? " (and \(problems.count - 1) more)" : ""
        return .failure("config", "\(first)\(more)", cure: "mend it; sudo meterctl config check \(file) lists every problem")
    }

    // MARK: The service

    private var checkService: [DoctorCheck] {
        guard let unit else {
            return [
                .warning(
                    "service", "systemd has no meterd.service, so nothing starts meterd with the machine",
                    cure: "install the package, or run deploy/install")
            ]
        }
        if unit.isMasked {
            return [.failure("service", "\(unit.file) is masked: systemd will not start meterd", cure: "sudo systemctl unmask meterd")]
        }
        var checks: [DoctorCheck] = []
        let keys = unit.overridden
        let weighty = keys.filter { Doctor.weightyKeys.contains($0) || $0.hasPrefix("Exec") }
        if !weighty.isEmpty {
            checks.append(
                .warning(
                    "service", "\(unit.dropIns.joined(separator: ", ")) overrides \(weighty.joined(separator: ", ")) of the packaged unit",
                    cure: "see that it is meant: systemctl cat meterd; sudo systemctl revert meterd takes it back"))
        } else {
            let overrides =
                keys.isEmpty ? "without overrides" : "with \(keys.joined(separator: ", ")) from \(unit.dropIns.joined(separator: ", "))"
            checks.append(.ok("service", "\(unit.file), \(overrides)"))
        }
        if !unit.isEnabled {
            checks.append(.warning("service", "meterd does not start with the machine", cure: "sudo systemctl enable meterd"))
        }
        if user == nil {
            let name = unit.value("User") ?? "root"
            checks.append(
                .failure(
                    "service", "the unit runs meterd as \(name), and there is no such user",
                    cure: "sudo systemd-sysusers, or install the package again"))
        }
        return checks + checkNeeds
    }

    private var checkDaemon: [DoctorCheck] {
        switch daemon {
        case .silent(let text):
            return [.failure("daemon", "it does not answer", cure: text)]
        case .answers(let status):
            var checks: [DoctorCheck] = []
            if status.version != Gateway.version {
                checks.append(
                    .warning(
                        "daemon", "it is version \(status.version), this program is \(Gateway.version)",
                        cure: "sudo systemctl restart meterd"))
            }
            let problems = Humanize.count(status.problems.count, "problem")
            switch status.health {
            case .ok: checks.append(.ok("daemon", "it runs and its health is ok"))
            case .degraded:
                checks.append(.warning("daemon", "it runs and its health is degraded, with \(problems)", cure: "meterctl status"))
            case .failed: checks.append(.failure("daemon", "it runs and its health is failed, with \(problems)", cure: "meterctl status"))
            }
            return checks
        }
    }

    private var checkProfiles: [DoctorCheck] {
        var library = ProfileLibrary(path: configuration.gateway.profilePath)
        guard !library.names.isEmpty else {
            return [
                .failure(
                    "profiles", "there is no profile in \(library.path.joined(separator: ", "))",
                    cure: "install the package again, or mend [gateway] profile_path")
            ]
        }
        let names = library.names
        let log = TomlReader.ProblemLog()
        let faulty = names.filter { name in if case .faulty = library.profile(name, log: log) { true } else { false } }
        if let first = log.sorted.first {
            return [
                .warning(
                    "profiles", "\(faulty.count) of \(names.count) profiles cannot be used; \(first)",
                    cure: "mend or remove them: docs/device-profiles.md")
            ]
        }
        return [.ok("profiles", "\(Humanize.count(names.count, "profile")) in \(library.path.joined(separator: ", "))")]
    }
}
