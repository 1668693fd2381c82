import Metering

/// A request as it came: what every Modbus transport has in common. `address` and `count` mean something for functions 1 to 4 only.
struct ModbusRequest: Hashable {
    var transaction: UInt16
    var unit: UInt8
    var function: UInt8
    var address: UInt16
    var count: UInt16
    /// The whole frame, for libmodbus to answer.
    var frame: [UInt8]
}

/// The two frames round a PDU (Modbus Messaging on TCP/IP V1.0b, 3.1.3; Modbus over Serial Line V1.02, 2.5.1).
enum Framing {
    case tcp
    case rtu

    /// Bytes before the function code.
    var headerLength: Int { self == .tcp ? 7 : 1 }
    var checksumLength: Int { self == .tcp ? 0 : 2 }

    /// Nil when the frame is too short to hold a function code.
    func request(_ frame: [UInt8]) -> ModbusRequest? {
        let body = headerLength
        guard frame.count > body + checksumLength else { return nil }
        func word(_ index: Int) -> UInt16 {
            index + 1 < frame.count - checksumLength ? UInt16(frame[index]) << 8 | UInt16(frame[index + 1]) : 0
        }
        return ModbusRequest(
            transaction: self == .tcp ? UInt16(frame[0]) << 8 | UInt16(frame[1]) : 0, unit: frame[body - 1], function: frame[body],
            address: word(body + 1), count: word(body + 3), frame: frame)
    }

    func frame(_ pdu: [UInt8], unit: UInt8, transaction: UInt16) -> [UInt8] {
        switch self {
        case .tcp:
            let length = UInt16(pdu.count + 1)
            return [UInt8(transaction >> 8), UInt8(transaction & 0xFF), 0, 0, UInt8(length >> 8), UInt8(length & 0xFF), unit] + pdu
        case .rtu:
            let body = [unit] + pdu
            let crc = Framing.crc16(body)
            return body + [UInt8(crc & 0xFF), UInt8(crc >> 8)]
        }
    }

    func exception(_ code: UInt8, to request: ModbusRequest) -> [UInt8] {
        frame([request.function | 0x80, code], unit: request.unit, transaction: request.transaction)
    }

    /// The answer with these words, wrong in the way of `fault`.
    func spoiled(_ words: [UInt16], _ fault: Fault, answering request: ModbusRequest) -> [UInt8] {
        var words = words
        var unit = request.unit
        var function = request.function
        var transaction = request.transaction
        switch fault {
        case .wrongUnit: unit = unit &+ 1
        case .wrongFunction: function = [1: 2, 2: 1, 3: 4, 4: 3][function] ?? function
        case .wrongLength(.short): words.removeLast()
        case .wrongLength(.long): words.append(0)
        case .wrongChecksum: transaction = transaction &+ 1
        default: break
        }
        var result = frame(Framing.pdu(function, words), unit: unit, transaction: transaction)
        if fault == .wrongLength(.truncated) { result.removeLast(result.count / 2) }
        if fault == .wrongChecksum, self == .rtu { result[result.count - 1] ^= 0xFF }
        return result
    }

    private static func pdu(_ function: UInt8, _ words: [UInt16]) -> [UInt8] {
        var pdu = [function, UInt8(truncatingIfNeeded: 2 * words.count)]
        for word in words { pdu += [UInt8(word >> 8), UInt8(word & 0xFF)] }
        return pdu
    }

    /// CRC-16/MODBUS: polynomial 0xA001 reflected, start 0xFFFF. "123456789": 0x4B37.
    static func crc16(_ bytes: some Sequence<UInt8>) -> UInt16 {
        var crc: UInt16 = 0xFFFF
        for byte in bytes {
            crc ^= UInt16(byte)
            for _ in 0..<8 { crc = crc & 1 == 1 ? crc >> 1 ^ 0xA001 : crc >> 1 }
        }
        return crc
    }
}
