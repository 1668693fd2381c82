import FoundationEssentials
import Glibc
import Host
import Metering
import NIOCore
import Uplink

/// The receivers: name, connection, TLS, an answer to a question that leaves no trace.
extension Doctor {
    func check(_ output: Configuration.Output, eventLoops: any EventLoopGroup, time: any TimeSource) async -> DoctorCheck {
        switch output.target {
        case .http(let settings):
            let place = Redaction.urls(settings.url)
            return told(output.name, place, await UpstreamProbe.ask(settings, eventLoops: eventLoops, time: time))
        case .mqtt(let settings):
            let place = "\(settings.tls == nil ? "mqtt" : "mqtts")://\(settings.host):\(settings.port)"
            return told(output.name, place, await UpstreamProbe.ask(settings, time: time))
        case .file(let settings):
            return checkFolder(output.name, settings.directory)
        }
    }

    private func told(_ name: String, _ place: String, _ outcome: UpstreamProbe.Outcome) -> DoctorCheck {
        switch outcome {
        case .answers(let words): return .ok("output", about: name, "\(place): \(words)")
        case .fails(let words):
            return .failure(
                "output", about: name, "\(place): \(words)",
                cure: "check url, network, firewall and certificates; readings are kept meanwhile")
        }
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
        return .ok("output", about: name, "\(path) can be written")
    }
}
