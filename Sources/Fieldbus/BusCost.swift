import Metering

/// What a request costs in bus time: a fixed part, and a part for each word that comes back.
///
///     serial: T = (8 + 5 + 2N) × b / baud + 2 × t3.5 + turnaround       N = 80, 9600 8N1, 20 ms: 207.5 ms
///
/// - Source: Modbus over Serial Line V1.02, 2.5.1.1 for the silence between frames.
package struct BusCost: Hashable, Sendable {
    package var request: Duration
    package var word: Duration

    package init(request: Duration, word: Duration) {
        self.request = request
        self.word = word
    }

    /// - Parameter turnaround: from the end of the request to the start of the answer, as the device takes it.
    package static func serial(_ line: SerialFormat, turnaround: Duration = .milliseconds(20)) -> BusCost {
        BusCost(request: line.time(characters: 13) + line.frameGap * 2 + turnaround, word: line.time(characters: 2))
    }

    /// Words are nearly free on a network; the round trip, mostly the device's own time, is what counts.
    package static func tcp(roundTrip: Duration = .milliseconds(5)) -> BusCost {
        BusCost(request: roundTrip, word: .microseconds(2))
    }

    package init(of address: BusAddress) {
        switch address {
        case .serial(_, let line): self = .serial(line)
        case .tcp: self = .tcp()
        // The line behind the server is not known: take the commonest.
        case .rtuOverTCP: self = .serial(SerialFormat())
        }
    }

    /// Bus time of one request for `words` words.
    package func time(words: Int) -> Duration { request + word * words }

    /// Bus time of one request for the block; sixteen bits are a word.
    package func time(of block: Block) -> Duration { time(words: block.table.isBits ? (Int(block.count) + 15) / 16 : Int(block.count)) }
}

extension Block {
    /// The answer's data bytes.
    var dataBytes: Int { table.isBits ? (Int(count) + 7) / 8 : Int(count) * 2 }
}

extension SerialFormat {
    /// Time on the wire of so many characters.
    package func time(characters: Int) -> Duration {
        .nanoseconds(Int64(characters * bitsPerCharacter) * 1_000_000_000 / Int64(max(baud, 1)))
    }

    /// t3.5, the silence that ends a frame: 3.5 characters, and 1.75 ms above 19,200 baud. 9600 8N1: 3.65 ms.
    package var frameGap: Duration {
        baud > 19_200 ? .microseconds(1750) : .nanoseconds(Int64(bitsPerCharacter) * 3_500_000_000 / Int64(max(baud, 1)))
    }
}
