import Metering

/// What can be learned of the kernel's clock: from the kernel itself, or where it does not answer this process, from the companion's file.
/// Nobody is asked more than once a second.
package final class ClockEnquiry: Sendable {
    package static let shared = ClockEnquiry()

    private let file: ClockStateFile
    private let ask: @Sendable () -> KernelAnswer?
    private let uptime: @Sendable () -> Uptime
    private let memory = ClockMemory()
    /// The last that counted: over a restart of the companion it holds for as long as the file would.
    private let last = Lock<ClockStateFile.Entry?>(nil)

    package init(
        file: ClockStateFile = ClockStateFile(), ask: @escaping @Sendable () -> KernelAnswer? = KernelAnswer.ask,
        uptime: @escaping @Sendable () -> Uptime = { SystemTime().uptime() }
    ) {
        self.file = file
        self.ask = ask
        self.uptime = uptime
    }

    package func state() -> ClockState { memory.state(at: uptime(), enquire) }

    private func enquire() -> ClockState {
        if let answer = ask() { return answer.state(from: .kernel) }
        do throws(ClockStateFile.Fault) {
            let entry = try file.read(now: uptime)
            last.withLock { $0 = entry }
            return entry.answer.state(from: .companion)
        } catch {
            if let entry = last.withLock({ $0 }), entry.fault(at: uptime()) == nil { return entry.answer.state(from: .companion) }
            return ClockState(quality: .unknown, maxErrorMilliseconds: Int(Int32.max), source: .nobody(file, error))
        }
    }
}
