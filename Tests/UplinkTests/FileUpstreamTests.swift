import FoundationEssentials
import Glibc
import Metering
import TestSupport
import Testing

@testable import Uplink

@Suite final class FileUpstreamTests {
    private let folder: String

    init() throws { folder = try TemporaryFolder.make("files") }
    deinit { TemporaryFolder.remove(folder) }

    private func upstream(_ format: FileUpstream.Settings.Format, rotateSize: Int = 1 << 20, keep: Int? = nil) -> FileUpstream {
        FileUpstream(FileUpstream.Settings(directory: folder, name: "disk", format: format, rotateSize: rotateSize, keepFiles: keep))
    }

    private func names() throws -> [String] { try FileUpstreamTests.names(in: folder) }
    private static func names(in folder: String) throws -> [String] { try FileManager.default.contentsOfDirectory(atPath: folder).sorted() }
    private func text(_ name: String) -> String { TextFile.content(folder + "/" + name) }

    /// The seqs of all records in all files, in the order of files and lines; CSV gives one for each reading.
    private func seqs(_ format: FileUpstream.Settings.Format) throws -> [Int64] { try FileUpstreamTests.seqs(format, in: folder) }

    private static func seqs(_ format: FileUpstream.Settings.Format, in folder: String) throws -> [Int64] {
        let names = try names(in: folder).sorted { ($0.hasSuffix(".part") ? 1 : 0, $0) < ($1.hasSuffix(".part") ? 1 : 0, $1) }
        return names.flatMap { name -> [Int64] in
            let lines = TextFile.content("\(folder)/\(name)").split(separator: "\n")
            switch format {
            case .csv: return lines.dropFirst().compactMap { Int64($0.split(separator: ",", omittingEmptySubsequences: false)[11]) }
            case .jsonl:
                return lines.compactMap { line in
                    line.split(separator: "\"seq\":").last.flatMap { Int64($0.prefix { $0.isNumber }) }
                }
            }
        }
    }

