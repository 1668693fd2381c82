import Host
import Metering

/// Reads a chunk back. Whatever the bytes are, it returns polls or throws, within bounded memory.
enum ChunkDecoder {
    static func decode(_ body: [UInt8]) throws(ChunkDamage) -> [CountedPoll] {
        var reader = try checked(body)
        let version = body[0]
        let count = try reader.count(limit: Chunk.decodedPollLimit)
        var directory = ByteReader(try section(&reader, version, limit: Chunk.directoryLimit))
        var groups = try shapes(&directory, polls: count)
        for index in groups.indices { groups[index].noise = try directory.take(groups[index].width) }
        let polls = try heads(&directory, count: count, groups: &groups)
        guard directory.isAtEnd else { throw ChunkDamage(what: "directory has a tail") }
        var streams: [[UInt8]] = []
        for _ in 0..<Chunk.streams { streams.append(try section(&reader, version, limit: 2 * Chunk.decodedWordLimit)) }
        guard reader.isAtEnd else { throw ChunkDamage(what: "chunk has a tail") }
        try fillWords(&groups, from: streams)
        return zip(polls, rows(of: polls)).map { head, row in
            CountedPoll(poll: poll(head, row: row, of: groups[head.group]), readings: head.readings)
        }
    }

    private static func checked(_ body: [UInt8]) throws(ChunkDamage) -> ByteReader {
        guard body.count > Chunk.prefixLength else { throw ChunkDamage(what: "too short") }
        guard (1...Chunk.version).contains(body[0]) else { throw ChunkDamage(what: "unknown chunk version \(body[0])") }
        let stored = (0..<4).reduce(UInt32(0)) { $0 | UInt32(body[1 + $1]) << (8 * UInt32($1)) }
        guard stored == Checksum.crc32(body[Chunk.prefixLength...]) else { throw ChunkDamage(what: "checksum differs") }
        return ByteReader(body, from: Chunk.prefixLength)
    }

    private static func section(_ reader: inout ByteReader, _ version: UInt8, limit: Int) throws(ChunkDamage) -> [UInt8] {
        if version == 1 { return try sectionOfVersion1(&reader, limit: limit) }
        guard let packing = Chunk.Packing(rawValue: try reader.byte()) else { throw ChunkDamage(what: "unknown packing") }
        let length = try reader.count(limit: limit)
        guard packing != .plain else { return try reader.take(length) }
        return try expand(try reader.take(try reader.count(limit: limit)), packing, length: length)
    }

    /// Deflated, but for equal lengths.
    private static func sectionOfVersion1(_ reader: inout ByteReader, limit: Int) throws(ChunkDamage) -> [UInt8] {
        let length = try reader.count(limit: limit)
        let stored = try reader.take(try reader.count(limit: limit))
        return stored.count == length ? stored : try expand(stored, .deflate, length: length)
    }

    private static func expand(_ stored: [UInt8], _ packing: Chunk.Packing, length: Int) throws(ChunkDamage) -> [UInt8] {
        let bytes: [UInt8]?
        switch packing {
        case .plain: bytes = stored
        case .deflate: bytes = try? Deflate.expand(stored, format: .raw, limit: length)
        case .zstandard: bytes = try? Zstandard.expand(stored, limit: length)
        }
        guard let bytes else { throw ChunkDamage(what: "section does not expand") }
        guard bytes.count == length else { throw ChunkDamage(what: "section is shorter than it says") }
        return bytes
    }

    private struct Group {
        var shape: Chunk.Shape
        var width: Int
        /// For each register the streams of its high and low bytes.
        var noise: [UInt8] = []
        /// For each row the row it is stored against, as the encoder chose it.
        var references: [Int] = []
        var lastRow: [CatalogID: Int] = [:]
        /// One poll after the other.
        var words: [UInt16] = []
    }

    private struct Head {
        var entry = CatalogID(0)
        var group = 0
        var readings = 0
        var clock = TimeQuality.unknown
        var time = Timestamp(milliseconds: 0)
        var uptime = Uptime(nanoseconds: 0)
    }

    private static func shapes(_ reader: inout ByteReader, polls: Int) throws(ChunkDamage) -> [Group] {
        var groups: [Group] = []
        var answersLeft = Chunk.decodedAnswerLimit
        for _ in 0..<(try reader.count(limit: polls)) {
            var shape = Chunk.Shape(answers: [])
            let answers = try reader.count(limit: answersLeft)
            answersLeft -= answers
            for _ in 0..<answers { shape.answers.append(try answer(&reader)) }
            groups.append(Group(shape: shape, width: shape.wordCount))
        }
        return groups
    }

