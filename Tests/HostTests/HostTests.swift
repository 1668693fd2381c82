import Glibc
import Host
import Metering
import Testing

@Suite struct DeflateTests {
    @Test(arguments: [Deflate.Format.gzip, .raw]) func whatIsCompressedComesBack(_ format: Deflate.Format) throws {
        for size in [0, 1, 63, 64 * 1024, 300_000] {
            let bytes = (0..<size).map { UInt8(truncatingIfNeeded: $0 &* 31 >> 3) }
            let packed = Deflate.compress(bytes, format: format)
            #expect(try Deflate.expand(packed, format: format, limit: size) == bytes)
        }
    }

    @Test func aSmallBombDoesNotFillTheMemory() {
        let bomb = Deflate.compress([UInt8](repeating: 0, count: 10_000_000), format: .gzip, level: 9)
        #expect(throws: Deflate.Failure.tooLong(limit: 1_000_000)) { try Deflate.expand(bomb, format: .gzip, limit: 1_000_000) }
    }

    @Test func cutOrBrokenStreamsAreErrors() {
        let packed = Deflate.compress(Array("hello, meter".utf8), format: .gzip)
        for cut in 0..<packed.count {
            #expect(throws: Deflate.Failure.corrupt) { try Deflate.expand(Array(packed[..<cut]), format: .gzip, limit: 100) }
        }
    }
}

@Suite struct ZstandardTests {
    @Test func whatIsCompressedComesBack() throws {
        for size in [0, 1, 63, 64 * 1024, 300_000] {
            let bytes = (0..<size).map { UInt8(truncatingIfNeeded: $0 &* 31 >> 3) }
            #expect(try Zstandard.expand(Zstandard.compress(bytes), limit: size) == bytes)
        }
    }

    @Test func aSmallBombDoesNotFillTheMemory() {
        let bomb = Zstandard.compress([UInt8](repeating: 0, count: 10_000_000), level: 9)
        #expect(throws: Zstandard.Failure.tooLong(limit: 1_000_000)) { try Zstandard.expand(bomb, limit: 1_000_000) }
    }

    @Test func cutBrokenOrLengthenedFramesAreErrors() {
        let packed = Zstandard.compress(Array("hello, meter, hello, meter, hello".utf8))
        for cut in 0..<packed.count {
            #expect(throws: Zstandard.Failure.corrupt) { try Zstandard.expand(Array(packed[..<cut]), limit: 100) }
        }
        #expect(throws: Zstandard.Failure.corrupt) { try Zstandard.expand(packed + [0], limit: 100) }
        #expect(throws: Zstandard.Failure.corrupt) { try Zstandard.expand(Array("not zstd".utf8), limit: 100) }
    }
}

@Suite struct ThreadExecutorTests {
    private actor Blocker {
        private let thread = ThreadExecutor(name: "a-name-longer-than-fifteen-bytes")
        nonisolated var unownedExecutor: UnownedSerialExecutor { thread.asUnownedSerialExecutor() }
        private var steps = 0
        func step() -> Int {
            steps += 1
            return steps
        }
        func stop() { thread.stop() }
    }

    @Test func jobsRunOneAfterTheOther() async {
        let blocker = Blocker()
        let all = await withTaskGroup(of: Int.self) { group in
            for _ in 0..<1000 { group.addTask { await blocker.step() } }
            return await group.reduce(into: []) { $0.append($1) }
        }
        #expect(all.sorted() == Array(1...1000))
        await blocker.stop()
    }
}

/// Two connected sockets, closed in the end.
private final class SocketPair: Sendable {
    let here: Int32
    let there: Int32

    init() {
        var ends: [Int32] = [-1, -1]
        socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0, &ends)
        (here, there) = (ends[0], ends[1])
    }

    deinit {
        close(here)
        close(there)
    }

    func write() { _ = send(there, "x", 1, Int32(MSG_NOSIGNAL)) }

    func writeBothWays() {
        write()
        _ = send(here, "x", 1, Int32(MSG_NOSIGNAL))
    }

    func read() -> Int {
        var byte: UInt8 = 0
        return recv(here, &byte, 1, Int32(MSG_DONTWAIT))
    }
}

@Suite(.serialized) struct ThreadSleepTests {
    @Test func tasksThatPreferTheThreadRunAndSleepOnIt() async throws {
        let thread = ThreadExecutor(name: "sleeper")
        let time = ThreadTime(on: thread)
        await withTaskExecutorPreference(thread.tasks) {
            #expect(thread.isIsolatingCurrentContext() == true)
            let start = time.uptime()
            try? await time.sleep(until: start + .milliseconds(5))
            #expect(time.uptime() - start >= .milliseconds(5))
            #expect(thread.isIsolatingCurrentContext() == true)
        }
        thread.stop()
    }

    @Test func sleepersWakeInTheOrderOfTheirDeadlines() async throws {
        let thread = ThreadExecutor(name: "sleeper")
        // All three sleep before the first is due, also on a busy machine.
        let start = SystemTime().uptime() + .seconds(1)
        let order = await withTaskGroup(of: Int.self) { group in
            for turn in [3, 1, 2] {
                group.addTask(executorPreference: thread.tasks) {
                    try? await thread.sleep(until: start + .milliseconds(50 * turn))
                    return turn
                }
            }
            return await group.reduce(into: []) { $0.append($1) }
        }
        #expect(order == [1, 2, 3])
        thread.stop()
    }

