import Host
import Metering

/// One read request as bytes, and the check that a reply answers it. Function codes 1 to 4 are all there are: they come from
/// `RegisterTable`.
///
/// - Source: Modbus Application Protocol V1.1b3, 6.1 to 6.4 and 7.
struct ReadRequest: Hashable, Sendable {
    let unit: UInt8
    let block: Block

    /// Unit, function, address, count: what stands between MBAP header or line start and checksum.
    var bytes: [UInt8] {
        [
            unit, block.table.functionCode, UInt8(block.address >> 8), UInt8(block.address & 0xFF), UInt8(block.count >> 8),
            UInt8(block.count & 0xFF),
        ]
    }

    /// False for a block that no device may be asked for: empty, over the protocol's limit, or beyond address 65535.
    var isLegal: Bool { block.count >= 1 && Int(block.count) <= block.table.requestLimit && block.range.upperBound <= 65_536 }

    /// All that a reply tells of its request: its function and how many data bytes it has.
    var shape: ReplyShape {
        ReplyShape(function: block.table.functionCode, dataBytes: block.dataBytes)
    }

    /// The data bytes of a checked reply as words: big endian registers, or one word of 0 or 1 a bit.
    func words(from data: UnsafeBufferPointer<UInt8>) -> [UInt16] {
        [UInt16](unsafeUninitializedCapacity: Int(block.count)) { words, count in
            for index in 0..<Int(block.count) {
                if block.table.isBits {
                    words.initializeElement(at: index, to: UInt16(data[index / 8] >> UInt8(index % 8) & 1))
                } else {
                    words.initializeElement(at: index, to: UInt16(data[2 * index]) << 8 | UInt16(data[2 * index + 1]))
                }
            }
            count = Int(block.count)
        }
    }
}

/// What tells replies of one device apart where there is no transaction id.
struct ReplyShape: Hashable, Sendable {
    let function: UInt8
    let dataBytes: Int
}

/// A reply without header and checksum, taken apart but not yet matched with a request.
enum Reply {
    case data(ReplyShape, UnsafeBufferPointer<UInt8>)
    case exception(function: UInt8, code: UInt8)

    /// - Parameter pdu: function code and what follows, without checksum. Nil when its own length does not fit what it says.
    init?(pdu: UnsafeBufferPointer<UInt8>) {
        guard pdu.count >= 2 else { return nil }
        let function = pdu[0]
        if function & 0x80 != 0 {
            guard pdu.count == 2 else { return nil }
            self = .exception(function: function & 0x7F, code: pdu[1])
        } else {
            let length = Int(pdu[1])
            guard pdu.count == 2 + length else { return nil }
            self = .data(ReplyShape(function: function, dataBytes: length), UnsafeBufferPointer(rebasing: pdu[2...]))
        }
    }
}

/// The answers of a visit as they come: after a fault of the line the blocks left get that fault, unasked.
struct VisitAnswers {
    private let blocks: [Block]
    private(set) var all: [BlockAnswer] = []

    init(_ blocks: [Block]) {
        self.blocks = blocks
        all.reserveCapacity(blocks.count)
    }

    /// The block to ask for now.
    var next: Block? { all.count < blocks.count ? blocks[all.count] : nil }

    mutating func add(_ outcome: BlockAnswer.Outcome) {
        all.append(BlockAnswer(block: blocks[all.count], outcome: outcome))
        switch outcome {
        case .fault(.exception), .words: break
        case .fault: all += blocks[all.count...].map { BlockAnswer(block: $0, outcome: outcome) }
        }
    }
}

extension Visit {
    /// Asks block after block; after a fault of the line the rest get that fault unasked. Whoever asks counts the requests.
    init(asking blocks: [Block], time: any TimeSource, _ ask: (Block) -> BlockAnswer.Outcome) {
        var answers = VisitAnswers(blocks)
        while let block = answers.next { answers.add(ask(block)) }
        self.init(answers: answers.all, time: time.wall(), uptime: time.uptime(), requests: 0)
    }
}
