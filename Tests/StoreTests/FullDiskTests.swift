import Glibc
import Host
import Metering
import Testing

@testable import Store

/// A disk of a few megabytes, in memory.
final class SmallDisk {
    let path: String

    /// Mounting needs rights that not every place to test gives.
    static let isAllowed: Bool = (try? SmallDisk(megabytes: 1)) != nil

    struct Refused: Error {
        var reason: String
    }

    init(megabytes: Int) throws {
        let directory = TemporaryDirectory().path
        guard mount("tmpfs", directory, "tmpfs", 0, "size=\(megabytes)m") == 0 else {
            throw Refused(reason: String(cString: strerror(errno)))
        }
        path = directory
    }

    deinit { umount2(path, Int32(MNT_DETACH)) }

    /// Another program takes what is left but for so many bytes.
    func fill(leaving rest: Int64) {
        let file = open(path + "/filler", O_WRONLY | O_CREAT, 0o600)
        var facts = statvfs()
        guard file >= 0, statvfs(path, &facts) == 0 else { return }
        posix_fallocate(file, 0, off_t(max(1, Int64(facts.f_bavail) * Int64(facts.f_frsize) - rest)))
        close(file)
    }

    func empty() { unlink(path + "/filler") }
}

@Suite(.enabled(if: SmallDisk.isAllowed, "mounting a file system is not allowed here"))
struct FullDiskTests {
    private func plantPolls(_ rounds: Int, seed: UInt64) -> [CountedPoll] {
        var generator = SeededGenerator(seed: seed)
        return plant(devices: 40, rounds: rounds, values: 40, using: &generator)
    }

    /// 400 KiB that do not deflate.
    private func noise(seed: UInt64) -> [CountedPoll] { StoreTests.noise(polls: 200, seed: seed) }

    private func open(_ disk: SmallDisk, _ time: ManualTime) async throws -> Store {
        try await Store.open(directory: disk.path, outputs: ["park"], time: time, logger: quiet)
    }

    /// Without a ballast there is no room even for removing: polls wait in memory, within bounds, the rest is counted.
    @Test func aFullDiskLosesNothingUncounted() async throws {
        let outcome = try await fillAndEmpty(plantPolls(5, seed: 91), rounds: 20, hasBallast: false)
        #expect(outcome.wasRefused)
        #expect(outcome.losses.map(\.cause) == [.notCommitted])
    }

    /// With one the journal goes on in the room it has: the oldest go for the newest, and nothing that is newer is lost before them.
    @Test func onAFullDiskTheOldestGoForTheNewest() async throws {
        let outcome = try await fillAndEmpty(noise(seed: 94), rounds: 40, hasBallast: true)
        #expect(outcome.losses.map(\.cause) == [.diskFull])
        #expect(outcome.losses.first?.seqs?.lowerBound == 1)
    }

    private struct Outcome {
        var wasRefused = false
        var losses: [Loss] = []
    }

    /// No output has had anything, so nothing may go lightly.
    private func fillAndEmpty(_ round: [CountedPoll], rounds: Int, hasBallast: Bool) async throws -> Outcome {
        let disk = try SmallDisk(megabytes: 32)
        let time = ManualTime()
        let store = try await open(disk, time)
        let ring = 4 * round.count
        let writer = JournalWriter(store: store, interval: .seconds(1), time: time, limits: StoreLimits(ringPolls: ring), logger: quiet)
        var taken = 0
        var outcome = Outcome()
        func take() async {
            for poll in round { writer.take(poll.poll, readings: poll.readings) }
            taken += round.count
            await writer.commitAll()
            outcome.wasRefused = outcome.wasRefused || writer.lastError?.code == .full
            // What is in hand, and what came behind it.
            #expect(writer.waitingPolls <= 2 * ring)
        }
        for _ in 0..<4 { await take() }
        if !hasBallast { unlink(disk.path + "/ballast") }
        disk.fill(leaving: 64 << 10)
        for _ in 0..<rounds { await take() }
        #expect(access(disk.path + "/ballast", F_OK) != 0)
        #expect(await store.journalState().lostPolls > 0)
        disk.empty()
        await take()
        #expect(await writer.commitAll())
        #expect(writer.lastError == nil && writer.waitingPolls == 0)
        let state = await store.journalState()
        #expect(state.polls + state.lostPolls == taken)
        #expect(state.readings + state.lostReadings == taken * 40)
        let kept = try await store.read(first: state.firstSeq, last: state.lastSeq, limit: .max)
        #expect(kept.count == state.polls && kept.last?.poll == round.last?.poll)
        outcome.losses = try await store.recordedLosses()
        print("full disk: \(taken) polls taken, \(state.lostPolls) lost and counted as \(outcome.losses.map(\.cause.rawValue))")
        await store.close()
        return outcome
    }

