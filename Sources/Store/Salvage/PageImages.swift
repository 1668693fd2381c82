import Glibc

/// The pages of a damaged database as they lie in its two files, in every version: those of the database, then those of the write-ahead
/// log up to its last commit, whether or not their checksums hold. Whoever reads them checks what they say.
///
/// - Source: SQLite "Database File Format", 4.1 and 4.2 (the WAL).
final class PageImages {
    struct Image: Hashable {
        /// From 1.
        var page: UInt32
        /// False for a frame behind a broken place of the log: it may be of a commit that never was.
        var isTrusted = true
        fileprivate var isLogged: Bool
        fileprivate var offset: Int
    }

    private(set) var images: [Image] = []
    /// The newest image of each page.
    private var newest: [UInt32: Int] = [:]
    private let database: Int32
    private let log: Int32
    static let size = Connection.pageSize

    /// - Parameter path: of the database; its log beside it. A file that is missing has no pages.
    init(path: String) {
        database = Glibc.open(path, O_RDONLY | O_CLOEXEC)
        log = Glibc.open(path + "-wal", O_RDONLY | O_CLOEXEC)
        let count = (PageImages.bytes(of: database) + PageImages.size - 1) / PageImages.size
        for page in 0..<min(count, Int(UInt32.max)) {
            images.append(Image(page: UInt32(page) + 1, isLogged: false, offset: page * PageImages.size))
        }
        let frames = LogFrames(path: path + "-wal")
        for frame in frames.committed {
            images.append(Image(page: frame.page, isTrusted: frame.isWhole, isLogged: true, offset: frame.offset))
        }
        for (index, image) in images.enumerated() { newest[image.page] = index }
    }

    deinit {
        if database >= 0 { close(database) }
        if log >= 0 { close(log) }
    }

    /// The bytes of a page; what a cut took is zeros.
    func bytes(of image: Image) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: PageImages.size)
        _ = pread(image.isLogged ? log : database, &bytes, bytes.count, off_t(image.offset))
        return bytes
    }

    /// The newest version of a page.
    func bytes(ofPage page: UInt32) -> [UInt8]? { newest[page].map { bytes(of: images[$0]) } }

    private static func bytes(of file: Int32) -> Int {
        var facts = stat()
        return file >= 0 && fstat(file, &facts) == 0 ? Int(facts.st_size) : 0
    }
}

/// The frames of a write-ahead log.
struct LogFrames {
    struct Frame: Hashable {
        var page: UInt32
        /// Of the page's bytes in the file.
        var offset: Int
        /// The last of a transaction.
        var isCommit: Bool
        /// Its checksum holds, and those of all before it.
        var isWhole: Bool
    }

    /// Of the log's present generation, up to its last commit.
    private(set) var committed: [Frame] = []
    /// Commits behind the first frame whose checksum fails; SQLite takes the log to end there.
    private(set) var commitsBehindDamage = 0
    /// There is more than the header, and that is broken.
    private var isHeaderBroken = false

    /// What was damaged in the log after it was written; nil when nothing was. A power cut leaves one torn transaction at most, since each
    /// is flushed before the next begins, and the header before the first: two commits behind a broken frame were both whole once.
    var damage: String? {
        if isHeaderBroken { return "the header of the write-ahead log is broken" }
        return commitsBehindDamage > 1 ? "\(commitsBehindDamage) commits stand behind a broken place of the write-ahead log" : nil
    }

