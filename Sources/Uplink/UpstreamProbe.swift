import AsyncHTTPClient
import Host
import Metering
import NIOCore
import NIOHTTP1

/// Asks a receiver whether it is there, in a way that leaves no trace in its data: over HTTP a HEAD without token and body, over MQTT
/// a login that publishes nothing and says goodbye, or the connection and its TLS alone.
package enum UpstreamProbe {
    package enum Outcome: Hashable, Sendable {
        /// It answers; the words say what.
        case answers(String)
        /// Which of name, connection, TLS, answer failed, in a sentence.
        case fails(String)
    }

    /// The whole question may take so long.
    package static let bound: Duration = .seconds(10)

    /// Every answer is a good one: what only takes POST says 405, what wants a token 401.
    package static func ask(_ settings: HTTPUpstream.Settings, eventLoops: any EventLoopGroup, time: any TimeSource) async -> Outcome {
        var configuration = HTTPUpstream.clientConfiguration
        configuration.timeout.connect = .seconds(5)
        let client: HTTPClient
        do throws(HTTPLink.Failure) {
            client =
                try settings.link?.client(like: configuration, on: eventLoops)
                ?? HTTPClient(eventLoopGroup: eventLoops, configuration: configuration)
        } catch {
            return .fails("\(error)")
        }
        let outcome = await within(bound, time) {
            var request = HTTPClientRequest(url: settings.url)
            request.method = .HEAD
            request.headers.add(name: "User-Agent", value: "meterctl-doctor/\(settings.version)")
            do {
                let response = try await client.execute(request, timeout: .nanoseconds(bound.nanoseconds))
                let way = settings.url.lowercased().hasPrefix("https:") ? "TLS is good and it" : "it"
                return .answers("\(way) answers HEAD with \(response.status.code)")
            } catch {
                return .fails(TransportFault.sentence(error, timeout: bound))
            }
        }
        try? await client.shutdown()
        return outcome
    }

    /// Logs in as the output does, with its client id: brokers let in by it. So it must not be asked while a daemon may hold a
    /// connection of that id, which the broker would end; `reach` is for that.
    package static func logIn(_ settings: MQTTSettings, time: any TimeSource) async -> Outcome {
        let line = MQTTLine(name: "doctor")
        let session: MQTTSession
        do throws(MQTTFault) {
            session = try MQTTSession(settings, will: nil, now: time.wall())
        } catch {
            return .fails(error.words)
        }
        let outcome = await within(bound, time) {
            await line.open(session)
            do {
                try await session.opened()
                return .answers("\(settings.tls == nil ? "" : "TLS is good and ")the broker lets us in as \(settings.clientID)")
            } catch {
                return .fails((error as? MQTTFault)?.words ?? "the connection failed")
            }
        } late: {
            session.abandon(.unavailable("no answer"))
        }
        await line.close(session)
        return outcome
    }

    static func within(
        _ bound: Duration, _ time: any TimeSource, _ body: @escaping @Sendable () async -> Outcome,
        late: @escaping @Sendable () -> Void = {}
    ) async -> Outcome {
        await withTaskGroup(of: Outcome?.self) { group in
            group.addTask { await body() }
            group.addTask {
                try? await time.sleep(until: time.uptime() + bound)
                return nil
            }
            defer { group.cancelAll() }
            if let first = await group.next(), let outcome = first { return outcome }
            late()
            return .fails(TransportFault.noAnswer(bound))
        }
    }
}
