import Glibc
import Host
import Metering
import Testing

/// What the companion writes, and what the daemon makes of whatever it finds there.
@Suite struct ClockTests {
    private let folder: String
    private let file: ClockStateFile
    private static let good = KernelAnswer(isSynchronized: true, maxErrorMicroseconds: 15_000)
    private static let now = Uptime(nanoseconds: 8_000_000_000_000)

    init() throws {
        var name = Array("\(getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp")/meterd-clock-XXXXXX".utf8CString)
        try #require(mkdtemp(&name) != nil)
        folder = String(decoding: name.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        file = ClockStateFile(path: folder + "/" + ClockStateFile.name)
    }

    private func done() {
        for name in [ClockStateFile.name, ClockStateFile.name + ".new", "other"] {
            unlink(folder + "/" + name)
            rmdir(folder + "/" + name)
        }
        rmdir(folder)
    }

    private func put(_ text: String, at path: String? = nil) throws {
        let descriptor = open(path ?? file.path, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
        defer { close(descriptor) }
        try #require(write(descriptor, text, text.utf8.count) == text.utf8.count)
    }

    private func fault(at now: Uptime = ClockTests.now) -> ClockStateFile.Fault? {
        do throws(ClockStateFile.Fault) {
            _ = try file.read { now }
            return nil
        } catch {
            return error
        }
    }

    /// In a process of its own: the umask is the whole process's, and other tests make files meanwhile.
    @Test func whatIsPublishedIsReadAgainByEverybody() async {
        defer { done() }
        await #expect(processExitsWith: .success) { [path = file.path as String] in
            umask(0o077)
            let file = ClockStateFile(path: path)
            for answer in [ClockTests.good, KernelAnswer(isSynchronized: false, maxErrorMicroseconds: 16_000_000)] {
                let entry = ClockStateFile.Entry(answer: answer, asked: ClockTests.now)
                try file.publish(entry)
                #expect(try file.read { ClockTests.now } == entry)
            }
            var facts = stat()
            #expect(stat(file.path, &facts) == 0 && facts.st_mode & 0o777 == 0o644)
            #expect(access(file.path + ".new", F_OK) != 0)
        }
    }

    @Test func anAnswerCountsForHalfAMinuteByTheBootClock() throws {
        defer { done() }
        try file.publish(ClockStateFile.Entry(answer: Self.good, asked: Self.now))
        #expect(fault(at: Self.now + ClockStateFile.validity) == nil)
        #expect(fault(at: Self.now + ClockStateFile.validity + .milliseconds(1)) == .old(seconds: 30))
        #expect(fault(at: Self.now + .seconds(86_400)) == .old(seconds: 86_400))
        #expect(fault(at: Self.now + .microseconds(-1)) == .fromTheFuture)
    }

    @Test func onlyExactlyWhatTheCompanionWritesCounts() throws {
        defer { done() }
        let text = ClockStateFile.Entry(answer: Self.good, asked: Self.now).text
        #expect(text == "meterd-clock 1\nasked_boottime_us 8000000000\nsynchronized yes\nmax_error_us 15000\n")
        try put(text)
        #expect(fault() == nil)
        // Cut anywhere, and anything after its end.
        for length in 0..<text.utf8.count {
            try put(String(text.prefix(length)))
            #expect(fault() == .malformed, "the first \(length) bytes")
        }
        let spoiled = [
            text + "\n", text + "x", text + text, "\u{FEFF}" + text, text.replacing("clock 1", with: "clock 2"),
            text.replacing("yes", with: "YES"),
            text.replacing("8000000000", with: "-8000000000"), text.replacing("8000000000", with: "+8000000000"),
            text.replacing("8000000000", with: "9223372036854775807"), text.replacing("8000000000", with: "99999999999999999999"),
            text.replacing("8000000000", with: ""), text.replacing("8000000000", with: "8e9"), text.replacing("15000", with: "-1"),
            text.replacing("15000", with: "99999999999999999999"), text.replacing("15000", with: "١٥"), text.replacing("\n", with: "\r\n"),
            text.replacing("max_error_us", with: "max_error_ms"), String(repeating: "\n", count: 200), text.replacing(" ", with: "\0"),
        ]
        for text in spoiled {
            try put(text)
            #expect(fault() == .malformed, "\(text)")
        }
        var generator = SystemRandomNumberGenerator()
        let seed = UInt64.random(in: .min ... .max, using: &generator)
        var random = Weyl(state: seed)
        for round in 0..<2000 {
            var bytes = Array(text.utf8)
            bytes[Int(random.next() % UInt64(bytes.count))] = UInt8(truncatingIfNeeded: random.next())
            // Whatever one byte becomes: no crash, and a number at most is another.
            let entry = ClockStateFile.Entry(bytes)
            if let entry { #expect(Array(entry.text.utf8).count <= bytes.count, "seed \(seed), round \(round)") }
        }
    }

    @Test(.timeLimit(.minutes(5))) func nothingThatStandsInItsPlaceHoldsTheDaemonUp() throws {
        defer { done() }
        #expect(fault() == .missing)
        try put(ClockStateFile.Entry(answer: Self.good, asked: Self.now).text, at: folder + "/other")
        #expect(symlink(folder + "/other", file.path) == 0)
        #expect(fault() == .notAFile, "a link is not followed")
        unlink(file.path)
        #expect(mkfifo(file.path, 0o666) == 0)
        #expect(fault() == .notAFile, "a FIFO is not waited for")
        unlink(file.path)
        #expect(mkdir(file.path, 0o755) == 0)
        #expect(fault() == .notAFile)
        rmdir(file.path)
        // A terabyte of nothing.
        try put("")
        #expect(fault() == .malformed)
        #expect(truncate(file.path, 1 << 40) == 0)
        #expect(fault() == .malformed)
        unlink(file.path)
        #expect(symlink("/dev/zero", file.path) == 0)
        #expect(fault() == .notAFile)
    }

    @Test func theCompanionWritesIntoNothingButItsOwnFile() throws {
        defer { done() }
        let entry = ClockStateFile.Entry(answer: Self.good, asked: Self.now)
        try put("kept", at: folder + "/other")
        #expect(symlink(folder + "/other", file.path + ".new") == 0)
        #expect(throws: ClockStateFile.WriteError.self) { try file.publish(entry) }
        unlink(file.path + ".new")
        // A link in the file's own place is replaced, not followed.
        #expect(symlink(folder + "/other", file.path) == 0)
        try file.publish(entry)
        #expect(try file.read { Self.now } == entry)
        var facts = stat()
        #expect(stat(folder + "/other", &facts) == 0 && facts.st_size == 4)
        let nowhere = ClockStateFile(path: folder + "/none/state")
        #expect(throws: ClockStateFile.WriteError(path: folder + "/none/state.new", action: "open", number: ENOENT)) {
            try nowhere.publish(entry)
        }
    }

    /// A daemon whose kernel answers or not, and whose time is moved by hand.
    private final class Machine: Sendable {
        let state = Lock((now: ClockTests.now, answer: KernelAnswer?.none, asked: 0))

        func enquiry(_ file: ClockStateFile) -> ClockEnquiry {
            ClockEnquiry(
                file: file,
                ask: {
                    self.state.withLock {
                        $0.asked += 1
                        return $0.answer
                    }
                }, uptime: { self.state.withLock { $0.now } })
        }

        func pass(_ duration: Duration) { state.withLock { $0.now = $0.now + duration } }
        var now: Uptime { state.withLock { $0.now } }
    }

    @Test func aKernelThatAnswersNeedsNoCompanion() throws {
        defer { done() }
        let machine = Machine()
        machine.state.withLock { $0.answer = KernelAnswer(isSynchronized: true, maxErrorMicroseconds: 1_000_999) }
        try file.publish(ClockStateFile.Entry(answer: KernelAnswer(isSynchronized: false, maxErrorMicroseconds: 0), asked: machine.now))
        let enquiry = machine.enquiry(file)
        #expect(enquiry.state() == ClockState(quality: .synchronized, maxErrorMilliseconds: 1000, source: .kernel))
        machine.state.withLock { $0.answer?.maxErrorMicroseconds = 1_001_000 }
        machine.pass(.seconds(1))
        #expect(enquiry.state() == ClockState(quality: .unknown, maxErrorMilliseconds: 1001, source: .kernel))
    }

    @Test func whoMayNotAskBelievesTheCompanionWhileItIsFresh() throws {
        defer { done() }
        let machine = Machine()
        let enquiry = machine.enquiry(file)
        let nobody = ClockState(quality: .unknown, maxErrorMilliseconds: Int(Int32.max), source: .nobody(file, .missing))
        #expect(enquiry.state() == nobody)
        try file.publish(ClockStateFile.Entry(answer: Self.good, asked: machine.now))
        #expect(enquiry.state() == nobody, "not read again within a second")
        machine.pass(.seconds(1))
        let told = ClockState(quality: .synchronized, maxErrorMilliseconds: 15, source: .companion)
        #expect(enquiry.state() == told)
        // Restarted, its directory is gone for a moment: what it said last holds as long as the file would.
        unlink(file.path)
        machine.pass(.seconds(29))
        #expect(enquiry.state() == told)
        machine.pass(.seconds(1))
        #expect(enquiry.state() == nobody)
        // An old file, of a companion that hangs, is not better.
        try file.publish(ClockStateFile.Entry(answer: Self.good, asked: Self.now))
        machine.pass(.seconds(1))
        #expect(enquiry.state().quality == .unknown && enquiry.state().source == .nobody(file, .old(seconds: 32)))
        let wrong = KernelAnswer(isSynchronized: false, maxErrorMicroseconds: 16_000_000)
        try file.publish(ClockStateFile.Entry(answer: wrong, asked: machine.now))
        machine.pass(.seconds(1))
        #expect(enquiry.state() == ClockState(quality: .unknown, maxErrorMilliseconds: 16_000, source: .companion))
    }

    @Test func threeHundredPollsASecondReadTheFileOnce() throws {
        defer { done() }
        let machine = Machine()
        let enquiry = machine.enquiry(file)
        for _ in 0..<900 {
            _ = enquiry.state()
            machine.pass(.nanoseconds(3_333_334))
        }
        #expect(machine.state.withLock { $0.asked } == 3)
    }
}

/// Enough of chance for a test, and the same from the same seed.
private struct Weyl {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = (state ^ (state >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
