import CModbus
import Glibc
import Metering

@testable import Simulators

/// A libmodbus reader: an independent judge of what the servers send.
final class ModbusClient {
    private let context: OpaquePointer

    init?(port: UInt16) {
        guard let made = modbus_new_tcp("127.0.0.1", Int32(port)) else { return nil }
        context = made
        modbus_set_response_timeout(made, 10, 0)
        guard modbus_connect(made) == 0 else { return nil }
    }

    /// - Parameter timeout: bounds the wait for what should not come; long where it should.
    init?(line: String, timeout: Duration = .seconds(10)) {
        guard let made = modbus_new_rtu(line, 9600, CChar(bitPattern: UInt8(ascii: "N")), 8, 1) else { return nil }
        context = made
        modbus_set_response_timeout(made, UInt32(timeout.milliseconds / 1000), UInt32(timeout.milliseconds % 1000 * 1000))
        guard modbus_connect(made) == 0 else { return nil }
    }

    deinit {
        modbus_close(context)
        modbus_free(context)
    }

    /// Nil with errno set when libmodbus is not content.
    func read(_ table: RegisterTable, _ address: Int32, _ count: Int32, unit: UInt8) -> [UInt16]? {
        modbus_set_slave(context, Int32(unit))
        var words = [UInt16](repeating: 0, count: Int(count))
        let got =
            table == .input
            ? modbus_read_input_registers(context, address, count, &words) : modbus_read_registers(context, address, count, &words)
        return got == count ? words : nil
    }

    /// Sends a write, which no meter here may obey; the answer's exception as errno.
    func write(_ address: Int32, _ value: UInt16, unit: UInt8) -> Bool {
        modbus_set_slave(context, Int32(unit))
        return modbus_write_register(context, address, value) == 1
    }
}

/// A bare TCP connection, for frames that libmodbus would not send or not accept.
final class RawClient {
    private let descriptor: Int32
    private var transaction: UInt16 = 0

    init(port: UInt16) {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        self.descriptor = descriptor
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        // A bound on waiting, so that a defect ends the test and does not hang it.
        var limit = timeval(tv_sec: 20, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        connected = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0 }
        }
    }

    let connected: Bool

    deinit { close(descriptor) }

    func send(_ bytes: [UInt8]) { _ = writeAll(descriptor, bytes, socket: true) }

    /// Sends a read request; returns its transaction id.
    func ask(_ table: RegisterTable, _ address: UInt16, _ count: UInt16, unit: UInt8) -> UInt16 {
        transaction += 1
        let pdu = [table.functionCode, UInt8(address >> 8), UInt8(address & 0xFF), UInt8(count >> 8), UInt8(count & 0xFF)]
        send(Framing.tcp.frame(pdu, unit: unit, transaction: transaction))
        return transaction
    }

    /// Exactly this many bytes; fewer when the other side closed.
    func receive(_ count: Int) -> [UInt8] {
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 4096)
        while bytes.count < count {
            let got = recv(descriptor, &chunk, min(chunk.count, count - bytes.count), 0)
            if got <= 0 { break }
            bytes += chunk[..<got]
        }
        return bytes
    }

    func receiveToEnd() -> [UInt8] { receive(.max) }

    /// One frame by its MBAP length.
    func frame() -> (transaction: UInt16, unit: UInt8, pdu: [UInt8])? {
        let header = receive(7)
        guard header.count == 7 else { return nil }
        let length = Int(header[4]) << 8 | Int(header[5])
        return (UInt16(header[0]) << 8 | UInt16(header[1]), header[6], receive(length - 1))
    }
}