    init(path: String) {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return }
        defer { close(file) }
        var header = [UInt8](repeating: 0, count: LogFrames.headerBytes)
        guard pread(file, &header, header.count, 0) == header.count else { return }
        var sum = LogChecksum(isBigEndian: header[3] & 1 == 1)
        sum.add(header[0..<24])
        var isWhole = header[0..<4].bigEndian & ~1 == LogFrames.magic && sum.matches(header[24..<32])
        isHeaderBroken = !isWhole && LogFrames.holdsMore(path)
        let salts = isWhole ? Array(header[16..<24]) : LogFrames.newestSalts(file)
        var frame = [UInt8](repeating: 0, count: LogFrames.frameBytes)
        var frames: [Frame] = []
        var offset = LogFrames.headerBytes
        while pread(file, &frame, frame.count, off_t(offset)) == frame.count {
            let isOurs = frame[8..<16].elementsEqual(salts)
            if isWhole {
                sum.add(frame[0..<8])
                sum.add(frame[24...])
                isWhole = isOurs && sum.matches(frame[16..<24])
            }
            if isOurs {
                let found = Frame(
                    page: frame[0..<4].bigEndian, offset: offset + 24, isCommit: frame[4..<8].bigEndian != 0, isWhole: isWhole)
                frames.append(found)
                if found.isCommit {
                    if !isWhole { commitsBehindDamage += 1 }
                    committed.append(contentsOf: frames)
                    frames = []
                }
            }
            offset += frame.count
        }
    }

    /// Whether there is more in the log than its header.
    static func holdsMore(_ path: String) -> Bool {
        var facts = stat()
        return stat(path, &facts) == 0 && facts.st_size > headerBytes
    }

    /// What marks the frames of the newest generation: SQLite raises the first number by one whenever the log begins anew. Only a frame that
    /// goes on with the checksum of the one before it tells; empty when none does.
    private static func newestSalts(_ file: Int32) -> [UInt8] {
        var newest: [UInt8] = []
        var before = [UInt8](repeating: 0, count: 24)
        var frame = [UInt8](repeating: 0, count: frameBytes)
        var offset = headerBytes
        while pread(file, &frame, frame.count, off_t(offset)) == frame.count {
            var sum = LogChecksum(isBigEndian: 1.bigEndian == 1, goingOn: before[16..<24])
            sum.add(frame[0..<8])
            sum.add(frame[24...])
            let salts = Array(frame[8..<16])
            // The checksum of zeros is zero, and no page has that number.
            if frame[0..<4].bigEndian > 0, before[8..<16].elementsEqual(salts), sum.matches(frame[16..<24]) {
                let step = Int32(bitPattern: salts[0..<4].bigEndian &- newest.prefix(4).bigEndian)
                if newest.isEmpty || step > 0 { newest = salts }
            }
            before = Array(frame[..<24])
            offset += frame.count
        }
        return newest
    }

    /// But for the last bit, which tells the byte order of the checksums: that of the machine that wrote it.
    private static let magic: UInt32 = 0x377f_0682
    private static let headerBytes = 32
    private static let frameBytes = 24 + Connection.pageSize
}

/// The running checksum of a write-ahead log, over pairs of 32-bit words.
private struct LogChecksum {
    let isBigEndian: Bool
    private var first: UInt32 = 0
    private var second: UInt32 = 0

    init(isBigEndian: Bool) { self.isBigEndian = isBigEndian }

    /// - Parameter stored: the checksum so far.
    init(isBigEndian: Bool, goingOn stored: ArraySlice<UInt8>) {
        self.isBigEndian = isBigEndian
        first = stored.prefix(4).bigEndian
        second = stored.dropFirst(4).bigEndian
    }

    /// - Parameter bytes: a multiple of eight.
    mutating func add(_ bytes: ArraySlice<UInt8>) {
        bytes.withUnsafeBytes { bytes in
            for offset in stride(from: 0, to: bytes.count - 7, by: 8) {
                first = first &+ word(bytes, offset) &+ second
                second = second &+ word(bytes, offset + 4) &+ first
            }
        }
    }

    func matches(_ stored: ArraySlice<UInt8>) -> Bool {
        stored.prefix(4).bigEndian == first && stored.dropFirst(4).bigEndian == second
    }

    private func word(_ bytes: UnsafeRawBufferPointer, _ offset: Int) -> UInt32 {
        let raw = bytes.loadUnaligned(fromByteOffset: offset, as: UInt32.self)
        return isBigEndian ? UInt32(bigEndian: raw) : UInt32(littleEndian: raw)
    }
}

extension ArraySlice<UInt8> {
    /// At most its first four bytes as a number.
    var bigEndian: UInt32 { prefix(4).reduce(0) { $0 << 8 | UInt32($1) } }
}
