import Glibc

/// What a growing file holds.
struct FileContent: Hashable {
    /// Up to here whole records stand in it, one after the other.
    var end = 0
    var first: FileMark?
    var last: FileMark?
    /// A whole record stands somewhere behind what is none.
    var isDamaged = false
}

extension GrowingFile {
    /// Reads it line by line: a line and a buffer are in memory, however long the file is.
    func content(_ format: any FileFormat, buffer: Int = 64 << 10) throws(FileFault) -> FileContent {
        var content = FileContent()
        let header = format.header
        if try bytes(at: 0, limit: header.count) == header {
            content.end = header.count
            var current: (mark: FileMark, lines: Int)?
            try eachLine(from: content.end, buffer: buffer) { line, end in
                guard let line, let mark = format.mark(line) else { return false }
                // Another record begins, and the one before it is not whole.
                if let begun = current?.mark, begun != mark { return false }
                let lines = (current?.lines ?? 0) + 1
                current = (mark, lines)
                if lines == mark.lines {
                    (content.end, content.first, content.last) = (end, content.first ?? mark, mark.later(than: content.last))
                    current = nil
                }
                return true
            }
        }
        content.isDamaged = try holdsRecord(format, from: content.end, buffer: buffer)
        return content
    }

    /// Whether a whole record stands anywhere behind `start`.
    private func holdsRecord(_ format: any FileFormat, from start: Int, buffer: Int) throws(FileFault) -> Bool {
        var holds = false
        var current: (mark: FileMark, lines: Int)?
        try eachLine(from: start, buffer: buffer) { line, _ in
            if let line, line.isEmpty { return true }
            guard let line, let mark = format.mark(line) else {
                current = nil
                return true
            }
            let lines = current?.mark == mark ? (current?.lines ?? 0) + 1 : 1
            current = (mark, lines)
            holds = lines == mark.lines
            return !holds
        }
        return holds
    }

    /// Gives each line from `start` on that has an end, without it, and where the next one begins; until `take` wants no more.
    ///
    /// A line is nil when it cannot be ours: it has a zero in it, as blocks have that were never written, or is too long.
    private func eachLine(from start: Int, buffer: Int, _ take: (ArraySlice<UInt8>?, Int) -> Bool) throws(FileFault) {
        var line = Line()
        var offset = start
        while offset < length {
            let piece = try bytes(at: offset, limit: buffer)
            var rest = piece[...]
            while let stop = rest.place(of: UInt8(ascii: "\n")) {
                line.append(rest[..<stop])
                guard take(line.bytes?[...], offset + stop + 1) else { return }
                line.bytes = []
                rest = rest[(stop + 1)...]
            }
            line.append(rest)
            offset += piece.count
        }
    }
}

/// A line that comes in pieces.
private struct Line {
    /// Far above what 512 points can be, each a text of 250 letters that are all escaped.
    private static let limit = 16 << 20

    /// Nil when it cannot be ours.
    var bytes: [UInt8]? = []

    mutating func append(_ piece: ArraySlice<UInt8>) {
        if let count = bytes?.count, count + piece.count > Line.limit || piece.place(of: 0) != nil { bytes = nil }
        bytes?.append(contentsOf: piece)
    }
}

extension ArraySlice<UInt8> {
    /// With the C library's eyes: a file may be a gibibyte.
    fileprivate func place(of byte: UInt8) -> Int? {
        withUnsafeBytes { content in
            guard let base = content.baseAddress, let found = memchr(base, Int32(byte), content.count) else { return nil }
            return startIndex + (UnsafeRawPointer(found) - base)
        }
    }
}
