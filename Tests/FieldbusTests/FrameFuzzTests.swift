import Fieldbus
import Glibc
import Host
import Metering
import TestSupport
import Testing

/// Frames that chance has spoiled, thrown at the readers over real sockets.
///
/// The promise: no crash, no hang, and no value but from a frame that is, byte for byte, a right answer to the request. `METERD_FUZZ=50`
/// makes it fifty times as long.
@Suite struct FrameFuzzTests {
    private static let seed: UInt64 = 20_261_124

    private static var factor: Int { getenv("METERD_FUZZ").flatMap { Int(String(cString: $0)) } ?? 1 }

    /// The words of a stream that begins with a right answer, by the protocol's text and by other means than the reader's.
    private static func rightWords(_ bytes: [UInt8], to request: WireRequest) -> [UInt16]? {
        let count = Int(request.count)
        guard bytes.count >= 9 + 2 * count else { return nil }
        let head: [UInt8] = [
            UInt8(request.transaction >> 8), UInt8(request.transaction & 0xFF), 0, 0, 0, UInt8(3 + 2 * count), request.unit,
            request.function, UInt8(2 * count),
        ]
        guard Array(bytes[..<9]) == head else { return nil }
        return (0..<count).map { UInt16(bytes[9 + 2 * $0]) << 8 | UInt16(bytes[10 + 2 * $0]) }
    }

    private static func spoil(_ frame: [UInt8], _ random: inout SeededGenerator) -> [UInt8] {
        var bytes = frame
        for _ in 0..<Int.random(in: 1...2, using: &random) {
            guard !bytes.isEmpty else { break }
            let place = Int.random(in: bytes.indices, using: &random)
            let early = min(place, Int.random(in: 0...9, using: &random))
            switch Int.random(in: 0...9, using: &random) {
            case 0...2: bytes[early] ^= 1 << UInt8.random(in: 0...7, using: &random)
            case 3: bytes[early] = UInt8.random(in: 0 ... .max, using: &random)
            case 4: bytes[place] = UInt8.random(in: 0 ... .max, using: &random)
            case 5: bytes.insert(UInt8.random(in: 0 ... .max, using: &random), at: place)
            case 6: bytes.remove(at: place)
            case 7: bytes.removeLast(min(bytes.count, Int.random(in: 1...3, using: &random)))
            case 8: bytes += (0..<Int.random(in: 1...5, using: &random)).map { _ in UInt8.random(in: 0 ... .max, using: &random) }
            default: bytes = Array(bytes[place...]) + Array(bytes[..<place])
            }
        }
        return bytes
    }

    @Test func noSpoiledFrameOverTCPIsTakenForAnAnswer() async throws {
        print("frame fuzz over TCP: seed \(Self.seed)")
        let random = Lock(SeededGenerator(seed: Self.seed))
        let sent = Lock<[(WireRequest, [UInt8])]>([])
        let device = WireDevice { request, _ in
            let frame = request.tcp(request.goodPDU)
            let bytes = random.withLock { random in
                Int.random(in: 0...4, using: &random) == 0 ? frame : Self.spoil(frame, &random)
            }
            sent.withLock { $0.append((request, bytes)) }
            return [.send(bytes)]
        }
        var accepted = 0
        try await withTCPDevice(device) { port in
            let reader = TCPReader(name: "fuzz", host: "127.0.0.1", port: port, timeout: .milliseconds(25), time: SystemTime())
            for round in 0..<200 * Self.factor {
                sent.withLock { $0 = [] }
                let block = Block(round.isMultiple(of: 2) ? .holding : .input, UInt16(round % 500), count: UInt16(1 + round % 9))
                let outcome = await reader.read([block], unit: 7).answers[0].outcome
                guard case .words(let words) = outcome else { continue }
                accepted += 1
                // Asked twice at most: when the connection was lost meanwhile.
                let right = sent.withLock { $0.compactMap { Self.rightWords($0.1, to: $0.0) } }
                #expect(right.contains(words), "round \(round) of seed \(Self.seed): \(words)")
            }
            await reader.close()
        }
        #expect(accepted > 5)
    }

    /// RTU has a checksum but no transaction id: what is accepted must be what stands in the registers that were asked for.
    @Test func noSpoiledFrameOverRTUIsTakenForAnAnswer() async throws {
        print("frame fuzz over RTU: seed \(Self.seed)")
        let random = Lock(SeededGenerator(seed: Self.seed))
        let device = WireDevice { request, _ in
            let body = [request.unit] + request.goodPDU
            return random.withLock { random in
                switch Int.random(in: 0...5, using: &random) {
                case 0...2: return [.send(WireRequest.checked(body))]
                case 3: return [.send(Self.spoil(WireRequest.checked(body), &random))]
                case 4:
                    // Wrong in its head or its length, and signed with the right checksum.
                    var wrong = body
                    switch Int.random(in: 0...3, using: &random) {
                    case 0: wrong[0] = wrong[0] &+ 1
                    case 1: wrong[1] = wrong[1] == 3 ? 4 : 3
                    case 2: wrong[2] = wrong[2] &+ 2
                    default: wrong.removeLast(2)
                    }
                    return [.send(WireRequest.checked(wrong))]
                default: return [.send(Array(WireRequest.checked(body).dropLast(Int.random(in: 1...4, using: &random))))]
                }
            }
        }
        var accepted = 0
        try await withTCPDevice(rtu: true, device) { port in
            let reader = SerialReader(
                name: "fuzz", host: "127.0.0.1", port: port, line: SerialFormat(baud: 115_200), timeout: .milliseconds(25),
                time: SystemTime())
            for round in 0..<40 * Self.factor {
                let block = Block(round.isMultiple(of: 2) ? .holding : .input, UInt16(round % 500), count: UInt16(1 + round % 9))
                guard case .words(let words) = await reader.read([block], unit: 7).answers[0].outcome else { continue }
                accepted += 1
                #expect(words == (0..<Int(block.count)).map { 7000 + block.address + UInt16($0) }, "round \(round) of seed \(Self.seed)")
            }
            await reader.close()
        }
        #expect(accepted > 1)
    }
}
