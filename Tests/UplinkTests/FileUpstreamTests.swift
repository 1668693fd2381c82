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

    private func names() throws -> [String] { try FileManager.default.contentsOfDirectory(atPath: folder).sorted() }
    private func text(_ name: String) -> String { TextFile.content(folder + "/" + name) }

    /// The seqs of all records in all files, in the order of files and lines; CSV gives one for each reading.
    private func seqs(_ format: FileUpstream.Settings.Format) throws -> [Int64] {
        try names().sorted { ($0.hasSuffix(".part") ? 1 : 0, $0) < ($1.hasSuffix(".part") ? 1 : 0, $1) }.flatMap { name -> [Int64] in
            let lines = text(name).split(separator: "\n")
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
        await first.rewind()
        let name = "disk-2026-11-23-1-6-2f6e"
        #expect(try names() == ["\(name).\(format.rawValue)"])
        let before = text("\(name).\(format.rawValue)")
        for range in [3...4, 3...6] as [ClosedRange<Int64>] { _ = await first.send(Plant.batch(range)) }
        // Also what was written between the two calls around the store's rewind, and after a restart.
        await first.rewind()
        await first.close()
        let second: any Upstream = upstream(format)
        _ = await second.send(Plant.batch(7...8))
        await second.rewind()
        _ = await second.send(Plant.batch(1...6))
        await second.rewind()
        #expect(
            try names()
                == [
                    "\(name)-2", name, "disk-2026-11-23-3-6-2f6e", "disk-2026-11-23-7-8-2f6e",
                ].map { "\($0).\(format.rawValue)" })
        #expect(text("\(name).\(format.rawValue)") == before && text("\(name)-2.\(format.rawValue)") == before)
        // The copies are finished files like any other.
        let keeping: any Upstream = upstream(format, keep: 1)
        _ = await keeping.send(Plant.batch(9...9))
        await keeping.rewind()
        #expect(try names() == ["disk-2026-11-23-9-9-2f6e.\(format.rawValue)"])
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
