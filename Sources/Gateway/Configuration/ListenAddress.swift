import Glibc
import Metering
import Uplink

/// An address and port to listen on: `127.0.0.1:8471`, `[::1]:8471`.
package struct ListenAddress: Hashable, Sendable {
    package var host: String
    package var port: Int

    package var text: String { "\(host.contains(":") ? "[\(host)]" : host):\(port)" }

    /// Nil for what is no address: names are not taken, since what they stand for may change.
    package init?(_ text: String) {
        guard let colon = text.lastIndex(of: ":"), let port = UInt16(text[text.index(after: colon)...]) else { return nil }
        var host = String(text[..<colon])
        if host.hasPrefix("["), host.hasSuffix("]") { host = String(host.dropFirst().dropLast()) } else if host.contains(":") { return nil }
        var four = in_addr()
        var six = in6_addr()
        guard inet_pton(AF_INET, host, &four) == 1 || inet_pton(AF_INET6, host, &six) == 1 else { return nil }
        self.host = host
        self.port = Int(port)
    }

    /// Nobody outside this machine can reach it.
    package var isLoopback: Bool {
        var four = in_addr()
        if inet_pton(AF_INET, host, &four) == 1 { return UInt32(bigEndian: four.s_addr) >> 24 == 127 }
        var six = in6_addr()
        guard inet_pton(AF_INET6, host, &six) == 1 else { return false }
        return withUnsafeBytes(of: six) { bytes in bytes.dropLast().allSatisfy { $0 == 0 } && bytes.last == 1 }
    }
}

/// `[api]`, which each file may have a part of.
struct ListenerReader {
    /// A shorter token could be guessed.
    static let tokenBytes = 16

    private var at: TomlReader?

    mutating func read(_ table: TomlReader, into api: inout Configuration.API) {
        if let socket = table.path("socket") {
            api.socket = socket
            if socket.utf8.count > SocketFile.pathBytesLimit {
                table.problem("socket", "has \(socket.utf8.count) bytes; a socket's path has at most \(SocketFile.pathBytesLimit)")
            }
        }
        if let text = table.string("listen", example: "\"127.0.0.1:8471\"") {
            at = table
            api.listen = ListenAddress(text)
            if api.listen == nil || api.listen?.port == 0 {
                table.problem("listen", "\"\(text)\" is no address with a port; write one such as \"127.0.0.1:8471\" or \"[::1]:8471\"")
            }
        }
        if let path = table.path("token_file") {
            api.tokenFile = path
            let file = TokenFile(path: path, name: table.shownPath("token_file", path))
            if let complaint = ListenerReader.complaint(file) { table.problem("token_file", complaint) }
        }
        table.finish()
    }

    /// What only the whole tells.
    func check(_ api: Configuration.API) {
        guard let listen = api.listen, !listen.isLoopback, api.tokenFile == nil else { return }
        at?.problem(
            "listen", "\(listen.text) can be reached from other machines; add token_file, or listen on 127.0.0.1:\(listen.port)")
    }

    private static func complaint(_ file: TokenFile) -> String? {
        do throws(TokenFile.Failure) {
            let token = try file.read()
            guard token.utf8.count < tokenBytes else { return nil }
            return "\(file.name) holds a token of \(token.utf8.count) characters; make one of at least \(tokenBytes): openssl rand -hex 32"
        } catch {
            return "\(error); make one that the user that runs meterd can read: openssl rand -hex 32"
        }
    }
}
