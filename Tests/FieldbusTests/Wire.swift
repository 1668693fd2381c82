import Glibc
import Host
import Metering

@testable import Fieldbus

/// One request as a fake device sees it.
struct WireRequest: Hashable, Sendable {
    var transaction: UInt16
    var unit: UInt8
    var function: UInt8
    var address: UInt16
    var count: UInt16

    /// Register n of unit u holds u × 1000 + n, so that every answer tells whose it is.
    func word(_ index: Int) -> UInt16 { UInt16(unit) * 1000 &+ address &+ UInt16(index) }

    /// Function, length, data.
    var goodPDU: [UInt8] {
        if function <= 2 {
            let bytes = (0..<(Int(count) + 7) / 8).map { byte in
                (0..<8).reduce(UInt8(0)) { $0 | (byte * 8 + $1 < Int(count) && word(byte * 8 + $1) & 1 == 1 ? 1 << UInt8($1) : 0) }
            }
            return [function, UInt8(bytes.count)] + bytes
        }
        return [function, UInt8(count * 2)] + (0..<Int(count)).flatMap { [UInt8(word($0) >> 8), UInt8(word($0) & 0xFF)] }
    }

    func tcp(_ pdu: [UInt8], transaction: UInt16? = nil, unit: UInt8? = nil, length: Int? = nil) -> [UInt8] {
        let id = transaction ?? self.transaction
        let size = length ?? pdu.count + 1
        return [UInt8(id >> 8), UInt8(id & 0xFF), 0, 0, UInt8(size >> 8), UInt8(size & 0xFF), unit ?? self.unit] + pdu
    }

    func rtu(_ pdu: [UInt8], unit: UInt8? = nil) -> [UInt8] { WireRequest.checked([unit ?? self.unit] + pdu) }

    static func checked(_ frame: [UInt8]) -> [UInt8] {
        var crc: UInt16 = 0xFFFF
        for byte in frame {
            crc ^= UInt16(byte)
            for _ in 0..<8 { crc = crc & 1 == 1 ? crc >> 1 ^ 0xA001 : crc >> 1 }
        }
        return frame + [UInt8(crc & 0xFF), UInt8(crc >> 8)]
    }
}

/// What a fake device does with a request.
enum WireAction: Sendable {
    case send([UInt8])
    /// Waits, then goes on with the next action; meanwhile nothing is read.
    case pause(milliseconds: Int)
    case hangUp
}

/// Serves requests from a descriptor on a thread of its own until the other side closes.
final class WireDevice: Sendable {
    private let seen = Lock<[WireRequest]>([])
    private let closed = Lock(0)
    let answer: @Sendable (WireRequest, Int) -> [WireAction]

    /// - Parameter answer: gets the request and how many came before it.
    init(_ answer: @escaping @Sendable (WireRequest, Int) -> [WireAction]) { self.answer = answer }

    var requests: [WireRequest] { seen.withLock { $0 } }
    /// Connections that it has closed.
    var closings: Int { closed.withLock { $0 } }

    func close(_ connection: Int32) {
        Glibc.close(connection)
        closed.withLock { $0 += 1 }
    }

    func serve(_ descriptor: Int32, tcp: Bool) {
        while let request = WireDevice.receive(descriptor, tcp: tcp) {
            let index = seen.withLock { requests in
                requests.append(request)
                return requests.count - 1
            }
            for action in answer(request, index) {
                switch action {
                case .send(let bytes): if !WireDevice.write(descriptor, bytes, tcp: tcp) { return }
                case .pause(let milliseconds): usleep(UInt32(milliseconds) * 1000)
                case .hangUp: return
                }
            }
        }
    }

