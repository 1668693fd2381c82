import Gateway
import Glibc
import Host
import Metering
import TestSupport
import Testing

/// What the companion does with the kernel's answer, and what people see of it.
@Suite(.timeLimit(.minutes(10))) struct ClockCompanionTests {
    /// Sleeps at once, and ends the companion after so many sleeps.
    private final class QuickTime: TimeSource {
        private let clocks = SystemTime()
        private let state: Lock<(left: Int, ahead: Duration)>
        private let between: @Sendable (Int) -> Void

        init(sleeps: Int, between: @escaping @Sendable (Int) -> Void = { _ in }) {
            state = Lock((left: sleeps, ahead: .zero))
            self.between = between
        }

        func uptime() -> Uptime { clocks.uptime() + state.withLock { $0.ahead } }
        func wall() -> Timestamp { clocks.wall() }
        func clockState() -> ClockState { clocks.clockState() }
        func sleep(until deadline: Uptime) async throws {
            let left = state.withLock { state in
                state.left -= 1
                state.ahead += deadline - (clocks.uptime() + state.ahead)
                return state.left
            }
            between(left)
            if left <= 0 { withUnsafeCurrentTask { $0?.cancel() } }
        }
    }

    @Test func theAnswerIsPublishedBeforeItSaysThatItIsReady() async throws {
        let folder = try ScratchFolder("clock")
        let socket = try NotifySocket()
        let answer = KernelAnswer(isSynchronized: true, maxErrorMicroseconds: 700)
        let file = ClockStateFile(path: folder.file(ClockStateFile.name))
        let time = QuickTime(sleeps: 3)
        let companion = ClockCompanion(
            directory: folder.path, notifier: ServiceNotifier(environment: ["NOTIFY_SOCKET": socket.path]), time: time, ask: { answer })
        try await Task { try await companion.run() }.value
        #expect(
            socket.heard() == ["READY=1", "STATUS=the kernel calls the clock synchronised", "WATCHDOG=1", "WATCHDOG=1", "WATCHDOG=1"])
        #expect(try file.read { time.uptime() }.answer == answer)
    }

    @Test func whatCannotBeHadOrPublishedEndsItWithTheCure() async throws {
        let folder = try ScratchFolder("clock")
        let socket = try NotifySocket()
        let notifier = ServiceNotifier(environment: ["NOTIFY_SOCKET": socket.path])
        let refused = ClockCompanion(directory: folder.path, notifier: notifier, time: SystemTime(), ask: { nil })
        let first = await #expect(throws: ClockCompanion.Failure.self) { try await refused.run() }
        #expect("\(try #require(first))".contains("may not ask the kernel for its clock"))
        let nowhere = ClockCompanion(
            directory: folder.path + "/none", notifier: notifier, time: SystemTime(),
            ask: { KernelAnswer(isSynchronized: true, maxErrorMicroseconds: 1) })
        await #expect(throws: ClockCompanion.Failure.self) { try await nowhere.run() }
        #expect(socket.heard().isEmpty, "it was never ready")
        // Its directory goes while it runs: the next one gets a new one from the service manager.
        let path = folder.path + "/own"
        try #require(makeDirectory(path))
        let time = QuickTime(sleeps: 5) { _ in
            unlink(path + "/state")
            rmdir(path)
        }
        let lost = ClockCompanion(
            directory: path, notifier: notifier, time: time, ask: { KernelAnswer(isSynchronized: true, maxErrorMicroseconds: 1) })
        let second = await #expect(throws: ClockCompanion.Failure.self) { try await lost.run() }
        #expect("\(try #require(second))".hasPrefix("\(path)/state.new: cannot open: No such file or directory; name a directory"))
    }

    @Test func aDaemonThatIsToldNothingSaysWhatIsMissingAndTheCure() throws {
        let file = ClockStateFile(path: "/run/meterd-clock/state")
        let nobody = ClockState(quality: .unknown, maxErrorMilliseconds: Int(Int32.max), source: .nobody(file, .missing))
        let told = ClockState(quality: .synchronized, maxErrorMilliseconds: 3, source: .companion)
        let wrong = ClockState(quality: .unknown, maxErrorMilliseconds: 16_000, source: .companion)
        let problem = try #require(nobody.problem)
        #expect(problem.code == "clock_unknown" && problem.subject == "clock")
        for part in ["/run/meterd-clock/state is not there", "meterd-clock.service is not running", "sudo systemctl start meterd-clock"] {
            #expect(problem.text.contains(part), "\(problem.text)")
        }
        #expect(told.problem == nil)
        #expect(wrong.problem?.code == "clock_unsynchronized")

        var report = cannedStatus()
        report.clock = ClockReport(nobody)
        let screen = StatusScreen(report, now: cannedNow).lines(width: 200, paint: Paint(coloured: false))
        #expect(screen.contains { $0.hasPrefix("clock    unknown") })
    }
}
