import Glibc
import TestSupport
import Testing

@testable import Uplink

/// The growing file is read in pieces, and understood as if it were read whole.
@Suite struct FileContentTests {
    /// What a file of these bytes holds.
    private func content(of bytes: [UInt8], _ format: any FileFormat) -> FileContent {
        var content = FileContent()
        if bytes.starts(with: format.header) {
            var current: (mark: FileMark, lines: Int)?
            content.end = format.header.count
            var start = content.end
            while let stop = bytes[start...].firstIndex(of: UInt8(ascii: "\n")) {
                guard !bytes[start..<stop].contains(0), let mark = format.mark(bytes[start..<stop]) else { break }
                if let begun = current?.mark, begun != mark { break }
                let lines = (current?.lines ?? 0) + 1
                current = (mark, lines)
                start = stop + 1
                guard lines == mark.lines else { continue }
                (content.end, content.first, content.last) = (start, content.first ?? mark, mark.later(than: content.last))
                current = nil
            }
        }
        var current: (mark: FileMark, lines: Int)?
        for line in bytes[content.end...].split(separator: UInt8(ascii: "\n")) {
            guard let mark = format.mark(line), !line.contains(0) else {
                current = nil
                continue
            }
            let lines = current?.mark == mark ? (current?.lines ?? 0) + 1 : 1
            current = (mark, lines)
            if lines == mark.lines, line.endIndex < bytes.count { content.isDamaged = true }
        }
        return content
    }

    @Test(arguments: FileUpstream.Settings.Format.allCases)
    func aFileReadInPiecesIsUnderstoodAsOneReadWhole(_ kind: FileUpstream.Settings.Format) throws {
        let folder = try ScratchFolder("pieces")
        let spoiler = TextSpoiler(scraps: ["\n", "\n\n", "\0", "\0\0\0\0\n", ",1,2,\n", "}\n"])
        var generator = SeededGenerator(seed: 2_027)
        var format: any FileFormat = kind == .csv ? CSVFormat() : JSONLinesFormat()
        let whole = String(decoding: format.header + format.records(of: Plant.batch(1...5), limit: .max).bytes, as: UTF8.self)
        var (damaged, torn) = (0, 0)
        for round in 0..<200 {
            let bytes = Array((round == 0 ? whole : spoiler.spoil(whole, &generator)).utf8)
            let path = folder.file("\(round)")
            var file = try GrowingFile(path: path)
            try file.append(bytes)
            let expected = content(of: bytes, format)
            for buffer in [1, 7, 64, 64 << 10] {
                #expect(try file.content(format, buffer: buffer) == expected, "round \(round) of seed 2027, \(buffer) bytes at a time")
            }
            if expected.isDamaged { damaged += 1 } else if expected.end < bytes.count { torn += 1 }
            unlink(path)
        }
        #expect(damaged > 20 && torn > 5)
    }

    /// It may be a gibibyte, and the box may have half of one.
    @Test func aLongFileIsNotReadIntoMemory() async throws {
        await #expect(processExitsWith: .success) {
            let folder = try ScratchFolder("long")
            let path = folder.file("disk.jsonl.part")
            var file = try GrowingFile(path: path)
            let site = String(repeating: "x", count: 1 << 16)
            for start in stride(from: 1, to: 1024, by: 64) {
                let lines = (start..<start + 64).map { #"{"journal":"2f6e","seq":\#($0),"time":1795459200000,"site":"\#(site)"}"# + "\n" }
                try file.append(Array(lines.joined().utf8))
            }
            let length = file.length
            // A power cut left blocks behind it that were never written.
            #expect(truncate(path, off_t(length + 256 << 20)) == 0)
            let before = try #require(FileContentTests.peakKibibytes())
            let output = FileUpstream(FileUpstream.Settings(directory: folder.path, name: "disk", format: .jsonl, rotateSize: 1 << 30))
            #expect(await output.send(Plant.batch(1020...1026)) == .accepted(rejected: []))
            let grown = try #require(FileContentTests.peakKibibytes()) - before
            #expect(grown < 32 << 10, "\(grown) KiB more for \(length >> 10) KiB of records")
            let mended = try GrowingFile(path: path)
            let content = try mended.content(JSONLinesFormat())
            #expect(content.first?.seq == 1 && content.last?.seq == 1026 && content.end == mended.length)
            #expect(mended.length > length && mended.length < length + 1000)
        }
    }

    /// The most memory that this process ever had.
    private static func peakKibibytes() -> Int? {
        let line = TextFile.content("/proc/self/status").split(separator: "\n").first { $0.hasPrefix("VmHWM:") }
        return line.flatMap { Int($0.filter(\.isNumber)) }
    }
}
