import FoundationEssentials
import Glibc

/// The finished files of an output of which only so many are kept, in the order in which they were finished.
///
/// That is the order of their times of change: what comes again after a rewind has old days and seqs in its name.
struct FinishedFiles {
    private typealias Age = (seconds: Int, nanoseconds: Int, day: String, seq: Int64)

    private let keep: Int
    private let files: [(path: String, age: Age)]

    /// Nil when all are kept.
    init?(_ settings: FileUpstream.Settings) {
        guard let keep = settings.keepFiles else { return nil }
        self.keep = keep
        let names = (try? FileManager.default.contentsOfDirectory(atPath: settings.directory)) ?? []
        files = names.compactMap { name in
            let path = "\(settings.directory)/\(name)"
            guard let (day, seq) = FinishedFiles.beginning(name, settings), let time = FinishedFiles.time(path) else { return nil }
            return (path, (time.tv_sec, time.tv_nsec, day, seq))
        }
        .sorted { $0.age < $1.age }
    }

    /// Makes the file at `path` younger than all of them, as it is not by itself when the clock was set back.
    func precede(_ path: String) {
        guard let newest = files.last?.age, let own = FinishedFiles.time(path),
            (own.tv_sec, own.tv_nsec) <= (newest.seconds, newest.nanoseconds)
        else { return }
        let isFull = newest.nanoseconds >= 999_999_999
        let time = timespec(tv_sec: newest.seconds + (isFull ? 1 : 0), tv_nsec: isFull ? 0 : newest.nanoseconds + 1)
        utimensat(AT_FDCWD, path, [time, time], AT_SYMLINK_NOFOLLOW)
    }

    /// Removes the oldest, so that with one more there are as many as are kept. A file that cannot be removed stays: that is no reason to
    /// stop writing.
    func makeRoom() {
        for file in files.dropLast(max(0, keep - 1)) { unlink(file.path) }
    }

    private static func time(_ path: String) -> timespec? {
        var status = stat()
        return lstat(path, &status) == 0 ? status.st_mtim : nil
    }

    /// The day and the first seq in a finished file's name; nil for other files.
    private static func beginning(_ name: String, _ settings: FileUpstream.Settings) -> (String, Int64)? {
        let (prefix, suffix) = (settings.name + "-", "." + settings.format.rawValue)
        guard name.hasPrefix(prefix), name.hasSuffix(suffix) else { return nil }
        let fields = name.dropFirst(prefix.count).dropLast(suffix.count).split(separator: "-")
        // The seventh is the copy.
        guard (6...7).contains(fields.count), fields[0].count == 4, fields[..<5].allSatisfy({ Int64($0) != nil }),
            fields.dropFirst(6).allSatisfy({ Int64($0) != nil }), let seq = Int64(fields[3])
        else {
            return nil
        }
        return (fields[..<3].joined(separator: "-"), seq)
    }
}