    private static func write(_ descriptor: Int32, _ bytes: [UInt8], tcp: Bool) -> Bool {
        tcp
            ? send(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL)) == bytes.count
            : Glibc.write(descriptor, bytes, bytes.count) == bytes.count
    }

    private static func receive(_ descriptor: Int32, tcp: Bool) -> WireRequest? {
        guard let bytes = take(tcp ? 12 : 8, descriptor) else { return nil }
        func word(_ index: Int) -> UInt16 { UInt16(bytes[index]) << 8 | UInt16(bytes[index + 1]) }
        return tcp
            ? WireRequest(transaction: word(0), unit: bytes[6], function: bytes[7], address: word(8), count: word(10))
            : WireRequest(transaction: 0, unit: bytes[0], function: bytes[1], address: word(2), count: word(4))
    }

    private static func take(_ count: Int, _ descriptor: Int32) -> [UInt8]? {
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: count)
        while bytes.count < count {
            let taken = Glibc.read(descriptor, &buffer, count - bytes.count)
            if taken < 0, errno == EINTR { continue }
            guard taken > 0 else { return nil }
            bytes += buffer[..<taken]
        }
        return bytes
    }
}

/// A thread that runs `body` to its end; `join` waits for that.
final class WireThread: @unchecked Sendable {
    // Safe to share: `thread` is written before init returns and only read afterwards.
    private var thread = pthread_t()
    private final class Body: Sendable {
        let run: @Sendable () -> Void
        init(_ run: @escaping @Sendable () -> Void) { self.run = run }
    }

    init(_ body: @escaping @Sendable () -> Void) {
        pthread_create(
            &thread, nil,
            { argument in
                if let argument { Unmanaged<Body>.fromOpaque(argument).takeRetainedValue().run() }
                return nil
            }, Unmanaged.passRetained(Body(body)).toOpaque())
    }

    func join() { pthread_join(thread, nil) }
}

/// Runs `body` with a device behind a TCP port on the loopback, one connection after the other.
func withTCPDevice<Result>(
    rtu: Bool = false, _ device: WireDevice, _ body: (UInt16) async throws -> Result
) async throws -> Result {
    let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = in_addr_t(0x7F00_0001).bigEndian
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let port = withUnsafeMutablePointer(to: &address) { pointer in
        pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { generic -> UInt16 in
            guard bind(listener, generic, length) == 0, listen(listener, 8) == 0, getsockname(listener, generic, &length) == 0 else {
                return 0
            }
            return UInt16(bigEndian: UnsafeRawPointer(generic).load(fromByteOffset: 2, as: UInt16.self))
        }
    }
    let thread = WireThread {
        while true {
            let connection = accept(listener, nil, nil)
            if connection < 0, errno == EINTR { continue }
            guard connection >= 0 else { return }
            device.serve(connection, tcp: !rtu)
            device.close(connection)
        }
    }
    defer {
        // Wakes accept; a connection that still stands ends when its reader closes.
        shutdown(listener, Int32(SHUT_RDWR))
        thread.join()
        close(listener)
    }
    return try await body(port)
}

/// Runs `body` with a device at the far end of a pty; the path is the near end.
func withPtyDevice<Result>(_ device: WireDevice, _ body: (String) async throws -> Result) async throws -> Result {
    // What posix_openpt, unlockpt and ptsname do; Swift's Glibc hides these.
    let unlock: UInt = 0x4004_5431  // TIOCSPTLCK
    let getNumber: UInt = 0x8004_5430  // TIOCGPTN
    var locked: Int32 = 0
    var number: UInt32 = 0
    let master = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC)
    guard master >= 0, ioctl(master, unlock, &locked) == 0, ioctl(master, getNumber, &number) == 0 else { throw WireFailure.noPty }
    let path = "/dev/pts/\(number)"
    // Held open, raw, so that the line neither echoes nor hangs up between two openings by the reader.
    let slave = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC)
    var settings = termios()
    tcgetattr(slave, &settings)
    cfmakeraw(&settings)
    tcsetattr(slave, TCSANOW, &settings)
    let thread = WireThread { device.serve(master, tcp: false) }
    defer {
        close(slave)
        thread.join()
        close(master)
    }
    return try await body(path)
}

enum WireFailure: Error { case noPty }
