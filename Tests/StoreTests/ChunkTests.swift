import Host
import Metering
import Testing

@testable import Store

struct ChunkTests {
    @Test func whatIsDecodedIsWhatWasEncoded() throws {
        var generator = SeededGenerator(seed: 11)
        for _ in 0..<150 {
            let polls = (0..<Int.random(in: 0...60, using: &generator)).map { _ in randomPoll(using: &generator) }
            #expect(try ChunkDecoder.decode(ChunkEncoder.encode(polls)) == polls)
        }
    }

    @Test func sameShapePollsOfManyDevicesComeBack() throws {
        var generator = SeededGenerator(seed: 12)
        let polls = plant(devices: 7, rounds: 6, values: 9, using: &generator)
        #expect(try ChunkDecoder.decode(ChunkEncoder.encode(polls)) == polls)
    }

    @Test func anyFlippedByteIsFoundOut() throws {
        let body = ChunkEncoder.encode(polls(1...20))
        for index in body.indices {
            var damaged = body
            damaged[index] ^= 0x40
            #expect(throws: ChunkDamage.self) { try ChunkDecoder.decode(damaged) }
        }
    }

    @Test func anyCutIsFoundOut() {
        let body = ChunkEncoder.encode(polls(1...20))
        for length in 0..<body.count { #expect(throws: ChunkDamage.self) { try ChunkDecoder.decode(Array(body[..<length])) } }
    }

    /// With a right checksum over wrong bytes the parser itself is what stands between the bytes and a trap.
    @Test func hostileBytesNeverTrap() throws {
        var generator = SeededGenerator(seed: 13)
        var survived = 0
        for round in 0..<4000 {
            let polls = (0..<(1 + round % 9)).map { _ in randomPoll(using: &generator) }
            // Plain sections reach deeper than deflated ones, of which most changes only break the inflater.
            var body = uncompressed(polls)
            for _ in 0..<Int.random(in: 1...4, using: &generator) {
                let index = Int.random(in: Chunk.prefixLength..<body.count, using: &generator)
                switch Int.random(in: 0...3, using: &generator) {
                case 0: body[index] = UInt8.random(in: 0...255, using: &generator)
                case 1: body[index] = 0xff
                case 2: body.insert(UInt8.random(in: 0...255, using: &generator), at: index)
                default: if body.count > Chunk.prefixLength + 1 { body.remove(at: index) }
                }
            }
            reseal(&body)
            if (try? ChunkDecoder.decode(body)) != nil { survived += 1 }
        }
        // Changed words and times are as good as others; if nothing came through, the test would not reach the parser.
        #expect(survived > 100)
    }

    @Test(arguments: [Chunk.Packing.plain, .deflate, .zstandard]) func aBombIsRefused(_ packing: Chunk.Packing) {
        var body: [UInt8] = [Chunk.version, 0, 0, 0, 0]
        body.append(count: 1)
        body.append(packing.rawValue)
        body.append(count: Chunk.directoryLimit + 1)
        body.append(count: 3)
        body.append(contentsOf: [1, 2, 3])
        reseal(&body)
        #expect(throws: ChunkDamage(what: "count \(Chunk.directoryLimit + 1) above \(Chunk.directoryLimit)")) {
            try ChunkDecoder.decode(body)
        }
    }

    @Test func checksumIsTheCommonOne() {
        #expect(Checksum.crc32(Array("123456789".utf8)[...]) == 0xcbf4_3926)
    }

    @Test(arguments: [0, 1, -1, 63, -64, 64, .max, .min]) func signedNumbersComeBack(_ number: Int64) throws {
        var bytes: [UInt8] = []
        bytes.append(signed: number)
        var reader = ByteReader(bytes)
        let read = try reader.signed()
        #expect(read == number)
    }

    @Test func aNumberOfMoreThan64BitsIsDamage() {
        var reader = ByteReader([UInt8](repeating: 0xff, count: 9) + [0x02])
        #expect(throws: ChunkDamage.self) { _ = try reader.varint() }
    }

    /// A journal written today must be readable for ever: this one was.
    @Test func theBytesOfVersion1StayReadable() throws {
        var body: [UInt8] = [1, 0, 0, 0, 0, 1, UInt8(ChunkTests.directory.count), UInt8(ChunkTests.directory.count)]
        body += ChunkTests.directory
        body += [0, 0, 0, 0, 1, 1, 0x24, 1, 1, 0x68]
        reseal(&body)
        #expect(try ChunkDecoder.decode(body) == [ChunkTests.worked])
    }

    /// The same with each kind of section.
    @Test func theBytesOfVersion2StayReadable() throws {
        let directory = ChunkTests.directory
        var body: [UInt8] = [2, 0, 0, 0, 0, 1]
        // A bare deflate stream of one stored block: final, its length, the complement of that.
        let length = UInt8(directory.count)
        body += [1, length, length + 5, 0x01, length, 0x00, ~length, 0xff] + directory
        body += [0, 0, 0, 0]  // two empty sections
        // A Zstandard frame: magic, "one segment, its size in a byte", 1, a last block of one byte to be repeated once.
        body += [2, 1, 10, 0x28, 0xb5, 0x2f, 0xfd, 0x20, 1, 0x0b, 0x00, 0x00, 0x24]
        body += [0, 1, 0x68]
        reseal(&body)
        #expect(try ChunkDecoder.decode(body) == [ChunkTests.worked])
    }

