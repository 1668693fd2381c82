import CModbus
import Glibc

/// A libmodbus context that serves: it takes requests off a descriptor and puts good answers on it. Used by one thread at a time.
final class LibModbus {
    private let context: OpaquePointer
    private let framing: Framing

    init(_ framing: Framing) throws(SimulatorError) {
        self.framing = framing
        // Neither is ever connected: the descriptor is set before each use.
        let made: OpaquePointer? =
            switch framing {
            case .tcp: modbus_new_tcp_pi(nil, "0")
            case .rtu: modbus_new_rtu("/dev/null", 9600, UInt8(ascii: "N").signed, 8, 1)
            }
        guard let made else { throw SimulatorError(.unavailable, "libmodbus has no memory for a context", errorNumber: errno) }
        context = made
        // What is left of a begun request must come at once: one server thread waits for it.
        modbus_set_byte_timeout(context, 0, 200_000)
        modbus_set_response_timeout(context, 0, 200_000)
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
        // Length 0 on RTU: libmodbus read a frame for another slave than its own, unchecked. Ours are many, so we check.
        let length = modbus_receive(context, &buffer)
        guard length >= 0 else {
            return errno == ECONNRESET || errno == EBADF || errno == EIO || errno == EPIPE ? .closed : .noise
        }
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

extension UInt8 {
    fileprivate var signed: CChar { CChar(bitPattern: self) }
}