    @Test func csvIsWhatASpreadsheetReads() async throws {
        var batch = Plant.batch(1041...1041)
        batch.site = "hall 2, \"east\""
        batch.records[0].readings[1] = Reading(point: 1, value: nil, quality: .noCommunication)
        #expect(await upstream(.csv).send(batch) == .accepted(rejected: []))
        #expect(
            text("disk.csv.part") == """
                time,gateway,site,device,role,quantity,value,unit,quality,clock,time_ms,seq,lines,journal
                2026-11-23T18:40:01.041Z,gw-017,"hall 2, ""east""\",main,grid,voltage_l1,230.4,V,0,S,1795459201041,1041,2,2f6e
                2026-11-23T18:40:01.041Z,gw-017,"hall 2, ""east""\",main,grid,energy_active_import,,Wh,1,S,1795459201041,1041,2,2f6e

                """)
    }

    @Test func aJSONLineIsARecord() async throws {
        #expect(await upstream(.jsonl).send(Plant.batch(1041...1042)) == .accepted(rejected: []))
        #expect(
            text("disk.jsonl.part") == """
                {"gateway":"gw-017","site":"park-2/factory-12","journal":"2f6e","seq":1041,"device":"main","time":1795459201041,"clock":"S","values":{"voltage_l1":230.4,"energy_active_import":1041}}
                {"gateway":"gw-017","site":"park-2/factory-12","journal":"2f6e","seq":1042,"device":"main","time":1795459201042,"clock":"S","values":{"voltage_l1":230.4,"energy_active_import":1042}}

                """)
    }

    /// The power is cut after every byte of a batch, in turn; then it comes again, as it does when it was not settled.
    @Test(arguments: FileUpstream.Settings.Format.allCases)
    func aFileCutAnywhereIsMendedAndNothingIsLostOrDoubled(format: FileUpstream.Settings.Format) async throws {
        let path = folder + "/disk.\(format.rawValue).part"
        _ = await upstream(format).send(Plant.batch(1...3))
        let before = try Data(contentsOf: URL(filePath: path)).count
        _ = await upstream(format).send(Plant.batch(4...6))
        let whole = try Data(contentsOf: URL(filePath: path))
        for length in before...whole.count {
            try whole.prefix(length).write(to: URL(filePath: path))
            #expect(await upstream(format).send(Plant.batch(4...6)) == .accepted(rejected: []))
            #expect(try Data(contentsOf: URL(filePath: path)) == whole, "cut at \(length)")
            // Blocks that were not written read as zeros.
            try (whole.prefix(length) + Data(repeating: 0, count: whole.count - length)).write(to: URL(filePath: path))
            #expect(await upstream(format).send(Plant.batch(4...6)) == .accepted(rejected: []))
            #expect(try Data(contentsOf: URL(filePath: path)) == whole, "zeros from \(length)")
        }
    }

    @Test(arguments: FileUpstream.Settings.Format.allCases)
    func aFileDamagedInTheMiddleIsPutAsideWhole(format: FileUpstream.Settings.Format) async throws {
        let path = folder + "/disk.\(format.rawValue).part"
        _ = await upstream(format).send(Plant.batch(1...9))
        var content = try Data(contentsOf: URL(filePath: path))
        content[content.count / 2] = 0
        try content.write(to: URL(filePath: path))
        #expect(await upstream(format).send(Plant.batch(10...12)) == .accepted(rejected: []))
        let aside = try #require(try names().first { $0.contains("damaged-after-") })
        #expect(try Data(contentsOf: URL(filePath: folder + "/" + aside)) == content)
        #expect(try Set(seqs(format)).isSuperset(of: [1, 2, 3, 8, 9, 10, 11, 12]))
    }

    @Test(arguments: FileUpstream.Settings.Format.allCases)
    func aBatchThatComesAgainIsNotDoubled(format: FileUpstream.Settings.Format) async throws {
        let first = upstream(format)
        for range in [1...5, 1...5, 4...8] as [ClosedRange<Int64>] { _ = await first.send(Plant.batch(range)) }
        await first.close()
        _ = await upstream(format).send(Plant.batch(7...10))
        let seqs = try seqs(format)
        #expect(Array(Set(seqs)).sorted() == Array(1...10))
        #expect(seqs.count == (format == .csv ? 20 : 10))
        // Another journal begins at 1 again: its records are others.
        var other = Plant.batch(1...2)
        other.journalID = "other"
        _ = await upstream(format).send(other)
        #expect(try names().count == 2)
    }

    /// The file remembers what it holds, so that nothing comes twice; who asks for it once more gets it, beside what there was.
    @Test(arguments: FileUpstream.Settings.Format.allCases)
    func whatIsRewoundIsWrittenAgainToANewFile(format: FileUpstream.Settings.Format) async throws {
        let first: any Upstream = upstream(format)
        #expect(await first.size(of: Plant.batch(1...6)) > 100)
        _ = await first.send(Plant.batch(1...6))
        #expect(await first.beginRewind() == nil)
        await first.endRewind()
        let name = "disk-2026-11-23-1-6-2f6e"
        #expect(try names() == ["\(name).\(format.rawValue)"])
        let before = text("\(name).\(format.rawValue)")
        for range in [3...4, 3...6] as [ClosedRange<Int64>] { _ = await first.send(Plant.batch(range)) }
        // Whatever is sent while the store sets the cursor back would be taken for what comes again: after a kill, too. Two may set it back.
        #expect(await first.beginRewind() == nil)
        #expect(await first.beginRewind() == nil)
        let refused = Settlement.unavailable(reason: "the output is being set back", retryAfter: nil)
        #expect(await first.send(Plant.batch(7...7)) == refused)
        await first.endRewind()
        #expect(await first.send(Plant.batch(7...7)) == refused)
        #expect(text("disk.\(format.rawValue).part").isEmpty)
        // Killed here: neither knows of the other's rewind.
        let second: any Upstream = upstream(format)
        _ = await second.send(Plant.batch(7...8))
        #expect(await second.beginRewind() == nil)
        await second.endRewind()
        _ = await second.send(Plant.batch(1...6))
        #expect(await second.beginRewind() == nil)
        #expect(
            try names()
                == [
                    "\(name)-2", name, "disk-2026-11-23-3-6-2f6e", "disk-2026-11-23-7-8-2f6e",
                ].map { "\($0).\(format.rawValue)" })
        #expect(text("\(name).\(format.rawValue)") == before && text("\(name)-2.\(format.rawValue)") == before)
        // The copies are finished files like any other.
        let keeping: any Upstream = upstream(format, keep: 1)
        _ = await keeping.send(Plant.batch(9...9))
        #expect(await keeping.beginRewind() == nil)
        #expect(try names() == ["disk-2026-11-23-9-9-2f6e.\(format.rawValue)"])
    }

    @Test func aRewindThatTheDiskDoesNotAllowIsRefused() async throws {
        let output = upstream(.jsonl)
        _ = await output.send(Plant.batch(1...3))
        let moved = folder + "-moved"
        defer { TemporaryFolder.remove(moved) }
        #expect(rename(folder, moved) == 0)
        #expect(try #require(await output.beginRewind()).contains("\(folder)"))
        #expect(rename(moved, folder) == 0)
        // Nothing was begun.
        #expect(await output.send(Plant.batch(4...4)) == .accepted(rejected: []))
        #expect(try seqs(.jsonl) == [1, 2, 3, 4])
    }

    /// Their seqs are lower than what the file holds; and what it holds is remembered all the same.
    @Test(arguments: FileUpstream.Settings.Format.allCases)
    func replayedDeadLettersAreWritten(format: FileUpstream.Settings.Format) async throws {
        let first = upstream(format)
        _ = await first.send(Plant.batch(5...9))
        var letters = Plant.batch(2...3)
        letters.isReplay = true
        #expect(await first.send(letters) == .accepted(rejected: []))
        _ = await first.send(Plant.batch(8...10))
        _ = await first.send(letters)
        await first.close()
        _ = await upstream(format).send(Plant.batch(9...11))
        let seqs = try seqs(format)
        let expected: [Int64] = [5, 6, 7, 8, 9, 2, 3, 10, 2, 3, 11]
        #expect(seqs == (format == .csv ? expected.flatMap { [$0, $0] } : expected))
    }

    /// After a rewind they may come before those of lower seqs.
    @Test func aReplayHidesNothingThatIsStillToCome() async throws {
        let output = upstream(.jsonl)
        var letters = Plant.batch(7...8)
        letters.isReplay = true
        for batch in [letters, Plant.batch(1...4), Plant.batch(3...9)] { _ = await output.send(batch) }
        #expect(try seqs(.jsonl) == [7, 8, 1, 2, 3, 4, 5, 6, 7, 8, 9])
    }

    @Test func fullFilesAreRenamedAndTheOldestGo() async throws {
        let upstream = upstream(.jsonl, rotateSize: 2000, keep: 2)
        for first in stride(from: Int64(1), through: 61, by: 5) {
            #expect(await upstream.send(Plant.batch(first...(first + 4))) == .accepted(rejected: []))
        }
        let names = try names()
        #expect(
            names == [
                "disk-2026-11-23-41-50-2f6e.jsonl", "disk-2026-11-23-51-60-2f6e.jsonl", "disk.jsonl.part",
            ])
        for name in names { #expect(text(name).utf8.count <= 2000) }
        #expect(try seqs(.jsonl) == Array(41...65))
    }

    @Test func aNewDayBeginsANewFile() async throws {
        var batch = Plant.batch(1...4)
        for index in 2...3 { batch.records[index].time = batch.records[index].time.advanced(by: .seconds(86_400)) }
        _ = await upstream(.csv).send(batch)
        #expect(try names() == ["disk-2026-11-23-1-2-2f6e.csv", "disk.csv.part"])
        #expect(text("disk.csv.part").hasPrefix("time,gateway"))
    }

    /// The first day's file is finished before the second fails, and the batch comes again for as long as that lasts.
    @Test(arguments: [false, true]) func aBatchThatFailsInItsSecondDayIsNotWrittenAgain(isReplay: Bool) async throws {
        await #expect(processExitsWith: .success) { [isReplay = isReplay as Bool] in
            signal(SIGXFSZ, SIG_IGN)
            let folder = try ScratchFolder("two-days")
            let output = FileUpstream(FileUpstream.Settings(directory: folder.path, name: "disk", format: .jsonl, keepFiles: 2))
            #expect(await output.send(Plant.batch(1...2)) == .accepted(rejected: []))
            var batch = Plant.batch(3...24)
            batch.isReplay = isReplay
            for index in batch.records.indices {
                batch.records[index].time = batch.records[index].time.advanced(by: .seconds(index == 0 ? 86_400 : 2 * 86_400))
            }
            // The second day is too much for a file.
            let resource = __rlimit_resource_t(RLIMIT_FSIZE.rawValue)
            var limit = rlimit()
            #expect(getrlimit(resource, &limit) == 0)
            let unlimited = limit
            limit.rlim_cur = 2000
            #expect(setrlimit(resource, &limit) == 0)
            for _ in 1...4 {
                guard case .tooLarge(let reason) = await output.send(batch) else {
                    Issue.record("the second day was written")
                    return
                }
                #expect(reason.contains("File too large"))
            }
            limit = unlimited
            #expect(setrlimit(resource, &limit) == 0)
            #expect(await output.send(batch) == .accepted(rejected: []))
            let names = try FileUpstreamTests.names(in: folder.path)
            #expect(try FileUpstreamTests.seqs(.jsonl, in: folder.path) == Array(1...24), "\(names)")
        }
    }

    /// What comes again is old by the days and seqs in its name, and new as a file; nor does a clock that was set back make it old.
    @Test func theFilesThatWereFinishedFirstGoFirst() async throws {
        let output = upstream(.jsonl, keep: 2)
        func finish(_ range: ClosedRange<Int64>) async {
            #expect(await output.send(Plant.batch(range)) == .accepted(rejected: []))
            #expect(await output.beginRewind() == nil)
            await output.endRewind()
        }
        func file(_ seqs: String) -> String { "disk-2026-11-23-\(seqs)-2f6e.jsonl" }
        for range in [4...6, 7...9, 1...3] as [ClosedRange<Int64>] { await finish(range) }
        #expect(try names() == [file("1-3"), file("7-9")])
        var status = stat()
        #expect(lstat("\(folder)/\(file("1-3"))", &status) == 0)
        status.st_mtim.tv_sec += 86_400
        status.st_mtim.tv_nsec = 999_999_999
        #expect(utimensat(AT_FDCWD, "\(folder)/\(file("1-3"))", [status.st_mtim, status.st_mtim], 0) == 0)
        await finish(2...3)
        #expect(try names() == [file("1-3"), file("2-3")])
        await finish(1...1)
        #expect(try names() == [file("1-1"), file("2-3")])
    }

    @Test func aDirectoryThatIsNotThereOrNotOursPauses() async throws {
        let nowhere = FileUpstream(FileUpstream.Settings(directory: folder + "/none", name: "disk"))
        let answer = await nowhere.send(Plant.batch(1...1))
        #expect(
            answer
                == .unauthorized(
                    reason: "\(folder)/none/disk.csv.part cannot be opened: No such file or directory; check the output's directory"))
        #expect(makeDirectory(folder + "/none"))
        #expect(await nowhere.send(Plant.batch(1...1)) == .accepted(rejected: []))
    }

    @Test(.enabled(if: geteuid() == 0, "mounting needs root"))
    func aFullDiskKeepsTheDataAndRecoversByItself() async throws {
        let disk = folder + "/small"
        #expect(makeDirectory(disk))
        guard mount("tmpfs", disk, "tmpfs", 0, "size=64k") == 0 else {
            print("skipped: this machine forbids mounts")
            return
        }
        defer { umount(disk) }
        let upstream = FileUpstream(FileUpstream.Settings(directory: disk, name: "disk", format: .jsonl))
        var next: Int64 = 1
        while await upstream.send(Plant.batch(next...(next + 49))) == .accepted(rejected: []) { next += 50 }
        let answer = await upstream.send(Plant.batch(next...(next + 49)))
        guard case .unavailable(let reason, _) = answer else {
            Issue.record("\(answer)")
            return
        }
        #expect(reason.contains("No space left on device"))
        // No half record stands in the file.
        #expect(TextFile.content(disk + "/disk.jsonl.part").hasSuffix("}\n"))
        #expect(mount("tmpfs", disk, "tmpfs", UInt(MS_REMOUNT), "size=1m") == 0)
        #expect(await upstream.send(Plant.batch(next...(next + 49))) == .accepted(rejected: []))
        let lines = TextFile.content(disk + "/disk.jsonl.part").split(separator: "\n")
        #expect(lines.count == Int(next) + 49)
    }
}
