import HTTPTypes
import Host
import Hummingbird
import Metering
import Uplink

/// Where the local API is asked, and by whom.
package enum LocalAPIDoor: Sendable {
    /// Who may open the socket may do all.
    case unix(path: String, group: String?)
    /// With a token callers may do all; without one, on this machine only, they may look at what is in the lists.
    case tcp(ListenAddress, token: TokenFile?)

    /// What callers over TCP may look at without a token. What is not named here needs one.
    static let openRoutes: Set = ["/v1/status", "/v1/devices", "/v1/outputs", "/v1/readings", "/v1/buses", "/v1/device", "/metrics"]

    var name: String {
        switch self {
        case .unix(let path, _): path
        case .tcp(let address, _): address.text
        }
    }

    /// Nil for a request that may go on, else its answer.
    func refusal(_ request: Request) -> LocalAPI.Answer? {
        switch self {
        case .unix: return nil
        case .tcp(_, let token?): return LocalAPIDoor.refusal(request.headers[.authorization], token)
        case .tcp(_, nil):
            // A web page that has its own name lead to this machine must not read what a browser here could.
            guard LocalAPIDoor.isThisMachine(request.head.authority ?? "") else {
                return .failure(403, "host_not_allowed", "without a token only requests to 127.0.0.1, [::1] or localhost are answered")
            }
            let (path, method) = (request.uri.path, LocalAPI.method(of: request))
            if LocalAPIDoor.openRoutes.contains(path), method == "GET" { return nil }
            // What nobody is answered is no secret, and no token would help.
            return LocalAPI.refusal(method: method, path: path)
                ?? .failure(403, "only_local", "\(path) is answered on the Unix socket, and over TCP with a token: set [api] token_file")
        }
    }

    private static func refusal(_ header: String?, _ file: TokenFile) -> LocalAPI.Answer? {
        let token: String
        // Read each time, so a changed one counts at once.
        do throws(TokenFile.Failure) { token = try file.read() } catch {
            return .failure(503, "unavailable", "meterd has no token to compare with; sudo -u meterd meterctl config check says why")
        }
        let scheme = "bearer "
        guard let header, header.lowercased().hasPrefix(scheme) else {
            return .failure(401, "unauthorized", "this needs a token: Authorization: Bearer ..., or meterctl --token-file FILE")
        }
        guard matches(header.dropFirst(scheme.count).utf8, Array(token.utf8)) else {
            return .failure(401, "unauthorized", "the token is not the one in the file that [api] token_file names")
        }
        return nil
    }

    /// Compares in a time that depends on what was given alone, not on how much of it is right: every byte is looked at.
    package static func matches(_ given: some Collection<UInt8>, _ secret: [UInt8]) -> Bool {
        guard !secret.isEmpty else { return false }
        var difference = UInt(bitPattern: given.count ^ secret.count)
        for (index, byte) in given.enumerated() { difference |= UInt(byte ^ secret[index % secret.count]) }
        return difference == 0
    }

    /// `127.0.0.1:8471`, `[::1]`, `localhost:80`.
    static func isThisMachine(_ authority: String) -> Bool {
        var host = authority[...]
        if host.hasPrefix("[") {
            host = host.dropFirst().prefix { $0 != "]" }
        } else {
            host = host.prefix { $0 != ":" }
        }
        return host.lowercased() == "localhost" || ListenAddress("\(host.contains(":") ? "[\(host)]" : "\(host)"):1")?.isLoopback == true
    }
}

extension LocalAPI {
    /// Of HEAD too, which is answered as GET, without the body.
    static func method(of request: Request) -> String { request.method == .head ? "GET" : request.method.rawValue }
}

/// The token of somebody who asks over TCP.
package enum CallerToken {
    package struct Refusal: Error, Sendable {
        /// Names the file, and holds nothing of it.
        package var text: String
    }

    package static func read(_ path: String) throws(Refusal) -> String {
        do throws(TokenFile.Failure) { return try TokenFile(path: path).read() } catch { throw Refusal(text: "\(error)") }
    }
}