    /// What was handed on makes room, and the ballast the room to remove it with: nothing at all is lost.
    @Test func whatWasHandedOnGivesWayFirst() async throws {
        let disk = try SmallDisk(megabytes: 32)
        let time = ManualTime()
        let store = try await open(disk, time)
        let round = noise(seed: 92)
        for _ in 0..<10 { _ = try await store.commit(round) }
        #expect(access(disk.path + "/ballast", F_OK) == 0)
        #expect(try await store.drain("park").count == 10 * round.count)
        disk.fill(leaving: 16 << 10)
        for _ in 0..<20 {
            _ = try await store.commit(round)
            _ = try await store.drain("park")
        }
        let state = await store.journalState()
        #expect(state.polls < 30 * round.count)
        #expect(access(disk.path + "/ballast", F_OK) != 0)
        #expect(state.lostPolls == 0 && state.lastSeq == 30 * Int64(round.count))
        #expect(await store.outputStates().first?.cursor == state.lastSeq)
        await store.close()

        let again = try await open(disk, time)
        #expect(await again.journalState().lastSeq == state.lastSeq)
        disk.empty()
        time.advance(by: .seconds(60))
        _ = try await again.commit(round)
        #expect(access(disk.path + "/ballast", F_OK) == 0)
        await again.close()
    }

    /// None at all, too little for what is read, too little for the way it is written.
    @Test(arguments: [0, 148 << 10, 4 << 20]) func aDamagedJournalWaitsForRoom(_ room: Int64) async throws {
        let disk = try SmallDisk(megabytes: 32)
        let time = ManualTime()
        let first = try await open(disk, time)
        let round = noise(seed: 97)
        for _ in 0..<8 { _ = try await first.commit(round) }
        let id = await first.journalState().journalID
        await first.dieForTest()
        let file = Glibc.open(disk.path + "/journal.db", O_WRONLY)
        #expect(pwrite(file, "x", 1, 0) == 1)
        close(file)
        unlink(disk.path + "/ballast")
        disk.fill(leaving: room)

        let store = try await Store.open(directory: disk.path, outputs: ["park"], time: time, patient: true, logger: quiet)
        let writer = JournalWriter(store: store, interval: .seconds(1), time: time, logger: quiet)
        writer.take(poll(1), readings: 2)
        for _ in 0..<2 {
            time.advance(by: .seconds(5))
            #expect(await writer.commitAll() == false)
            #expect(writer.lastError?.code == .full && writer.lastError?.message.contains("journal.db is damaged") == true)
            #expect(access(disk.path + "/journal.db", F_OK) == 0 && access(disk.path + "/journal.db-wal", F_OK) == 0)
            #expect(access(disk.path + "/journal.db.new", F_OK) != 0)
        }

        disk.empty()
        time.advance(by: .seconds(5))
        #expect(await writer.commitAll())
        let state = await store.journalState()
        #expect(state.journalID == id && state.polls == 8 * round.count + 1 && state.lostPolls == 0)
        #expect(await store.openReport.salvaged?.polls == 8 * round.count)
        await store.close()
    }

    @Test func aStartOnAFullDiskSucceeds() async throws {
        let disk = try SmallDisk(megabytes: 32)
        let time = ManualTime()
        let first = try await open(disk, time)
        _ = try await first.commit(plantPolls(5, seed: 93))
        await first.close()
        disk.fill(leaving: 0)
        let store = try await open(disk, time)
        #expect(await store.journalState().polls == 200)
        _ = try await store.adopt(CatalogEntry(device: "d", unit: 1, role: .load, profile: "p", profileText: "text"))
        await store.close()
    }
}
