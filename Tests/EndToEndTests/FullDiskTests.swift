import Gateway
import Glibc
import TestSupport
import Testing

/// A folder on a disk of a few megabytes, in memory, that another program has filled.
private final class FilledDisk {
    let folder: String

    /// Mounting needs rights that not every place to test gives.
    static let isAllowed: Bool = {
        guard let folder = try? TemporaryFolder.make("mount") else { return false }
        defer { TemporaryFolder.remove(folder) }
        return (try? FilledDisk(at: folder)) != nil
    }()

    init(at folder: String) throws {
        self.folder = folder
        guard mount("tmpfs", folder, "tmpfs", 0, "size=24m") == 0 else {
            throw ChildProcess.SpawnError(description: "\(folder): \(String(cString: strerror(errno)))")
        }
        let file = open(folder + "/filler", O_WRONLY | O_CREAT, 0o600)
        defer { close(file) }
        var facts = statvfs()
        statvfs(folder, &facts)
        posix_fallocate(file, 0, off_t(facts.f_bavail) * off_t(facts.f_frsize))
    }

    func empty() { unlink(folder + "/filler") }

    deinit { umount2(folder, Int32(MNT_DETACH)) }
}

extension EndToEndTests {
    @Suite(.serialized, .enabled(if: FilledDisk.isAllowed, "mounting a file system is not allowed here")) struct FullDiskTests {
        @Test(.timeLimit(.minutes(6))) func aDiskThatIsFullAtTheStartIsToldAndPollingGoesOn() async throws {
            let factory = try await Factory()
            let disk = try FilledDisk(at: factory.folder + "/data")
            try await factory.startDaemon()
            let full = try await factory.waitForStatus { $0.health == .failed && $0.devices.allSatisfy { $0.state == .online } }
            let problem = try #require(full.problems.first { $0.subject == "journal" })
            #expect(problem.code == "store_full" && problem.text.contains(factory.folder + "/data"), "\(problem)")
            #expect(full.journal.lastSeq == 0)
            // Readings are there for whoever looks, and a person's wish is told why it cannot be kept.
            #expect(try await factory.meterctl("readings", "grid", "--json").output.contains("\"quality\":0,"))
            let pause = try await factory.meterctl("outputs", "park", "pause")
            #expect(pause.exit == .code(1) && pause.errors.contains("no space left"), "\(pause)")

            disk.empty()
            let healed = try await factory.waitForStatus { $0.journal.lastSeq > 0 && $0.health != .failed }
            #expect(healed.journal.lostPolls == 0)
            let last = try await factory.waitForDelivery()
            let export = try await factory.meterctl("journal", "export", "--device", "grid", "-o", factory.folder + "/grid.csv")
            #expect(export.exit == .code(0), "\(export.errors)")
            let rows = TextFile.content(factory.folder + "/grid.csv").split(separator: "\n")
            #expect(rows.first == "time,device,quantity,value,unit,quality,clock,seq")
            #expect(rows.count > 10 && rows.dropFirst().allSatisfy { $0.contains(",grid,") })
            let journal = try await factory.meterctl("journal")
            #expect(journal.output.contains("lost     nothing"), "\(journal)")
            // What waited in memory arrived upstream, from the first poll on.
            #expect(try await factory.stop().exit == .code(0))
            let seqs = Set(try factory.records().map(\.seq))
            #expect(seqs.isSuperset(of: 1...last))
        }
    }
}
