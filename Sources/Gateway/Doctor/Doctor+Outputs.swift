import Fieldbus
import FoundationEssentials
import Glibc
import Host
import Metering
import NIOCore
import Uplink

/// The receivers: name, connection, TLS, an answer to a question that leaves no trace; and what the daemon, which knows them best, says.
extension Doctor {
    func check(_ output: Configuration.Output, eventLoops: any EventLoopGroup, time: any TimeSource) async -> DoctorCheck {
        switch output.target {
        case .http(let settings):
            let outcome = await UpstreamProbe.ask(settings, eventLoops: eventLoops, time: time)
            return told(output.name, Redaction.address(settings.url), outcome, openHand(output.name), now: time.wall())
        case .mqtt(let settings): return await check(settings, of: output, eventLoops: eventLoops, time: time)
        case .file(let settings):
            let folder = checkFolder(output.name, settings.directory)
            guard folder.verdict == .ok, let word = word(openHand(output.name), output.name, now: time.wall()) else { return folder }
            return joined(folder.text, word)
        }
    }

    /// A broker ends the older of two connections of one client id, and may let no other id in: where the daemon may hold a connection
    /// nobody logs in beside it.
    private func check(
        _ settings: MQTTSettings, of output: Configuration.Output, eventLoops: any EventLoopGroup, time: any TimeSource
    ) async -> DoctorCheck {
        let place = "\(settings.tls == nil ? "mqtt" : "mqtts")://\(settings.host):\(settings.port)"
        let hand = hand(output.name)
        if case .free = hand {
            let own = settings.named(Gateway.clientID(of: output.name, gateway: configuration.gateway.id))
            return told(output.name, place, await UpstreamProbe.logIn(own, time: time), hand, now: time.wall())
        }
        let outcome = await UpstreamProbe.reach(settings, eventLoops: eventLoops, time: time)
        return told(output.name, place, outcome, hand, now: time.wall())
    }

    // MARK: The daemon's hand

    /// What the daemon has to do with an output.
    private enum Hand {
        /// It runs, and this is how the output fares.
        case holds(OutputReport, since: Timestamp?)
        /// It runs and has no such output in force.
        case absent
        /// It does not run.
        case free
        /// Somebody holds the data directory and does not answer, or that cannot be seen.
        case unknown(String)
    }

    private func hand(_ name: String) -> Hand {
        guard case .answers(let status) = daemon else {
            let lock = configuration.gateway.dataDirectory + "/lock"
            if let holder = ExclusivePort.holder(ofPath: lock) { return .unknown("\(holder) holds the data directory and does not answer") }
            return errnoOf(lock) == EACCES ? .unknown("whether meterd runs cannot be seen without sudo") : .free
        }
        guard let report = status.outputs.first(where: { $0.name == name }) else { return .absent }
        let since = status.problems.first { $0.subject == name && $0.code.hasPrefix("output_") }?.since
        return .holds(report, since: since)
    }

    /// The same, for a receiver at which nobody logs in: what cannot be seen is no matter there.
    private func openHand(_ name: String) -> Hand {
        let hand = hand(name)
        if case .unknown = hand { return .free }
        return hand
    }

    private func errnoOf(_ path: String) -> Int32 {
        var facts = stat()
        return stat(path, &facts) == 0 ? 0 : errno
    }

    /// The daemon's word on an output; nil where it has none.
    private func word(_ hand: Hand, _ name: String, now: Timestamp) -> DoctorCheck? {
        switch hand {
        case .free: return nil
        case .unknown(let reason):
            return .warning(
                "output", about: name, "\(reason), so nobody logged in: the receiver ends the older of two connections",
                cure: "sudo meterctl doctor, once sudo meterctl status has an answer")
        case .absent:
            return .warning("output", about: name, "the running meterd does not have this output yet", cure: "meterctl reload")
        case .holds(let report, let since):
            if report.pausedByOperator {
                return .warning("output", about: name, "someone paused it", cure: "meterctl outputs \(name) resume")
            }
            switch report.state {
            case .delivering, .idle:
                guard let last = report.lastSuccess else {
                    return .ok("output", about: name, "meterd has handed nothing on to it since it started")
                }
                return .ok("output", about: name, "it took what meterd handed on \(Humanize.age(of: last, at: now)) ago")
            case .retrying, .paused, .blocked:
                let duration = since.map { " for \(Humanize.age(of: $0, at: now))" } ?? ""
                return .failure(
                    "output", about: name, "meterd cannot hand on to it\(duration): \(report.lastError ?? "no answer")",
                    cure: "meterctl outputs tells more; readings are kept meanwhile")
            }
        }
    }

    private func told(_ name: String, _ place: String, _ outcome: UpstreamProbe.Outcome, _ hand: Hand, now: Timestamp) -> DoctorCheck {
        switch outcome {
        case .answers(let words):
            guard let word = word(hand, name, now: now) else { return .ok("output", about: name, "\(place): \(words)") }
            return joined("\(place): \(words)", word)
        case .fails(let words):
            return .failure(
                "output", about: name, "\(place): \(words)",
                cure: "check url, network, firewall and certificates; readings are kept meanwhile")
        }
    }

    /// What was seen, and the daemon's word with its verdict.
    private func joined(_ text: String, _ word: DoctorCheck) -> DoctorCheck {
        var check = word
        check.text = "\(text); \(word.text)"
        return check
    }

    private func checkFolder(_ name: String, _ path: String) -> DoctorCheck {
        var facts = stat()
        guard stat(path, &facts) == 0, facts.st_mode & S_IFMT == S_IFDIR else {
            return .failure(
                "output", about: name, "\(path) is no directory", cure: "create it, writable for user \(user?.name ?? "meterd")")
        }
        if let user, !user.may(7, facts) {
            return .failure("output", about: name, "user \(user.name) may not write \(path)", cure: "sudo chown \(user.name): \(path)")
        }
        return writeRefusal("output", about: name, path)
            ?? .ok("output", about: name, "\(path) may be written by \(user?.name ?? "meterd")")
    }
}
