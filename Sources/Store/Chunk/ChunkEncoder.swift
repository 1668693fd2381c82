import Host
import Metering

/// Makes the bytes of a chunk.
enum ChunkEncoder {
    /// - Parameters:
    ///   - polls: in order of their seq; within the limits of `Chunk`, so that the decoder takes the result.
    ///   - pack: makes a section shorter; what it gives is used only if it does.
    static func encode(_ polls: [CountedPoll], pack: ([UInt8]) -> (Chunk.Packing, [UInt8]) = pack) -> [UInt8] {
        let groups = Groups(polls)
        var streams = [[UInt8]](repeating: [], count: Chunk.streams)
        var directory: [UInt8] = []
        writeShapes(groups, to: &directory)
        for group in groups.groups { writeColumns(group, directory: &directory, streams: &streams) }
        writePolls(polls, groups, to: &directory)

        var body: [UInt8] = [Chunk.version, 0, 0, 0, 0]
        body.append(count: polls.count)
        writeSection(directory, pack, to: &body)
        for stream in streams { writeSection(stream, pack, to: &body) }
        let sum = Checksum.crc32(body[Chunk.prefixLength...])
        for index in 0..<4 { body[1 + index] = UInt8(truncatingIfNeeded: sum >> (8 * UInt32(index))) }
        return body
    }

    /// Polls of one shape, with their words one poll after the other.
    struct Group {
        var shape: Chunk.Shape
        var width: Int
        var rows = 0
        var words: [UInt16] = []
        /// For each row the row it is stored against: the device's last one, else the row before; -1 for none.
        var references: [Int] = []
        var lastRow: [CatalogID: Int] = [:]
    }

    /// Sorts polls by shape.
    struct Groups {
        var groups: [Group] = []
        /// The group of each poll.
        var places: [Int] = []
        private var known: [Chunk.Shape: Int] = [:]
        private var latest: [CatalogID: Int] = [:]

        init(_ polls: [CountedPoll]) {
            places.reserveCapacity(polls.count)
            for poll in polls { add(poll.poll) }
        }

        private mutating func add(_ poll: Poll) {
            let place = place(of: poll)
            latest[poll.entry] = place
            places.append(place)
            let row = groups[place].rows
            groups[place].references.append(groups[place].lastRow[poll.entry] ?? row - 1)
            groups[place].lastRow[poll.entry] = row
            groups[place].rows += 1
            for answer in poll.answers {
                if case .words(let words) = answer.outcome { groups[place].words.append(contentsOf: words) }
            }
        }

        private mutating func place(of poll: Poll) -> Int {
            if let place = latest[poll.entry], groups[place].shape.fits(poll) { return place }
            let shape = Chunk.Shape(of: poll)
            if let place = known[shape] { return place }
            groups.append(Group(shape: shape, width: shape.wordCount))
            known[shape] = groups.count - 1
            return groups.count - 1
        }
    }

    private static func writeShapes(_ groups: Groups, to directory: inout [UInt8]) {
        directory.append(count: groups.groups.count)
        for group in groups.groups {
            directory.append(count: group.shape.answers.count)
            for answer in group.shape.answers {
                directory.append(answer.block.table.rawValue)
                directory.append(count: Int(answer.block.address))
                directory.append(count: Int(answer.block.count))
                switch answer.fault {
                case nil where answer.words == Int(answer.block.count): directory.append(0)
                case nil:
                    directory.append(5)
                    directory.append(count: answer.words)
                case .noConnection: directory.append(1)
                case .timeout: directory.append(2)
                case .garbled: directory.append(3)
                case .exception(let code):
                    directory.append(4)
                    directory.append(code)
                }
            }
        }
    }

    /// Each register's differences, their high bytes as one column and their low bytes as another, go to the stream of their noise.
    private static func writeColumns(_ group: Group, directory: inout [UInt8], streams: inout [[UInt8]]) {
        var high = [UInt8](repeating: 0, count: group.rows)
        var low = high
        for column in 0..<group.width {
            var highBits = 0
            var lowBits = 0
            for row in 0..<group.rows {
                let reference = group.references[row]
                let before = reference < 0 ? 0 : group.words[reference * group.width + column]
                let difference = Int16(bitPattern: group.words[row * group.width + column] &- before)
                let folded = UInt16(bitPattern: (difference << 1) ^ (difference >> 15))
                high[row] = UInt8(folded >> 8)
                low[row] = UInt8(truncatingIfNeeded: folded)
                highBits += 8 - high[row].leadingZeroBitCount
                lowBits += 8 - low[row].leadingZeroBitCount
            }
            let highStream = stream(bits: highBits, rows: group.rows)
            let lowStream = stream(bits: lowBits, rows: group.rows)
            directory.append(UInt8(highStream | lowStream << 2))
            streams[highStream].append(contentsOf: high)
            streams[lowStream].append(contentsOf: low)
        }
    }

    /// The mean number of significant bits decides: below 1, 4, 6.5, or above (7 is pure noise).
    static func stream(bits: Int, rows: Int) -> Int {
        bits < rows ? 0 : bits < 4 * rows ? 1 : 2 * bits < 13 * rows ? 2 : 3
    }

    /// Field by field, so that like stands by like.
    private static func writePolls(_ polls: [CountedPoll], _ groups: Groups, to directory: inout [UInt8]) {
        var entry: Int64 = 0
        for poll in polls {
            directory.append(signed: poll.poll.entry.rawValue &- entry)
            entry = poll.poll.entry.rawValue
        }
        for place in groups.places { directory.append(count: place) }
        for poll in polls { directory.append(count: poll.readings) }
        for poll in polls { directory.append(Chunk.code(of: poll.poll.clock)) }
        var skew: Int64 = 0
        for poll in polls {
            let own = poll.poll.time.milliseconds &- poll.poll.uptime.nanoseconds / 1_000_000
            directory.append(signed: own &- skew)
            skew = own
        }
        var uptime: Int64 = 0
        for poll in polls {
            directory.append(signed: poll.poll.uptime.nanoseconds &- uptime)
            uptime = poll.poll.uptime.nanoseconds
        }
    }

    /// By length, and by what it costs: Zstandard at its fastest.
    static func pack(_ bytes: [UInt8]) -> (Chunk.Packing, [UInt8]) {
        bytes.count < Chunk.Packing.zstandardLength
            ? (.deflate, Deflate.compress(bytes, format: .raw, level: 6)) : (.zstandard, Zstandard.compress(bytes, level: 1))
    }

    private static func writeSection(_ bytes: [UInt8], _ pack: ([UInt8]) -> (Chunk.Packing, [UInt8]), to body: inout [UInt8]) {
        let (packing, packed) = bytes.isEmpty ? (.plain, bytes) : pack(bytes)
        let isShorter = packed.count < bytes.count
        body.append(isShorter ? packing.rawValue : Chunk.Packing.plain.rawValue)
        body.append(count: bytes.count)
        if isShorter { body.append(count: packed.count) }
        body.append(contentsOf: isShorter ? packed : bytes)
    }
}
