import Glibc
import Host
import Metering

/// What a serial line takes where a pty takes nothing: time for each byte, the silence between frames, the device's own turnaround.
///
///     from request to the end of its reply: (8 + reply) × bits / baud + t3.5 + turnaround      20 registers, 9600 8N1, 20 ms: 78.9 ms
///
/// The second t3.5 of a request is the master's to keep.
/// - Source: Modbus over Serial Line V1.02, 2.5.1.1 for the silence between frames.
package struct WireTime: Hashable, Sendable {
    package var baud: Int
    /// Start, data, parity and stop bits: 10 for 8N1, 11 for 8E1 and 8N2.
    package var bitsPerCharacter: Int
    /// From the end of the request, t3.5 included, to the first byte of the reply.
    package var turnaround: Duration

    package init(baud: Int = 9600, bitsPerCharacter: Int = 10, turnaround: Duration = .milliseconds(20)) {
        self.baud = max(baud, 1)
        self.bitsPerCharacter = max(bitsPerCharacter, 1)
        self.turnaround = turnaround
    }

    /// From the first byte of a request to the last one of a reply of so many bytes, checksums included.
    package func exchange(replyBytes: Int) -> Duration {
        characters(8 + replyBytes) + (baud > 19_200 ? .microseconds(1750) : characters(7) / 2) + turnaround
    }

    private func characters(_ count: Int) -> Duration {
        .nanoseconds(Int64(count * bitsPerCharacter) * 1_000_000_000 / Int64(baud))
    }

    /// Holds the line's thread until the last byte of the reply has passed: nothing else could pass meanwhile.
    func hold(replyBytes: Int, since start: Uptime, _ time: any TimeSource) {
        let end = start + exchange(replyBytes: replyBytes)
        while true {
            let left = (end - time.uptime()).nanoseconds
            guard left > 0 else { return }
            var request = timespec(tv_sec: Int(left / 1_000_000_000), tv_nsec: Int(left % 1_000_000_000))
            nanosleep(&request, nil)
        }
    }
}
