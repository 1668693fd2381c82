import Glibc
import Metering

/// Takes Modbus TCP frames off a stream, in whatever pieces they come. Never waits.
///
/// A frame is let through when its header is right: protocol 0, and the length that its own function and byte count say. Whose it is and
/// what it answers is for the reader to check.
///
/// - Source: Modbus Messaging on TCP/IP Implementation Guide V1.0b, 3.1.3; Modbus Application Protocol V1.1b3, 4.1 and 7.
struct TCPFrames {
    enum Found: Equatable {
        case frame
        /// The rest has not come yet.
        case part
        /// No frame can begin like this.
        case garbled(String)
    }

    /// Header and the largest PDU.
    static let frameLimit = 260

    private var bytes = [UInt8](repeating: 0, count: frameLimit)
    private var count = 0
    /// Of the frame found; it stays until the next one is looked for.
    private var length = 0

    var transaction: UInt16 { UInt16(word(0)) }
    var unit: UInt8 { bytes[6] }

    mutating func reset() {
        count = 0
        length = 0
    }

    /// What the frame found says; nil when function and length do not fit.
    func withReply<Result, Failure: Error>(_ body: (Reply?) throws(Failure) -> Result) throws(Failure) -> Result {
        try bytes.withUnsafeBufferPointer { (all) throws(Failure) in
            try body(Reply(pdu: UnsafeBufferPointer(rebasing: all[7..<length])))
        }
    }

    /// Reads what has come, unless a whole frame is there already.
    ///
    /// - Returns: what is there, or the errno of a stream that has failed: ECONNRESET for one that its peer has closed.
    mutating func next(from descriptor: Int32) -> Result<Found, Failure> {
        drop()
        while true {
            let found = look()
            guard found == .part else { return .success(found) }
            let room = bytes.count - count
            let got = bytes.withUnsafeMutableBytes { recv(descriptor, $0.baseAddress?.advanced(by: count), room, Int32(MSG_DONTWAIT)) }
            if got > 0 {
                count += got
            } else if got == 0 {
                return .failure(Failure(number: ECONNRESET))
            } else if errno == EAGAIN {
                return .success(.part)
            } else if errno != EINTR {
                return .failure(Failure(number: errno))
            }
        }
    }

    struct Failure: Error, Equatable { var number: Int32 }

    /// Forgets the frame found last; what came behind it moves up.
    private mutating func drop() {
        guard length > 0 else { return }
        bytes.withUnsafeMutableBufferPointer { all in
            for index in length..<count { all[index - length] = all[index] }
        }
        count -= length
        length = 0
    }

    private mutating func look() -> Found {
        if count >= 4, word(2) != 0 { return .garbled("protocol id \(word(2)) instead of 0") }
        guard count >= 9 else { return .part }
        // An exception has one byte after its function, an answer its own count of bytes.
        let own = bytes[7] & 0x80 != 0 ? 3 : 3 + Int(bytes[8])
        guard word(4) == own else { return .garbled("header says \(word(4)) bytes, the reply \(own)") }
        guard 6 + own <= TCPFrames.frameLimit else { return .garbled("a reply of \(own) bytes, more than a frame holds") }
        guard count >= 6 + own else { return .part }
        length = 6 + own
        return .frame
    }

    private func word(_ index: Int) -> Int { Int(bytes[index]) << 8 | Int(bytes[index + 1]) }
}