    private static func answer(_ reader: inout ByteReader) throws(ChunkDamage) -> Chunk.AnswerShape {
        guard let table = RegisterTable(rawValue: try reader.byte()) else { throw ChunkDamage(what: "unknown register table") }
        let address = UInt16(try reader.count(limit: Int(UInt16.max)))
        let count = UInt16(try reader.count(limit: Int(UInt16.max)))
        let block = Block(table, address, count: count)
        switch try reader.byte() {
        case 0: return Chunk.AnswerShape(block: block, words: Int(count))
        case 1: return Chunk.AnswerShape(block: block, words: 0, fault: .noConnection)
        case 2: return Chunk.AnswerShape(block: block, words: 0, fault: .timeout)
        case 3: return Chunk.AnswerShape(block: block, words: 0, fault: .garbled)
        case 4: return Chunk.AnswerShape(block: block, words: 0, fault: .exception(try reader.byte()))
        case 5: return Chunk.AnswerShape(block: block, words: try reader.count(limit: Chunk.decodedWordLimit))
        default: throw ChunkDamage(what: "unknown outcome")
        }
    }

    /// Reads what is not words, field by field, and gives each group its rows.
    private static func heads(_ reader: inout ByteReader, count: Int, groups: inout [Group]) throws(ChunkDamage) -> [Head] {
        var heads = [Head](repeating: Head(), count: count)
        var entry: Int64 = 0
        for index in heads.indices {
            entry &+= try reader.signed()
            heads[index].entry = CatalogID(entry)
        }
        var words = 0
        var answers = 0
        for index in heads.indices {
            let place = try reader.count(limit: groups.count - 1)
            heads[index].group = place
            words += groups[place].width
            answers += groups[place].shape.answers.count
            guard words <= Chunk.decodedWordLimit, answers <= Chunk.decodedAnswerLimit else { throw ChunkDamage(what: "too large") }
            let row = groups[place].references.count
            groups[place].references.append(groups[place].lastRow[heads[index].entry] ?? row - 1)
            groups[place].lastRow[heads[index].entry] = row
        }
        for index in heads.indices { heads[index].readings = try reader.count(limit: Int(UInt16.max)) }
        for index in heads.indices {
            guard let clock = Chunk.timeQuality(of: try reader.byte()) else { throw ChunkDamage(what: "unknown clock letter") }
            heads[index].clock = clock
        }
        var skew: Int64 = 0
        for index in heads.indices {
            skew &+= try reader.signed()
            heads[index].time.milliseconds = skew
        }
        var uptime: Int64 = 0
        for index in heads.indices {
            uptime &+= try reader.signed()
            heads[index].uptime.nanoseconds = uptime
            heads[index].time.milliseconds &+= uptime / 1_000_000
        }
        return heads
    }

    private static func fillWords(_ groups: inout [Group], from streams: [[UInt8]]) throws(ChunkDamage) {
        var positions = [Int](repeating: 0, count: Chunk.streams)
        for index in groups.indices { try fillWords(&groups[index], streams: streams, positions: &positions) }
        guard zip(streams, positions).allSatisfy({ $0.count == $1 }) else { throw ChunkDamage(what: "stream has a tail") }
    }

    private static func fillWords(_ group: inout Group, streams: [[UInt8]], positions: inout [Int]) throws(ChunkDamage) {
        let rows = group.references.count
        let width = group.width
        group.words = [UInt16](repeating: 0, count: rows * width)
        for column in 0..<width {
            guard group.noise[column] < 16 else { throw ChunkDamage(what: "unknown column mark") }
            let high = Int(group.noise[column] & 3)
            let low = Int(group.noise[column] >> 2 & 3)
            let highStart = positions[high]
            positions[high] += rows
            let lowStart = positions[low]
            positions[low] += rows
            guard positions[high] <= streams[high].count, positions[low] <= streams[low].count else {
                throw ChunkDamage(what: "stream ends early")
            }
            for row in 0..<rows {
                let folded = UInt16(streams[high][highStart + row]) << 8 | UInt16(streams[low][lowStart + row])
                let difference = (folded >> 1) ^ (0 &- (folded & 1))
                let reference = group.references[row]
                let before = reference < 0 ? 0 : group.words[reference * width + column]
                group.words[row * width + column] = before &+ difference
            }
        }
    }

    /// The row of each poll within its group.
    private static func rows(of heads: [Head]) -> [Int] {
        var next: [Int: Int] = [:]
        return heads.map { head in
            let row = next[head.group, default: 0]
            next[head.group] = row + 1
            return row
        }
    }

    private static func poll(_ head: Head, row: Int, of group: Group) -> Poll {
        var start = row * group.width
        let answers = group.shape.answers.map { answer in
            if let fault = answer.fault { return BlockAnswer(block: answer.block, outcome: .fault(fault)) }
            defer { start += answer.words }
            return BlockAnswer(block: answer.block, outcome: .words(Array(group.words[start..<start + answer.words])))
        }
        return Poll(entry: head.entry, time: head.time, uptime: head.uptime, clock: head.clock, answers: answers)
    }
}