    @Test func longSectionsArePackedByTheOnePackerAndShortOnesByTheOther() {
        var generator = SeededGenerator(seed: 14)
        var packings: Set<Chunk.Packing> = []
        for devices in [3, 60] {
            let polls = plant(devices: devices, rounds: 5, values: 40, using: &generator)
            let body = ChunkEncoder.encode(polls) { bytes in
                let (packing, packed) = ChunkEncoder.pack(bytes)
                packings.insert(packing)
                #expect(packing == (bytes.count < 4096 ? .deflate : .zstandard))
                return (packing, packed)
            }
            #expect(body == ChunkEncoder.encode(polls))
            #expect(body.count * 10 < polls.count * 40 * 30)
        }
        #expect(packings == [.deflate, .zstandard])
    }

    /// What an older meterd wrote, in full: format 4, chunks of version 1, deflated.
    @Test func aJournalOfVersion1ChunksGoesOn() async throws {
        var generator = SeededGenerator(seed: 15)
        let directory = TemporaryDirectory()
        let old = plant(devices: 30, rounds: 10, values: 40, using: &generator)
        let connection = try Connection(path: directory.journal)
        try connection.configure()
        try Schema.migrate(connection, created: 0, journalID: "j", steps: Array(Schema.migrations[..<4]))
        for (index, part) in old.chunked(60).enumerated() {
            let body = try version1(of: part)
            #expect(try ChunkDecoder.decode(body) == part)
            try connection.run(
                "INSERT INTO chunk VALUES (?, ?, 1, 60, 2400, 0, 0, ?)", SQLValue(60 * index + 1), SQLValue(60 * index + 60), .blob(body))
        }
        try connection.execute("UPDATE journal SET last_seq = 300, polls = 300, readings = 12000")
        connection.close()
        let store = try await Store.open(directory)
        #expect(await store.openReport.migratedFrom == 4 && Schema.version == 5)
        let new = plant(devices: 30, rounds: 2, values: 40, using: &generator)
        _ = try await store.commit(new)
        #expect(try await store.drain("park").map(\.poll) == (old + new).map(\.poll))
        #expect(try await store.number("SELECT count(DISTINCT substr(body, 1, 1)) FROM chunk") == 2)
        await store.close()
    }

    private static let worked = CountedPoll(
        poll: Poll(
            entry: CatalogID(3), time: Timestamp(milliseconds: 1_700_000_000_123), uptime: Uptime(nanoseconds: 5_000_000_000),
            clock: .unknown,
            answers: [
                BlockAnswer(block: Block(.holding, 0x0156, count: 1), outcome: .words([0x1234])),
                BlockAnswer(block: Block(.input, 2, count: 1), outcome: .fault(.exception(2))),
            ]), readings: 9)

    private static let directory: [UInt8] = [
        1,  // one shape
        2,  // of two answers
        3, 0xd6, 0x02, 1, 0,  // holding, 342, 1 word, as many words as asked for
        4, 2, 1, 4, 2,  // input, 2, 1 word, exception 2
        0b1110,  // word 0x1234 folds to 0x2468: 6 significant bits high, stream 2; 7 low, stream 3
        6,  // entry +3
        0,  // shape 0
        9,  // nine readings
        0x55,  // clock U
        0xe6, 0xd3, 0xaa, 0xfe, 0xf9, 0x62,  // 1700000000123 - 5000 ms
        0x80, 0xc8, 0xaf, 0xa0, 0x25,  // uptime 5 s
    ]

    /// The same chunk as version 1 had it.
    private func version1(of polls: [CountedPoll]) throws -> [UInt8] {
        var plain = ByteReader(uncompressed(polls), from: Chunk.prefixLength)
        var body: [UInt8] = [1, 0, 0, 0, 0]
        body.append(varint: try plain.varint())
        for _ in 0...Chunk.streams {
            #expect(try plain.byte() == 0)
            let section = try plain.take(Int(try plain.varint()))
            let packed = Deflate.compress(section, format: .raw, level: 6)
            body.append(count: section.count)
            body.append(count: min(packed.count, section.count))
            body += packed.count < section.count ? packed : section
        }
        reseal(&body)
        return body
    }

    private func reseal(_ body: inout [UInt8]) {
        let sum = Checksum.crc32(body[Chunk.prefixLength...])
        for index in 0..<4 { body[1 + index] = UInt8(truncatingIfNeeded: sum >> (8 * UInt32(index))) }
    }

    /// The same chunk with every section stored plain.
    private func uncompressed(_ polls: [CountedPoll]) -> [UInt8] {
        ChunkEncoder.encode(polls) { (.plain, $0) }
    }
}

/// Rounds of polls of a plant whose float32 values wander smoothly, each with noise of its own.
func plant(devices: Int, rounds: Int, values: Int, using generator: inout SeededGenerator) -> [CountedPoll] {
    var polls: [CountedPoll] = []
    for round in 0..<rounds {
        for device in 0..<devices {
            var words: [UInt16] = []
            for value in 0..<values {
                let level = [230.1, 12.4, 2_850.0, 0.97, 50.0, 123_456.7][value % 6] * (1 + 0.03 * Double(device % 7))
                let noise = Double.random(in: -0.0005...0.0005, using: &generator)
                let number = Float(level * (1 + noise) + Double(round) * 0.01)
                words.append(UInt16(number.bitPattern >> 16))
                words.append(UInt16(truncatingIfNeeded: number.bitPattern))
            }
            let uptime = Int64(round) * 1_000_000_000 + Int64(device) * 9_000_000 + Int64.random(in: 0...900_000, using: &generator)
            polls.append(
                CountedPoll(
                    poll: Poll(
                        entry: CatalogID(Int64(device) + 1), time: Timestamp(milliseconds: 1_795_459_200_000 + uptime / 1_000_000),
                        uptime: Uptime(nanoseconds: uptime), clock: .synchronized,
                        answers: [BlockAnswer(block: Block(.input, 0, count: UInt16(2 * values)), outcome: .words(words))]),
                    readings: values))
        }
    }
    return polls
}
