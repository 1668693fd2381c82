/// A disk on which a `WriteLog` is played, and what may be found on it when the power goes.
///
/// A write is on the disk for sure once its file was flushed afterwards. Until then it is, or is not, or in part, whatever became of the
/// writes before and after it. Sectors are 512 bytes and whole: SQLite counts on a write leaving its neighbours alone. Names are on the
/// disk once the directory was flushed, which SQLite does with the first flush of a journal or write-ahead log.
struct CrashedDisk {
    enum Survivors: Hashable, CaseIterable {
        /// Nothing that was not flushed.
        case none
        /// Everything.
        case all
        /// Each unflushed write by the toss of a coin.
        case some
        /// The same, and of each that survives only some sectors.
        case torn
    }

    private struct File {
        var bytes: [UInt8] = []
        var pending: [WriteLog.Entry] = []
    }

    private var files: [String: File] = [:]
    /// Names that are in the directory for sure, and changes that may be.
    private var names: Set<String> = []
    private var pendingNames: [(name: String, exists: Bool)] = []

    mutating func play(_ entry: WriteLog.Entry) {
        switch entry {
        case .create(let name):
            files[name] = File()
            pendingNames.append((name, true))
        case .delete(let name): pendingNames.append((name, false))
        case .write(let name, _, _), .truncate(let name, _): files[name, default: File()].pending.append(entry)
        case .sync(let name):
            guard var file = files[name] else { return }
            for pending in file.pending { CrashedDisk.apply(pending, to: &file.bytes) }
            file.pending = []
            files[name] = file
            guard name.hasSuffix("-wal") || name.hasSuffix("-journal") else { return }
            for change in pendingNames { CrashedDisk.apply(change, to: &names) }
            pendingNames = []
        }
    }

    /// The files as the next start may find them.
    func image(_ survivors: Survivors, using generator: inout SeededGenerator) -> [String: [UInt8]] {
        var found = names
        for change in pendingNames where survives(survivors, &generator) { CrashedDisk.apply(change, to: &found) }
        var image: [String: [UInt8]] = [:]
        for name in found.sorted() {
            guard var file = files[name] else { continue }
            for entry in file.pending where survives(survivors, &generator) {
                guard survivors == .torn, case .write(_, let offset, let bytes) = entry else {
                    CrashedDisk.apply(entry, to: &file.bytes)
                    continue
                }
                for (start, end) in CrashedDisk.sectors(offset..<offset + bytes.count) where Bool.random(using: &generator) {
                    CrashedDisk.apply(.write(name, offset: start, bytes: Array(bytes[start - offset..<end - offset])), to: &file.bytes)
                }
            }
            image[name] = file.bytes
        }
        return image
    }

    private func survives(_ survivors: Survivors, _ generator: inout SeededGenerator) -> Bool {
        switch survivors {
        case .none: false
        case .all: true
        case .some, .torn: Bool.random(using: &generator)
        }
    }

    private static func sectors(_ range: Range<Int>) -> [(Int, Int)] {
        var parts: [(Int, Int)] = []
        var start = range.lowerBound
        while start < range.upperBound {
            let end = min((start / 512 + 1) * 512, range.upperBound)
            parts.append((start, end))
            start = end
        }
        return parts
    }

    private static func apply(_ entry: WriteLog.Entry, to bytes: inout [UInt8]) {
        switch entry {
        case .write(_, let offset, let new):
            if bytes.count < offset + new.count { bytes += [UInt8](repeating: 0, count: offset + new.count - bytes.count) }
            bytes.replaceSubrange(offset..<offset + new.count, with: new)
        case .truncate(_, let size): if size < bytes.count { bytes.removeLast(bytes.count - size) }
        case .create, .delete, .sync: break
        }
    }

    private static func apply(_ change: (name: String, exists: Bool), to names: inout Set<String>) {
        if change.exists { names.insert(change.name) } else { names.remove(change.name) }
    }
}
