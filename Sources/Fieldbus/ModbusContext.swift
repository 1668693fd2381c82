import CModbus
import Glibc
import Host
import Metering

/// A libmodbus context and the guard rails round it: it takes one frame off a descriptor, and sets up and writes to serial lines.
///
/// Never used from two threads: an actor owns it. libmodbus waits with select(2), which aborts the process for descriptors from 1024
/// on, so those are refused.
final class ModbusContext {
    enum Received {
        /// The whole frame as it came; for RTU its checksum is right. Good until the next call.
        case frame(UnsafeBufferPointer<UInt8>)
        /// RTU only: a frame of another unit, its checksum not looked at.
        case otherUnit
        /// An errno, or one of libmodbus' own numbers.
        case failure(Int32)
    }

    static let descriptorLimit: Int32 = 1024

    private let context: OpaquePointer
    private var isExclusive = false
    private let buffer = UnsafeMutablePointer<UInt8>.allocate(capacity: Int(MODBUS_MAX_ADU_LENGTH))

    /// A context that frames RTU; `path` is opened by `open()`, unless a socket is given.
    static func rtu(path: String, line: SerialFormat) -> ModbusContext? {
        let parity = CChar(bitPattern: line.parity.rawValue.asciiValue ?? UInt8(ascii: "N"))
        return modbus_new_rtu(path, Int32(line.baud), parity, Int32(line.dataBits), Int32(line.stopBits)).map(ModbusContext.init)
    }

    private init(_ context: OpaquePointer) {
        self.context = context
        // Without a byte timeout the response timeout is total: a dripping device cannot stretch it.
        modbus_set_byte_timeout(context, 0, 0)
        modbus_set_error_recovery(context, MODBUS_ERROR_RECOVERY_NONE)
    }

    deinit {
        close()
        modbus_free(context)
        buffer.deallocate()
    }

    /// -1 when there is none.
    var descriptor: Int32 { modbus_get_socket(context) }

    /// Opens and sets up the serial port. Returns 0 or an errno.
    func open() -> Int32 {
        guard modbus_connect(context) == 0 else { return errno == 0 ? EIO : errno }
        guard descriptor < ModbusContext.descriptorLimit else {
            close()
            return EMFILE
        }
        return 0
    }

    /// Keeps the open serial port from other programs until it is closed.
    func claim(path: String) throws(BusError) {
        do throws(BusError) { try ExclusivePort.claim(descriptor, path: path) } catch {
            close()
            throw error
        }
        isExclusive = true
    }

    /// Makes the open serial port switch direction as the line wants it; ends with the port closed where its driver cannot.
    func turn(by direction: LineDirection, path: String) throws(BusError) {
        let failure: Int32
        switch direction {
        case .automatic: return
        case .driver: failure = modbus_rtu_set_serial_mode(context, MODBUS_RTU_RS485) == 0 ? 0 : errno
        case .rts(let isHigh, let delay):
            // libmodbus does not look whether the wire obeys.
            var lines: Int32 = 0
            if ioctl(descriptor, UInt(TIOCMGET), &lines) != 0 {
                failure = errno
            } else {
                if let delay { modbus_rtu_set_rts_delay(context, Int32(clamping: delay.nanoseconds / 1000)) }
                failure = modbus_rtu_set_rts(context, isHigh ? MODBUS_RTU_RTS_UP : MODBUS_RTU_RTS_DOWN) == 0 ? 0 : errno
            }
        }
        guard failure != 0 else { return }
        close()
        let cure = "leave rs485 out for an adapter that switches alone"
        let text = direction == .driver ? "cannot switch RS-485 by itself" : "has no RTS wire to switch by"
        let other = direction == .driver ? "use rs485 = \"rts\", or " : ""
        throw BusError(
            .directionRefused, "\(path): its driver \(text) (\(String(cString: strerror(failure)))); \(other)\(cure)", cause: failure)
    }

    /// Takes over a connected socket, which must be below `descriptorLimit`.
    func use(socket: Int32) {
        precondition(socket >= 0 && socket < ModbusContext.descriptorLimit, "the socket's maker checks the limit")
        modbus_set_socket(context, socket)
    }

    func close() {
        guard descriptor >= 0 else { return }
        if isExclusive { ExclusivePort.release(descriptor) }
        isExclusive = false
        modbus_close(context)
        modbus_set_socket(context, -1)
    }

    /// Sockets only: true when the other side has closed, so that a request would be lost.
    var peerHasClosed: Bool {
        var byte: UInt8 = 0
        let peeked = recv(descriptor, &byte, 1, Int32(MSG_PEEK) | Int32(MSG_DONTWAIT))
        return !(peeked > 0 || (peeked < 0 && (errno == EAGAIN || errno == EINTR)))
    }

    /// RTU: whose frames are taken; false for units beyond 247, which a line does not have.
    func expect(unit: UInt8) -> Bool { modbus_set_slave(context, Int32(unit)) == 0 }

    /// Sends unit, function, address and count; libmodbus adds the checksum. Returns 0 or an errno. RTU only, and the only thing that
    /// goes out through libmodbus.
    func send(_ request: ReadRequest) -> Int32 {
        let bytes = request.bytes
        while true {
            if modbus_send_raw_request(context, bytes, Int32(bytes.count)) > 0 { return 0 }
            if errno != EINTR { return errno == 0 ? EIO : errno }
        }
    }

    /// Waits for one frame, `timeout` in all.
    func receive(timeout: Duration) -> Received {
        let microseconds = max(timeout.nanoseconds / 1000, 1)
        modbus_set_response_timeout(context, UInt32(microseconds / 1_000_000), UInt32(microseconds % 1_000_000))
        let length = modbus_receive_confirmation(context, buffer)
        if length > 0 { return .frame(UnsafeBufferPointer(start: buffer, count: Int(length))) }
        return length == 0 ? .otherUnit : .failure(errno)
    }

    /// Throws away what has come, and goes on until nothing came for `quiet`, `limit` in all at most. Returns the bytes thrown away.
    func drain(quiet: Duration = .zero, limit: Duration = .milliseconds(300), time: any TimeSource) -> Int {
        var count = 0
        let end = time.uptime() + limit
        repeat {
            var poller = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            let ready = poll(&poller, 1, Int32(clamping: quiet.milliseconds))
            if ready < 0, errno == EINTR { continue }
            guard ready > 0, poller.revents & Int16(POLLIN) != 0 else { break }
            let taken = Glibc.read(descriptor, buffer, Int(MODBUS_MAX_ADU_LENGTH))
            guard taken > 0 else { break }
            count += taken
        } while time.uptime() < end
        return count
    }
}
