import Metering

/// A poll, and how many readings its profile makes of it: what a loss is counted in.
package struct CountedPoll: Hashable, Sendable {
    package var poll: Poll
    package var readings: Int

    /// - Parameter readings: 0 ... 65535.
    package init(poll: Poll, readings: Int) {
        self.poll = poll
        self.readings = readings
    }
}

/// The bytes in which polls are stored: one chunk a commit, readable by itself. docs/storage.md gives them byte by byte.
///
/// Words are stored as differences from the previous poll of the same device, low and high bytes apart, a column for each register, and
/// columns of like noise together: what is quiet deflates to almost nothing, what is noise is not held up by it.
enum Chunk {
    /// What is written. Version 1, of which only the sections differ, is read too.
    static let version: UInt8 = 2
    /// Version and checksum.
    static let prefixLength = 5
    /// Columns are sorted into this many streams, from quiet to noise.
    static let streams = 4

    /// What an encoder puts into one chunk at most; more polls become more chunks.
    static let pollLimit = 4096
    static let wordLimit = 1 << 20
    static let answerLimit = 1 << 17

    /// The running costs of a poll against the limits.
    struct Size {
        var polls = 0
        var words = 0
        var answers = 0

        mutating func add(_ poll: Poll) {
            polls += 1
            answers += poll.answers.count
            for case .words(let words) in poll.answers.lazy.map(\.outcome) { self.words += words.count }
        }

        var isFull: Bool { polls >= Chunk.pollLimit || words >= Chunk.wordLimit || answers >= Chunk.answerLimit }
    }

    /// What a decoder accepts at most: anything beyond is damage. Twice what an encoder writes, for the poll that goes over the edge.
    static let decodedPollLimit = 2 * pollLimit
    static let decodedWordLimit = 2 * wordLimit
    static let decodedAnswerLimit = 2 * answerLimit
    static let directoryLimit = 1 << 23

    /// The blocks of a poll and what came of each, without the words: the same for poll after poll of a device.
    struct Shape: Hashable {
        var answers: [AnswerShape]

        var wordCount: Int { answers.reduce(0) { $0 + $1.words } }

        init(answers: [AnswerShape]) { self.answers = answers }
        init(of poll: Poll) { answers = poll.answers.map(AnswerShape.init) }

        /// The same as `self == Shape(of: poll)`, without making one.
        func fits(_ poll: Poll) -> Bool {
            guard answers.count == poll.answers.count else { return false }
            for index in answers.indices where answers[index] != AnswerShape(poll.answers[index]) { return false }
            return true
        }
    }

    struct AnswerShape: Hashable {
        var block: Block
        /// Words stored; 0 for a fault.
        var words: Int
        var fault: ReadFault?

        init(block: Block, words: Int, fault: ReadFault? = nil) {
            self.block = block
            self.words = words
            self.fault = fault
        }

        init(_ answer: BlockAnswer) {
            switch answer.outcome {
            case .words(let words): self.init(block: answer.block, words: words.count)
            case .fault(let fault): self.init(block: answer.block, words: 0, fault: fault)
            }
        }
    }

    /// How the bytes of a section are stored.
    enum Packing: UInt8 {
        case plain = 0
        /// A bare deflate stream (RFC 1951): the smaller one for short sections.
        case deflate = 1
        /// A Zstandard frame (RFC 8878): a tenth of the CPU time, and for long sections no larger.
        case zstandard = 2

        /// From this length on sections are packed by Zstandard.
        static let zstandardLength = 4096
    }

    /// The letters of `TimeQuality` are what is stored.
    static func code(of quality: TimeQuality) -> UInt8 { quality.rawValue.asciiValue ?? UInt8(ascii: "U") }
    static func timeQuality(of code: UInt8) -> TimeQuality? { TimeQuality(rawValue: Character(Unicode.Scalar(code))) }
}
