import Gateway
import Glibc
import TestSupport

/// What a service manager would listen on: a datagram socket in a folder of its own.
final class NotifySocket {
    let path: String
    private let folder: String
    private let descriptor: Int32

    init() throws {
        folder = try TemporaryFolder.make("notify")
        path = folder + "/notify.sock"
        descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        let descriptor = descriptor
        let bound = UnixAddress(path).map { $0.with { bind(descriptor, $0, $1) } } ?? -1
        guard bound == 0 else { throw ChildProcess.SpawnError(description: "bind \(path): \(String(cString: strerror(errno)))") }
    }

    deinit {
        close(descriptor)
        TemporaryFolder.remove(folder)
    }

    /// What was sent and not yet heard.
    func heard() -> [String] {
        var messages: [String] = []
        var buffer = [UInt8](repeating: 0, count: 1024)
        while true {
            let count = recv(descriptor, &buffer, buffer.count, Int32(MSG_DONTWAIT))
            guard count > 0 else { return messages }
            messages.append(String(decoding: buffer.prefix(count), as: UTF8.self))
        }
    }
}
