import CModbus
import Glibc

/// A libmodbus context that serves: it takes requests off a descriptor and puts good answers on it. Used by one thread at a time.
final class LibModbus {
    private var context: OpaquePointer
    private let framing: Framing

    init(_ framing: Framing) throws(SimulatorError) {
        self.framing = framing
        guard let made = LibModbus.context(framing) else {
            throw SimulatorError(.unavailable, "libmodbus has no memory for a context", errorNumber: errno)
        }
        context = made
    }

    private static func context(_ framing: Framing) -> OpaquePointer? {
        // Neither is ever connected: the descriptor is set before each use.
        let made: OpaquePointer? =
            switch framing {
            case .tcp: modbus_new_tcp_pi(nil, "0")
            case .rtu: modbus_new_rtu("/dev/null", 9600, CChar(bitPattern: UInt8(ascii: "N")), 8, 1)
            }
        guard let made else { return nil }
        // What is left of a begun request must come at once: one server thread waits for it.
        modbus_set_byte_timeout(made, 0, 200_000)
        modbus_set_response_timeout(made, 0, 200_000)
        return made
    }

    deinit { modbus_free(context) }

    /// - Precondition: `descriptor` < 1024, or libmodbus's select ends the process.
    func use(_ descriptor: Int32) {
        precondition(descriptor < FD_SETSIZE, "libmodbus cannot wait for descriptor \(descriptor)")
        modbus_set_socket(context, descriptor)
    }

    enum Received {
        case request(ModbusRequest)
        /// Something came that is no request.
        case noise
        /// The other side has closed, or the line is gone.
        case closed
    }

    func receive() -> Received {
        var buffer = [UInt8](repeating: 0, count: Int(MODBUS_MAX_ADU_LENGTH))
        let length = modbus_receive(context, &buffer)
        guard length >= 0 else {
            return errno == ECONNRESET || errno == EBADF || errno == EIO || errno == EPIPE ? .closed : .noise
        }
        // 0 on RTU: libmodbus read, unchecked, a frame for another slave than its own. Ours are many, so we check.
        if length == 0 { expectRequestNext() }
        let count = length > 0 ? Int(length) : LibModbus.rtuLength(buffer)
        guard count <= buffer.count else { return .noise }
        let frame = Array(buffer[..<count])
        if framing == .rtu {
            guard count >= 4, Framing.crc16(frame.dropLast(2)) == UInt16(frame[count - 1]) << 8 | UInt16(frame[count - 2]) else {
                return .noise
            }
        }
        return framing.request(frame).map { .request($0) } ?? .noise
    }

    /// After a frame for another slave libmodbus would take the next one for that slave's answer and ignore it. A new context does not.
    private func expectRequestNext() {
        guard let fresh = LibModbus.context(framing) else { return }
        modbus_set_socket(fresh, modbus_get_socket(context))
        modbus_free(context)
        context = fresh
    }

    /// How long libmodbus takes an RTU request to be.
    private static func rtuLength(_ buffer: [UInt8]) -> Int {
        switch buffer[1] {
        case 1...6: 8
        case 15, 16: 9 + Int(buffer[6])
        case 22: 10
        case 23: 13 + Int(buffer[10])
        default: 4
        }
    }

    /// Lets libmodbus frame and send the answer.
    func reply(_ words: [UInt16], to request: ModbusRequest) -> Bool {
        let (address, count) = (UInt32(request.address), UInt32(words.count))
        func mapping(_ function: UInt8) -> UnsafeMutablePointer<modbus_mapping_t>? {
            func part(_ own: UInt8) -> UInt32 { function == own ? count : 0 }
            return modbus_mapping_new_start_address(address, part(1), address, part(2), address, part(3), address, part(4))
        }
        guard let mapping = mapping(request.function) else { return false }
        defer { modbus_mapping_free(mapping) }
        for (place, word) in words.enumerated() {
            switch request.function {
            case 1: mapping.pointee.tab_bits[place] = UInt8(word & 1)
            case 2: mapping.pointee.tab_input_bits[place] = UInt8(word & 1)
            case 3: mapping.pointee.tab_registers[place] = word
            default: mapping.pointee.tab_input_registers[place] = word
            }
        }
        modbus_set_slave(context, Int32(request.unit))
        return modbus_reply(context, request.frame, Int32(request.frame.count), mapping) >= 0
    }
}