    /// A wait that holds the thread gives it up when somebody else wants it: a job from outside, and one whose time has come.
    @Test(.timeLimit(.minutes(5))) func whoWaitsForASocketAloneHoldsUpNobody() async throws {
        let thread = ThreadExecutor(name: "alone", watchesSockets: true)
        let pair = SocketPair()
        let waiting = Task(executorPreference: thread.tasks) {
            async let slept: Void = thread.sleep(until: SystemTime().uptime() + .milliseconds(20))
            let isReady = await thread.ready(pair.here, for: .toRead, within: .seconds(3600))
            _ = try? await slept
            return isReady
        }
        for _ in 0..<100 { await Task(executorPreference: thread.tasks) {}.value }
        try await Task(executorPreference: thread.tasks) { try await thread.sleep(until: SystemTime().uptime() + .milliseconds(5)) }.value
        pair.write()
        #expect(await waiting.value)
        let vain = Task(executorPreference: thread.tasks) { await thread.ready(pair.here, for: .toWrite, within: .zero) }
        #expect(await vain.value)
        #expect(pair.read() == 1)
        #expect(await Task(executorPreference: thread.tasks) { await thread.ready(pair.here, for: .toRead, within: .zero) }.value == false)
        thread.stop()
    }

    @Test(.timeLimit(.minutes(5))) func whatCameWhileTheThreadWasBusyCameInTime() async throws {
        let thread = ThreadExecutor(name: "busy", watchesSockets: true)
        // More than one look brings.
        let pairs = (0..<40).map { _ in SocketPair() }
        let results = await withTaskGroup(of: Bool.self) { group in
            for end in pairs.flatMap({ [$0.here, $0.there] }) {
                group.addTask(executorPreference: thread.tasks) { await thread.ready(end, for: .toRead, within: .seconds(1)) }
            }
            group.addTask(executorPreference: thread.tasks) {
                for pair in pairs { pair.writeBothWays() }
                usleep(1_200_000)
                return true
            }
            return await group.reduce(into: []) { $0.append($1) }
        }
        #expect(results.count == 81 && results.allSatisfy { $0 })
        thread.stop()
    }

    @Test(.timeLimit(.minutes(5))) func whoWaitsForASocketIsWokenByItOrByTheTime() async throws {
        let thread = ThreadExecutor(name: "sockets", watchesSockets: true)
        let pairs = (0..<40).map { _ in SocketPair() }
        await withTaskGroup(of: Bool.self) { group in
            for (index, pair) in pairs.enumerated() {
                group.addTask(executorPreference: thread.tasks) {
                    // Twice: a watch is for one event.
                    var isWell = true
                    for round in 0..<2 {
                        if index % 2 == 0 { pair.write() }
                        let isReady = await thread.ready(pair.here, for: .toRead, within: index % 2 == 0 ? .seconds(30) : .milliseconds(5))
                        isWell = isWell && isReady == (index % 2 == 0) && (!isReady || pair.read() == 1)
                        // A job from another thread is heard while this one waits for sockets.
                        if round == 0 { await Task { @MainActor in }.value }
                    }
                    return isWell
                }
            }
            for await isWell in group { #expect(isWell) }
        }
        let last = pairs[0]
        async let stopped = thread.ready(last.here, for: .toRead, within: .seconds(3600))
        async let written = thread.ready(pairs[1].here, for: .toWrite, within: .seconds(3600))
        #expect(await written)
        thread.stop()
        #expect(await stopped == false)
    }

    @Test(.timeLimit(.minutes(5))) func cancellingOrStoppingEndsEverySleep() async throws {
        let thread = ThreadExecutor(name: "sleeper")
        let far = SystemTime().uptime() + .seconds(3600)
        for round in 0..<200 {
            let task = Task(executorPreference: round % 2 == 0 ? thread.tasks : nil) { try await thread.sleep(until: far) }
            task.cancel()
            await #expect(throws: CancellationError.self) { try await task.value }
        }
        let sleeping = Task { try await thread.sleep(until: far) }
        let onIt = Task(executorPreference: thread.tasks) { try await thread.sleep(until: far) }
        thread.stop()
        await #expect(throws: CancellationError.self) { try await onIt.value }
        await #expect(throws: CancellationError.self) { try await sleeping.value }
    }
}

@Suite struct SystemTimeTests {
    @Test func theKernelIsAskedForItsClockOnceASecondHoweverManyPollsAsk() {
        let memory = ClockMemory()
        var asked = 0
        for poll in 0..<300 {
            let state = memory.state(at: Uptime(nanoseconds: Int64(poll) * 10_000_000)) {
                asked += 1
                return ClockState(quality: .synchronized, maxErrorMilliseconds: asked)
            }
            #expect(state.maxErrorMilliseconds == poll / 100 + 1)
        }
        #expect(asked == 3)
    }

    @Test func theClocksMoveForwardAndTheKernelSaysWhatItKnows() async throws {
        let time = SystemTime()
        let start = time.uptime()
        try await time.sleep(until: start + .milliseconds(5))
        #expect(time.uptime() - start >= .milliseconds(5))
        #expect(time.wall().milliseconds > 1_700_000_000_000)
        #expect([.synchronized, .unknown].contains(time.clockState().quality))
    }
}
